"""Wrong ledgers and wrong spenders, each with a mistake that others have made; the simulation must find every one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from unittest.mock import patch

from ledger_simulation import Rules

from routing_core.ledger import books, server, slots
from routing_core.ledger.books import Account, Lease
from routing_core.ledger.holder import GrantAsk, Holder
from routing_core.ledger.messages import WHOLE, Granted, LeaseAnswer, LeaseReport
from routing_core.ledger.meters import Want
from routing_core.ledger.slots import Held, Pool, Slot

_report = server._report
_grant = server.grant
_books_report = books.report
_until = slots.until


@dataclass(frozen=True)
class Mutant:
    """What is wrong: another spender, other rules, or other steps of the ledger."""

    rules: Rules = field(default_factory=Rules)
    patches: tuple[tuple[Any, str, Any], ...] = ()

    @contextmanager
    def alive(self) -> Any:
        with ExitStack() as stack:
            for where, name, what in self.patches:
                stack.enter_context(patch.object(where, name, what))
            yield self.rules


# The ledger


def free_when_reaping(account: Account, lease: Lease) -> int:
    if lease.state != "active":
        return 0
    account.leased -= lease.granted - lease.settled
    lease.granted, lease.state = lease.settled, "forfeited"
    return 0


def add_reports(account: Account, lease: Lease, told: LeaseReport) -> None:
    more = min(told.settled, lease.granted - lease.settled) if lease.settled else told.settled
    _books_report(account, lease, told._replace(settled=lease.settled + more, granted=max(told.granted, more)))


def believe_the_latest(account: Account, lease: Lease, told: LeaseReport) -> None:
    """The last report wins: a late one takes back what was given back since, even of a closed lease."""
    if lease.state != "forfeited" and lease.granted < told.granted < WHOLE:
        account.leased += told.granted - lease.granted
        lease.granted, lease.state = told.granted, "active"
    _books_report(account, lease, told)


def ignore_epochs(unit: server.Unit, replica_id: str, epoch: int, op_id: str, asks: Any, *, final: bool = True) -> Any:
    replica = unit.replicas.get(replica_id)
    return _grant(unit, replica_id, replica.epoch if replica else epoch, op_id, asks, final=final)


def charge_the_present_window(unit: server.Unit, replica: server.Replica, told: LeaseReport) -> LeaseAnswer:
    lease = unit.leases.get(told.lease_id)
    now = unit.current.get(told.meter)
    if lease is None or now is None or lease.window_start_us >= now.window_start_us:
        return _report(unit, replica, told)
    before = lease.settled
    answer = _report(unit, replica, told)
    unit.accounts[lease.meter, lease.window_start_us].settled -= lease.settled - before
    now.settled += lease.settled - before
    return answer


def forget_ops(unit: server.Unit, *args: Any, **named: Any) -> Any:
    """A repeated ask is granted anew."""
    unit.ops.clear()
    return _grant(unit, *args, **named)


def overlook(unit: server.Unit, replica: server.Replica, told: LeaseReport) -> None:
    """Neither mark an ask that was given up nor put back a lease that was lost."""


def grant_what_is_left(account: Account, need: int, want: int, replicas: int) -> int | None:
    remaining = account.cap - account.settled - account.leased
    amount = min(max(need, want), remaining) if account.hard else max(need, want)
    account.leased += amount
    return amount


def forget_the_end(account: Account, now_us: int) -> int:
    return 0


# The spender


class ReturnsFirst(Holder):
    """Tells the ledger that a rest goes back, and takes it off its own leases when that was answered."""

    def _give_back(self, slot: Slot) -> None:
        self._giving_up[slot.lease_id] = slot.report()._replace(granted=slot.granted - slot.free)

    def answered(self, report: LeaseReport, state: Any, view: Any) -> None:
        slot = self._slots.get(report.lease_id)
        if slot is not None and report == self._giving_up.get(report.lease_id):
            rest = min(slot.free, slot.granted - report.granted)
            slot.granted -= rest
            slot.free -= rest
            if slot.free == 0:
                super()._give_back(slot)
        super().answered(report, state, view)


class TakesWhatIsLeft(Holder):
    """A reservation that does not fit is made smaller and let through."""

    def reserve(self, wants: Sequence[Want], now_us: int) -> Held | None:
        pools = [self._pools.get(want.meter) or Pool(now_us) for want in wants]
        left = [pool.usable(now_us) for pool in pools]
        if all(left):
            wants = [Want(want.meter, min(want.amount, most)) for want, most in zip(wants, left, strict=True)]
        return super().reserve(wants, now_us)


class ReleasesOpen(Holder):
    """After a crash, frees what was dispatched and not settled."""

    def join(self, *args: Any) -> list[LeaseReport]:
        for row in self._table.load():
            self._table.update(row.index, row.granted, row.settled, 0, row.unknown, row.overrun)
        return super().join(*args)


class UnknownIsFree(Holder):
    """A call whose cost nobody knows is charged nothing."""

    def settle(self, held: Held, amounts: Sequence[int] | None) -> None:
        super().settle(held, [0] * len(held.wants) if amounts is None else amounts)


class DispatchesUnwritten(Holder):
    """The call goes out and the table does not know."""

    def dispatch(self, held: Held) -> None:
        write, self._write = self._write, lambda slot: None  # type: ignore[method-assign]
        super().dispatch(held)
        self._write = write  # type: ignore[method-assign]


class ForgetsLostAsks(Holder):
    """An ask without an answer is dropped, and with it what was granted."""

    def lost(self, ask: GrantAsk) -> None:
        self._asks.pop(ask.op_id, None)


class TakesLateGrants(Holder):
    """Spends from a grant that came after it was given up."""

    def granted(self, ask: GrantAsk, leases: Sequence[Granted], sent_us: int) -> bool:
        self._asks[ask.op_id] = ask
        return super().granted(ask, leases, sent_us)


class KeepsHalf(Holder):
    """What was reserved on the first meters stays reserved when a later one is short."""

    def _put_back(self, parts: list[tuple[Slot, int]]) -> None:
        pass


class HidesOverruns(Holder):
    """Charges a call its bound at most, and is silent about the rest."""

    def settle(self, held: Held, amounts: Sequence[int] | None) -> None:
        if amounts is not None:
            amounts = [min(cost, want.amount) for want, cost in zip(held.wants, amounts, strict=True)]
        super().settle(held, amounts)


class GivesBackTheForgotten(Holder):
    """Gives back whole a lease that it does not remember, though it may have spent it."""

    def _give_up(self, answer: LeaseAnswer, claim: int) -> None:
        super()._give_up(answer, 0 if claim == WHOLE else claim)

    def resync(self, *args: Any) -> list[LeaseReport]:
        self._retained.clear()
        return super().resync(*args)


class SpendsPastTheEnd(Holder):
    """Reserves from leases whose time is over."""

    def reserve(self, wants: Sequence[Want], now_us: int) -> Held | None:
        return super().reserve(wants, 0)


def spender(holder: type[Holder]) -> Mutant:
    return Mutant(Rules(holder=holder))


def ledger(where: Any, name: str, what: Any) -> Mutant:
    return Mutant(patches=((where, name, what),))


MUTANTS = {
    "the reaper releases instead of charging": ledger(books, "forfeit", free_when_reaping),
    "reports are added up": ledger(books, "report", add_reports),
    "the latest report wins": ledger(books, "report", believe_the_latest),
    "the table is trusted after a power loss": Mutant(Rules(trust_after_power_loss=True)),
    "returned before it is deducted": spender(ReturnsFirst),
    "resized to what remains": spender(TakesWhatIsLeft),
    "granted what is left": ledger(books, "grant", grant_what_is_left),
    "the identity is kept after a disk loss": Mutant(Rules(keep_identity_after_disk_loss=True)),
    "open calls are released after a crash": spender(ReleasesOpen),
    "unknown is charged nothing": spender(UnknownIsFree),
    "dispatched before it is written": spender(DispatchesUnwritten),
    "older lives are not fenced off": ledger(server, "grant", ignore_epochs),
    "lost grants are not given up": spender(ForgetsLostAsks),
    "grants are used after they were given up": spender(TakesLateGrants),
    "an ask given up is not marked": ledger(server, "_unheard_of", overlook),
    "a repeated ask is granted again": ledger(server, "grant", forget_ops),
    "late reports go to the present window": ledger(server, "_report", charge_the_present_window),
    "leases outlive their window": ledger(books, "usable_for", forget_the_end),
    "a lease's time counts from the answer": Mutant(Rules(count_from_receipt=True)),
    "leases are spent past their end": spender(SpendsPastTheEnd),
    "half a reservation stays": spender(KeepsHalf),
    "overruns are hidden": spender(HidesOverruns),
    "forgotten leases are freed": spender(GivesBackTheForgotten),
}
