"""A spender's leases in memory, and the table that keeps what of them must outlive the process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from routing_core.ledger.messages import Granted, LeaseReport
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.records import record

FOREVER_US = 2**62
FULL = -1
"""What `Table.add` says when it has no room."""


@record
class Row:
    """One lease as the table holds it."""

    index: int
    lease_id: str
    meter: Meter
    window_start_us: int
    granted: int
    settled: int
    open: int
    """Dispatched and not settled."""
    unknown: int
    overrun: int


class Table(Protocol):
    """Survives the death of the process exactly. What may not have survived (another boot, another disk) is thrown away
    whole, together with the replica id, before a holder is made: a stale row or a missing one would free spent money.
    """

    def add(self, lease_id: str, meter: Meter, window_start_us: int, granted: int) -> int:
        """Begin a row of zeros but for `granted`; its index, or `FULL`."""
        ...

    def update(self, index: int, granted: int, settled: int, open: int, unknown: int, overrun: int) -> None:
        """Overwrite the totals of a row, all or none of them."""
        ...

    def remove(self, index: int) -> None:
        """End a row."""
        ...

    def load(self) -> list[Row]:
        """All rows."""
        ...


class Slot:
    """One lease. `granted == settled + open + reserved + free`, always."""

    __slots__ = (
        "acked",
        "changed",
        "ended",
        "free",
        "granted",
        "index",
        "lease_id",
        "meter",
        "open",
        "overrun",
        "reserved",
        "settled",
        "unknown",
        "until_us",
        "window_start_us",
    )

    def __init__(
        self, index: int, lease_id: str, meter: Meter, window_start_us: int, granted: int, until_us: int
    ) -> None:
        self.index = index
        """In the table."""
        self.lease_id = lease_id
        self.meter = meter
        self.window_start_us = window_start_us
        self.until_us = until_us
        """Nothing is reserved of it from then on."""
        self.granted = granted
        self.settled = 0
        self.open = 0
        self.reserved = 0
        self.free = granted
        self.unknown = 0
        self.overrun = 0
        self.ended = False
        """Given back in full, or ended by the ledger: nothing more is reserved of it."""
        self.changed = False
        """Not in the table yet as it is now."""
        self.acked: LeaseReport | None = None
        """The report that the ledger answered last."""

    def idle(self) -> bool:
        """Whether no call is on it."""
        return not (self.open or self.reserved)

    def report(self) -> LeaseReport:
        """Its totals."""
        return LeaseReport(
            self.lease_id,
            self.meter,
            self.window_start_us,
            self.granted,
            self.settled,
            self.unknown,
            self.overrun,
            self.ended and self.idle(),
        )


class Rows:
    """Writes leases to the table: each change at once, or many together, which is cheaper.

    Until `write`, the table holds less to be open than is, where a call was dispatched: no byte of it may leave before.
    Otherwise it holds more, which is charged after a crash: nothing may be told of that before.
    """

    __slots__ = ("_changed", "_table", "together")

    def __init__(self, table: Table) -> None:
        self.together = False
        """Changes wait for `write`."""
        self._table = table
        self._changed: list[Slot] = []

    def put(self, slot: Slot) -> None:
        """Note that the lease changed."""
        if not self.together:
            self._update(slot)
        elif not slot.changed:
            slot.changed = True
            self._changed.append(slot)

    def write(self) -> None:
        """Write what changed since the last time."""
        if not self._changed:
            return
        changed, self._changed = self._changed, []
        for slot in changed:
            slot.changed = False
            self._update(slot)

    def _update(self, slot: Slot) -> None:
        self._table.update(slot.index, slot.granted, slot.settled, slot.open, slot.unknown, slot.overrun)


class Pool:
    """The leases of one meter."""

    __slots__ = ("head", "mark_taken", "mark_us", "rate", "slots", "taken", "used_us", "view", "view_until_us")

    def __init__(self, now_us: int) -> None:
        self.slots: list[Slot] = []
        self.head: Slot = NOTHING
        """Where the next reservation looks first."""
        self.used_us = now_us
        self.taken = 0
        """Reserved since ever, and at `mark_us`; `rate` is per second, of the time before that."""
        self.mark_taken = 0
        self.mark_us = now_us
        self.rate = 0
        self.view: AccountView | None = None
        self.view_until_us = 0

    def slice(self, slice_us: int, now_us: int) -> int:
        """What will be reserved in `slice_us`, by the rate so far; also keeps the rate, second by second."""
        elapsed_us = now_us - self.mark_us
        fresh = (self.taken - self.mark_taken) * 1_000_000 // max(elapsed_us, 1_000_000)
        if elapsed_us >= 1_000_000:
            self.rate = (self.rate + fresh) // 2 if self.rate else fresh
            self.mark_us, self.mark_taken = now_us, self.taken
        return max(self.rate, fresh) * slice_us // 1_000_000

    def add(self, slot: Slot) -> None:
        """Spend from one more lease."""
        self.slots.append(slot)
        if slot.free > self.head.free:
            self.head = slot

    def drop(self, slot: Slot) -> None:
        """Spend from it no more."""
        self.slots.remove(slot)
        if self.head is slot:
            self.head = max(self.slots, key=_free, default=NOTHING)

    def heard(self, view: AccountView, until_us: int) -> None:
        """Note how the account stands."""
        self.view, self.view_until_us = view, until_us

    def usable(self, now_us: int) -> int:
        """What can be reserved now."""
        return sum(slot.free for slot in self.slots if now_us < slot.until_us)

    def gather(self, amount: int, now_us: int, taken: list[tuple[Slot, int]]) -> bool:
        """Take `amount` from one lease if one holds it, else from several; false: all together do not hold it."""
        if amount > self.usable(now_us):
            return False
        for slot in sorted(self.slots, key=_free, reverse=True):
            part = min(slot.free, amount)
            if now_us < slot.until_us and (part or not amount):
                slot.free -= part
                slot.reserved += part
                taken.append((slot, part))
                amount -= part
                if not amount:
                    self.head = slot
                    return True
        return False


class Held:
    """A reservation on every meter of one attempt. Ends by exactly one `settle` or `release`."""

    __slots__ = ("parts", "state", "wants")

    def __init__(self, wants: Sequence[Want], parts: list[tuple[Slot, int]]) -> None:
        self.wants = wants
        self.parts = parts
        """In the order of `wants`; the parts of one want add up to its amount."""
        self.state: Literal["reserved", "dispatched", "done"] = "reserved"


def until(granted: Granted, sent_us: int) -> int:
    """When a lease ends, in the spender's time. Counted from the sending, which was before the ledger's answer."""
    return sent_us + granted.usable_for_us if granted.usable_for_us else FOREVER_US


def _free(slot: Slot) -> int:
    return slot.free


NOTHING = Slot(FULL, "", Meter("", "", ""), 0, 0, 0)
"""Stands in where a pool has no lease; never reserved from, since its time is over."""
