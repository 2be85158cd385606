"""The ledger's operations over the rows that one transaction loaded and locked.

Storage loads a `Unit`, calls one function, and writes `unit.dirty` before it commits. Locks are taken in this order:
replica, accounts by (meter, window_start_us), leases, op. Raise nothing away: a `Denied` is committed as well.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from routing_core.ledger import books
from routing_core.ledger.books import Account, Lease
from routing_core.ledger.messages import (
    WHOLE,
    AnswerState,
    Ask,
    Denied,
    Granted,
    Joined,
    LeaseAnswer,
    LeaseReport,
    Reason,
    lease_name,
    op_of,
)
from routing_core.ledger.meters import Meter

SILENT_US = 15 * 60 * 1_000_000
"""A replica not heard of for this long has its leases forfeited."""

AccountKey = tuple[Meter, int]
"""Meter and window_start_us."""


@dataclass(slots=True, eq=False)
class Replica:
    """A spender: its latest life, and when it was last heard of."""

    replica_id: str
    epoch: int
    heard_us: int


@dataclass(slots=True, eq=False)
class Op:
    """What came of an ask: so many leases, or the reason and which part of it was short. Kept for 8 days or more."""

    op_id: str
    replica_id: str
    at_us: int
    leases: int = 0
    reason: Reason | None = None
    short: int = 0


Row = Account | Lease | Replica | Op


@dataclass(slots=True, eq=False)
class Unit:
    """The rows of one transaction, all locked. What a function names as loaded and is not here does not exist."""

    now_us: int
    """The database's clock."""
    live_replicas: int = 1
    """Heard of within the last minute."""
    replicas: dict[str, Replica] = field(default_factory=dict)
    current: dict[Meter, Account] = field(default_factory=dict)
    """The accounts of the windows that hold `now_us`; storage makes them for budgets that exist."""
    accounts: dict[AccountKey, Account] = field(default_factory=dict)
    """Accounts of any window."""
    leases: dict[str, Lease] = field(default_factory=dict)
    ops: dict[str, Op] = field(default_factory=dict)
    dirty: set[Row] = field(default_factory=set)
    """Rows to insert or update."""


def join(unit: Unit, replica_id: str) -> Joined:
    """Begin a life of a replica, known or not. Loaded: the replica, its active leases and their accounts.

    The epoch is the time, so that it grows even where the database forgot the last one.
    """
    replica = unit.replicas.get(replica_id)
    if replica is None:
        replica = unit.replicas[replica_id] = Replica(replica_id, 0, unit.now_us)
    replica.epoch = max(replica.epoch + 1, unit.now_us)
    _heard(unit, replica)
    return Joined(replica_id, replica.epoch, tuple(_answer(unit, lease) for lease in _active(unit, replica_id)))


def grant(
    unit: Unit, replica_id: str, epoch: int, op_id: str, asks: Sequence[Ask], *, final: bool = True
) -> tuple[Granted, ...] | Denied:
    """Grant all asks or none. Repeated it gives the same answer, so long as its leases are active.

    Loaded: the replica, the current accounts of the asks' meters, the op, its leases (`lease_name`) and their accounts.
    Not `final`: a denial for want of money leaves no trace, for a caller that recalls idle slices and tries once more.
    Raises ValueError where a meter comes twice or a need is below 1.
    """
    if len({ask.meter for ask in asks}) < len(asks) or any(ask.need < 1 for ask in asks):
        raise ValueError("an ask names each meter once, and a need of 1 or more")
    replica = unit.replicas.get(replica_id)
    if replica is None or replica.epoch != epoch:
        return Denied("fenced")
    _heard(unit, replica)
    op = unit.ops.get(op_id)
    if op is not None:
        return _repeat(unit, op, replica_id, asks)
    for index, ask in enumerate(asks):
        account = unit.current.get(ask.meter)
        reason = "gone" if account is None else books.refusal(account, ask.need, unit.now_us)
        if reason is not None:
            return _deny(unit, Op(op_id, replica_id, unit.now_us, 0, reason, index), ask, final)
    return _lease(unit, replica, op_id, asks)


def refuse(unit: Unit, replica_id: str, epoch: int, meter: Meter, needed: int, *, run: bool) -> Denied:
    """Take note of a call that was refused for good, where it could have done with `needed`.

    It ends a `run` that has spent so much that `needed` would not fit even if all that is reserved came back. Loaded:
    the replica, and the meter's current account.
    """
    replica = unit.replicas.get(replica_id)
    if replica is None or replica.epoch != epoch:
        return Denied("fenced")
    _heard(unit, replica)
    account = unit.current.get(meter)
    if account is None:
        return Denied("gone", needed)
    first = not account.exceeded
    account.exceeded = True
    account.aborted = account.aborted or (run and account.hard and needed > account.cap - account.settled)
    unit.dirty.add(account)
    return Denied("run_aborted" if account.aborted else "exceeded", needed, account.view(), first)


def report(unit: Unit, replica_id: str, epoch: int, reports: Sequence[LeaseReport]) -> list[LeaseAnswer]:
    """Take over totals of leases, one answer each; none reported: a sign of life.

    Loaded: the replica, the leases named, the ops of those (`op_of`), and the accounts of `report_accounts`, made where
    they are missing and the budget exists. A report of an older life is ignored.
    """
    replica = unit.replicas.get(replica_id)
    if replica is None or replica.epoch != epoch:
        return [LeaseAnswer(told.lease_id, "fenced", None) for told in reports]
    _heard(unit, replica)
    return [_report(unit, replica, told) for told in reports]


def report_accounts(leases: Mapping[str, Lease], reports: Sequence[LeaseReport]) -> list[AccountKey]:
    """The accounts that reports touch, in the order of locking; `leases` are those of them that exist."""
    keys = set()
    for told in reports:
        lease = leases.get(told.lease_id)
        if lease is not None:
            keys.add((lease.meter, lease.window_start_us))
        elif told.granted not in (0, WHOLE):
            keys.add((told.meter, told.window_start_us))
    return sorted(keys)


def forfeit(unit: Unit, lease_id: str) -> int:
    """Charge the rest of one lease, by an operator's will; the amount. Loaded: the lease and its account."""
    lease = unit.leases.get(lease_id)
    if lease is None:
        return 0
    account = unit.accounts[lease.meter, lease.window_start_us]
    unit.dirty |= {lease, account}
    return books.forfeit(account, lease)


def reap(unit: Unit, replica_id: str, silent_us: int = SILENT_US) -> int:
    """Forfeit all leases of a replica that is silent for `silent_us`; the amount. Loaded: as for `join`."""
    replica = unit.replicas.get(replica_id)
    if replica is None or unit.now_us - replica.heard_us < silent_us:
        return 0
    return sum(forfeit(unit, lease.lease_id) for lease in _active(unit, replica_id))


def change_cap(unit: Unit, account: Account, cap: int, hard: bool) -> None:
    """Set the terms of the current account anew after its budget was edited; nothing where they are the same."""
    if (account.cap, account.hard) != (cap, hard):
        books.change_cap(account, cap, hard)
        unit.dirty.add(account)


def _report(unit: Unit, replica: Replica, told: LeaseReport) -> LeaseAnswer:
    lease = unit.leases.get(told.lease_id)
    if lease is None:
        lease = _unheard_of(unit, replica, told)
        if lease is None:
            account = unit.accounts.get((told.meter, told.window_start_us))
            return LeaseAnswer(told.lease_id, "closed", account.view() if account else None)
    if lease.replica_id != replica.replica_id:
        return LeaseAnswer(told.lease_id, "forfeited", None)
    account = unit.accounts[lease.meter, lease.window_start_us]
    books.report(account, lease, told)
    unit.dirty |= {lease, account}
    return _answer(unit, lease)


def _unheard_of(unit: Unit, replica: Replica, told: LeaseReport) -> Lease | None:
    """A report on a lease that is not in the books.

    Given up before its grant came through: the op is marked, so that the grant is refused when it does. Spent from or
    claimed: the database lost it, and it is put back.
    """
    op_id = op_of(told.lease_id)
    if op_id not in unit.ops:
        op = unit.ops[op_id] = Op(op_id, replica.replica_id, unit.now_us, 0, "closed")
        unit.dirty.add(op)
    account = unit.accounts.get((told.meter, told.window_start_us))
    if account is None or told.granted in (0, WHOLE):
        return None
    lease = books.reinstate(account, replica.replica_id, replica.epoch, told)
    unit.leases[lease.lease_id] = lease
    return lease


def _lease(unit: Unit, replica: Replica, op_id: str, asks: Sequence[Ask]) -> tuple[Granted, ...]:
    granted = []
    for index, (meter, need, want) in enumerate(asks):
        account = unit.current[meter]
        amount = books.grant(account, need, want, unit.live_replicas)
        assert amount is not None  # `refusal` was asked before
        lease_id = lease_name(op_id, index)
        lease = Lease(lease_id, meter, account.window_start_us, replica.replica_id, replica.epoch, amount)
        unit.leases[lease_id] = lease
        unit.dirty |= {lease, account}
        granted.append(Granted(lease_id, amount, books.usable_for(account, unit.now_us), account.view()))
    op = unit.ops[op_id] = Op(op_id, replica.replica_id, unit.now_us, len(asks))
    unit.dirty.add(op)
    return tuple(granted)


def _deny(unit: Unit, op: Op, ask: Ask, final: bool) -> Denied:
    account = unit.current.get(ask.meter)
    assert op.reason is not None
    if final or op.reason != "exceeded":
        unit.ops[op.op_id] = op
        unit.dirty.add(op)
    if account is not None and op.reason == "too_long":
        account.aborted = True
        unit.dirty.add(account)
    return Denied(op.reason, ask.need, account.view() if account is not None else None)


def _repeat(unit: Unit, op: Op, replica_id: str, asks: Sequence[Ask]) -> tuple[Granted, ...] | Denied:
    """The answer that an ask was given before; a lease granted then may be spent for less long by now."""
    if op.reason is not None and op.reason != "closed" and op.short < len(asks):
        ask = asks[op.short]
        account = unit.current.get(ask.meter)
        return Denied(op.reason, ask.need, account.view() if account else None)
    leases = [unit.leases.get(lease_name(op.op_id, index)) for index in range(op.leases)]
    granted = []
    for lease in leases:
        if lease is None or lease.state != "active" or lease.replica_id != replica_id:
            return Denied("closed")
        account = unit.accounts.get((lease.meter, lease.window_start_us))
        if account is None:
            return Denied("closed")
        granted.append(Granted(lease.lease_id, lease.granted, books.usable_for(account, unit.now_us), account.view()))
    return tuple(granted) if granted else Denied("closed")


def _answer(unit: Unit, lease: Lease) -> LeaseAnswer:
    state: AnswerState = lease.state
    return LeaseAnswer(lease.lease_id, state, unit.accounts[lease.meter, lease.window_start_us].view())


def _active(unit: Unit, replica_id: str) -> list[Lease]:
    return [row for row in unit.leases.values() if row.replica_id == replica_id and row.state == "active"]


def _heard(unit: Unit, replica: Replica) -> None:
    replica.heard_us = unit.now_us
    unit.dirty.add(replica)
