"""What a spender holds: leases to reserve calls from, without asking anyone.

Times are microseconds of a clock that also counts sleep (CLOCK_BOOTTIME), given by the caller.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from routing_core.ledger.messages import (
    WHOLE,
    AnswerState,
    Ask,
    Granted,
    LeaseAnswer,
    LeaseReport,
    Reason,
    lease_name,
    op_of,
)
from routing_core.ledger.meters import AccountView, Meter, Want
from routing_core.ledger.slots import FOREVER_US, FULL, Held, Pool, Rows, Slot, Table, until


@dataclass(frozen=True, slots=True)
class Limits:
    """How much a spender asks for, and how long it keeps what it does not use."""

    slice_us: int = 5_000_000
    """A slice should last this long at the rate of spending."""
    idle_us: int = 5_000_000
    """A meter not reserved from for this long is given back."""
    retain_us: int = 60_000_000
    """Ended leases are remembered for this long, to tell a database that was set back to an older state."""


LIMITS = Limits()


@dataclass(slots=True, eq=False)
class GrantAsk:
    """An ask on its way. Repeats of it carry the same `op_id`."""

    op_id: str
    asks: tuple[Ask, ...]


class Holder:
    """All leases of one replica in one life.

    Its life: `join` first; per attempt `reserve` (short: `ask`, then `granted`, `denied` or `lost`, and again),
    `dispatch`, then `settle` or `release`; several times a second `reports`, each answered by `answered`.
    """

    def __init__(self, table: Table, limits: Limits = LIMITS) -> None:
        self.replica_id = ""
        self.epoch = 0
        self.fenced = False
        """The ledger knows a later life of this replica, or lost this one: `resync` with a new join."""
        self._table = table
        self.rows = Rows(table)
        self._limits = limits
        self._pools: dict[Meter, Pool] = {}
        self._slots: dict[str, Slot] = {}
        self._asks: dict[str, GrantAsk] = {}
        self._giving_up: dict[str, LeaseReport] = {}
        """Final words on leases without a slot, said until they are answered."""
        self._retained: dict[str, tuple[int, Slot]] = {}
        """Ended and answered, with the time to forget them; oldest first."""
        self._now_us = 0

    # Lives

    def join(self, replica_id: str, epoch: int, known: Iterable[LeaseAnswer], now_us: int) -> list[LeaseReport]:
        """Begin a life on the table of the one before; what to report first.

        `known` are the leases that the ledger holds to be ours. Calls that were open are charged whole; the rest of
        every lease goes back. One that the table does not have was never spent from.
        """
        self.replica_id, self.epoch, self._now_us = replica_id, epoch, now_us
        for row in self._table.load():
            slot = Slot(row.index, row.lease_id, row.meter, row.window_start_us, row.settled + row.open, 0)
            slot.settled, slot.unknown, slot.overrun = row.settled + row.open, row.unknown + row.open, row.overrun
            slot.free, slot.ended = 0, True
            self._write(slot)
            self._slots[slot.lease_id] = slot
        for answer in known:
            if answer.lease_id not in self._slots:
                self._give_up(answer, 0)
        return self._unanswered()

    def resync(self, epoch: int, known: Iterable[LeaseAnswer]) -> list[LeaseReport]:
        """Join again in the same life, now and then and after `fenced`; what to report: everything.

        A lease of ours that we know nothing of (any more) is charged whole: it may have been spent.
        """
        if epoch < self.epoch:  # the answer to an earlier join, come late
            return self._unanswered()
        self.epoch, self.fenced = epoch, False
        for slot in self._slots.values():
            slot.acked = None
        for lease_id, (_, slot) in self._retained.items():
            self._giving_up[lease_id] = slot.report()
        for answer in known:
            lease_id = answer.lease_id
            if lease_id not in self._slots and lease_id not in self._giving_up and op_of(lease_id) not in self._asks:
                self._give_up(answer, WHOLE)
        return self._unanswered()

    # Calls

    def reserve(self, wants: Sequence[Want], now_us: int) -> Held | None:
        """Hold every want, or none and return None. Never waits; below a microsecond per meter.

        Raises ValueError for a negative amount.
        """
        parts: list[tuple[Slot, int]] = []
        pools = self._pools
        for want in wants:
            meter, amount = want.meter, want.amount
            pool = pools.get(meter)
            if pool is None:
                self._put_back(parts)
                return None
            slot = pool.head
            if 0 <= amount <= slot.free and now_us < slot.until_us:
                slot.free -= amount
                slot.reserved += amount
                parts.append((slot, amount))
            elif amount < 0 or not pool.gather(amount, now_us, parts):
                self._put_back(parts)
                if amount < 0:
                    raise ValueError(f"{amount} of {meter} cannot be reserved: a bound is 0 or more")
                return None
            pool.taken += amount
            pool.used_us = now_us
        return Held(wants, parts)

    def dispatch(self, held: Held) -> None:
        """The call goes out: from here on the provider may bill it. Raises ValueError if it went or ended before."""
        if held.state != "reserved":
            raise ValueError(f"a call is dispatched once, and this one is {held.state}")
        held.state = "dispatched"
        for slot, amount in held.parts:
            slot.reserved -= amount
            slot.open += amount
            self._write(slot)

    def settle(self, held: Held, amounts: Sequence[int] | None) -> None:
        """The call ended and cost this much, want by want; None: nobody knows, and all that was held is charged.

        More than was held is an overrun: charged as well, and told apart. Raises ValueError, and does nothing, if it
        was not dispatched or `amounts` is not one cost of 0 or more for each want.
        """
        if held.state != "dispatched":
            raise ValueError(f"a call is settled after its dispatch and before it ended, and this one is {held.state}")
        if amounts is not None and (len(amounts) != len(held.wants) or min(amounts, default=0) < 0):
            raise ValueError(f"{list(amounts)} are not the costs of {len(held.wants)} wants")
        held.state = "done"
        if amounts is None:
            for slot, part in held.parts:
                slot.unknown += part
                self._charge(slot, part, part)
            return
        parts = iter(held.parts)
        for want, cost in zip(held.wants, amounts, strict=True):
            slot, part = next(parts)
            left = want.amount - part
            while left:
                self._charge(slot, part, min(cost, part))
                cost -= min(cost, part)
                slot, part = next(parts)
                left -= part
            if cost > part:
                slot.overrun += cost - part
                cost = part
            self._charge(slot, part, cost)

    def release(self, held: Held) -> None:
        """The call did not go out, or surely was not billed. Raises ValueError if it ended before."""
        if held.state == "done":
            raise ValueError("a call that ended cannot be released")
        if held.state == "dispatched":
            held.state = "done"
            for slot, part in held.parts:
                self._charge(slot, part, 0)
            return
        held.state = "done"
        for slot, part in held.parts:
            slot.reserved -= part
            slot.free += part

    # Leases

    def ask(self, op_id: str, wants: Sequence[Want], now_us: int) -> GrantAsk:
        """What to ask the ledger for when `wants` could not be reserved: what is missing, and some more to last.

        `op_id` is new for each ask. A want of 1 asks ahead for a meter that runs low.
        """
        needs: dict[Meter, int] = {}
        for want in wants:
            needs[want.meter] = needs.get(want.meter, 0) + want.amount
        asks = []
        for meter, need in sorted(needs.items()):
            pool = self._pools.setdefault(meter, Pool(now_us))
            short = need - pool.usable(now_us)
            if short > 0 or not pool.slots:
                asks.append(Ask(meter, max(short, 1), max(short, 1, pool.slice(self._limits.slice_us, now_us))))
        made = self._asks[op_id] = GrantAsk(op_id, tuple(asks))
        return made

    def granted(self, ask: GrantAsk, leases: Sequence[Granted], sent_us: int) -> bool:
        """The ask first sent at `sent_us` got these. False: it was ended before, and nothing is taken."""
        if self._asks.pop(ask.op_id, None) is None:
            return False
        for lease in leases:
            view = lease.account
            index = self._table.add(lease.lease_id, view.meter, view.window_start_us, lease.amount)
            if index == FULL and self._retained:
                self._forget(next(iter(self._retained)))
                index = self._table.add(lease.lease_id, view.meter, view.window_start_us, lease.amount)
            if index == FULL:
                self._give_up(LeaseAnswer(lease.lease_id, "active", view), 0)
                continue
            until_us = until(lease, sent_us)
            slot = Slot(index, lease.lease_id, view.meter, view.window_start_us, lease.amount, until_us)
            self._slots[lease.lease_id] = slot
            pool = self._pools.setdefault(view.meter, Pool(sent_us))
            pool.add(slot)
            pool.heard(view, until_us)
        return True

    def denied(self, ask: GrantAsk, view: AccountView | None, reason: Reason) -> None:
        """The ask got nothing. An answer to one that was ended before changes nothing."""
        if ask.op_id not in self._asks:
            return
        if reason in ("closed", "fenced"):  # an earlier repeat of it may have been granted
            self.fenced = self.fenced or reason == "fenced"
            self.lost(ask)
            return
        del self._asks[ask.op_id]
        if view is not None and (pool := self._pools.get(view.meter)) is not None:
            pool.heard(view, FOREVER_US)

    def lost(self, ask: GrantAsk) -> None:
        """No answer came and none is waited for: what the ledger may have granted, now or later, goes back."""
        if self._asks.pop(ask.op_id, None) is None:
            return
        for index, (meter, _, _) in enumerate(ask.asks):
            lease_id = lease_name(ask.op_id, index)
            self._giving_up[lease_id] = LeaseReport(lease_id, meter, 0, 0, 0, 0, 0, True)

    def recall(self, meters: Iterable[Meter]) -> None:
        """Another replica is short of these: what no call holds goes back with the next reports."""
        for meter in meters:
            pool = self._pools.get(meter)
            for slot in list(pool.slots) if pool is not None else ():
                self._give_back(slot)

    # Reports

    def reports(self, now_us: int) -> list[LeaseReport]:
        """What the ledger has not answered yet, with what is idle or out of time given back. Repeat it as you like."""
        self._now_us = now_us
        for meter, pool in list(self._pools.items()):
            pool.slice(self._limits.slice_us, now_us)
            unused = now_us - pool.used_us >= self._limits.idle_us
            for slot in list(pool.slots):
                if unused or now_us >= slot.until_us or slot.granted == slot.settled:
                    self._give_back(slot)
            if unused and not pool.slots and now_us - pool.used_us >= self._limits.retain_us:
                del self._pools[meter]
        while self._retained:
            lease_id = next(iter(self._retained))
            if now_us < self._retained[lease_id][0]:
                break
            self._forget(lease_id)
        return self._unanswered()

    def give_back(self) -> None:
        """Before the end of the process: all that no call holds goes back with the next reports."""
        self.recall(list(self._pools))

    def forget_ended(self) -> None:
        """At an orderly end, when all was answered: no later life needs to tell of ended leases again."""
        for lease_id in list(self._retained):
            self._forget(lease_id)

    def answered(self, report: LeaseReport, state: AnswerState, view: AccountView | None) -> None:
        """The ledger's answer to one report; answers may be lost, come twice or late."""
        if state == "fenced":
            self.fenced = True
            return
        if view is not None:
            pool = self._pools.get(view.meter)
            if pool is not None and pool.view is not None and pool.view.window_start_us == view.window_start_us:
                pool.view = view
        lease_id = report.lease_id
        if report == self._giving_up.get(lease_id):
            del self._giving_up[lease_id]
        slot = self._slots.get(lease_id)
        if slot is None:
            return
        slot.acked = report
        if state == "active":
            return
        if not slot.ended:
            slot.ended = True
            self._pools[slot.meter].drop(slot)
        if slot.idle() and report == slot.report():
            del self._slots[lease_id]
            self._retained[lease_id] = (self._now_us + self._limits.retain_us, slot)

    # What is known

    def view(self, meter: Meter, now_us: int) -> AccountView | None:
        """How the account stood when the ledger last told, without what lies idle here; None: nothing current is known.

        May be of a past window where the ledger denied and nothing was granted since: see its `window_end_us`.
        """
        pool = self._pools.get(meter)
        if pool is None or pool.view is None or now_us >= pool.view_until_us:
            return None
        told = pool.view
        idle = sum(slot.free for slot in pool.slots if slot.window_start_us == told.window_start_us)
        leased = max(told.leased - idle, 0)
        return AccountView(meter, told.window_start_us, told.window_end_us, told.cap, told.settled, leased, told.hard)

    def low(self, now_us: int) -> list[Meter]:
        """The meters that will run dry in half a slice's time, to ask ahead for."""
        half_us = self._limits.slice_us // 2
        return [meter for meter, pool in self._pools.items() if pool.usable(now_us) < pool.slice(half_us, now_us)]

    def reserved(self, unit: str) -> int:
        """What calls under way hold, over all meters of a unit."""
        return sum(slot.open + slot.reserved for slot in self._slots.values() if slot.meter.unit == unit)

    def empty(self) -> bool:
        """Whether nothing is held, nothing is on its way and nothing is left to be told."""
        return not (self._slots or self._asks or self._giving_up or self._retained)

    def faults(self) -> list[str]:
        """What does not add up, for tests: every lease is what was spent, is open, is reserved or is free."""
        found = []
        for slot in self._slots.values():
            parts = (slot.settled, slot.open, slot.reserved, slot.free)
            if min(parts) < 0 or sum(parts) != slot.granted or not 0 <= slot.unknown <= slot.settled:
                found.append(f"{slot.lease_id}: granted {slot.granted}, settled, open, reserved, free are {parts}")
        return found

    # Steps of the above

    def _charge(self, slot: Slot, part: int, cost: int) -> None:
        slot.open -= part
        slot.settled += cost
        slot.free += part - cost
        self._write(slot)

    def _write(self, slot: Slot) -> None:
        self.rows.put(slot)

    def _put_back(self, parts: list[tuple[Slot, int]]) -> None:
        for slot, part in parts:
            slot.reserved -= part
            slot.free += part
            self._pools[slot.meter].taken -= part

    def _give_back(self, slot: Slot) -> None:
        """Claim less, in the table before in a report; a lease that no call is on ends."""
        if slot.free:
            slot.granted -= slot.free
            slot.free = 0
            self._write(slot)
        if slot.idle():
            slot.ended = True
            self._pools[slot.meter].drop(slot)

    def _give_up(self, answer: LeaseAnswer, claim: int) -> None:
        view = answer.account
        if view is not None:
            self._giving_up[answer.lease_id] = LeaseReport(
                answer.lease_id, view.meter, view.window_start_us, claim, 0, 0, 0, True
            )

    def _unanswered(self) -> list[LeaseReport]:
        """What to tell, after it is in the table: no later life may claim more of a lease than was told."""
        self.rows.write()
        told = list(self._giving_up.values())
        for slot in self._slots.values():
            report = slot.report()
            if report != slot.acked:
                told.append(report)
        return told

    def _forget(self, lease_id: str) -> None:
        _, slot = self._retained.pop(lease_id)
        self.rows.write()  # the row may go to another lease
        self._table.remove(slot.index)
