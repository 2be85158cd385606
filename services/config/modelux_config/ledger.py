"""The lease ledger over PostgreSQL: each operation is one transaction around the core's decision."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar, cast

from modelux_config import ledger_events
from modelux_config.ledger_known import Known
from modelux_config.ledger_recalls import Recalls
from modelux_config.ledger_rows import (
    Retry,
    Terms,
    accounts_read,
    leases_of,
    leases_read,
    lock_accounts,
    op_of,
    save,
    take_accounts,
    terms_of,
)
from modelux_config.records import Row
from modelux_config.statements import sql
from modelux_contracts.ids import new_id
from modelux_store.database import AlreadyExists, Database, Parameters, Transaction
from routing_core.ledger import server
from routing_core.ledger.messages import Ask, Denied, Granted, Joined, LeaseAnswer, LeaseReport, lease_name
from routing_core.ledger.messages import op_of as ask_of
from routing_core.ledger.meters import Meter
from routing_core.ledger.server import Replica, Unit

LIVE_US = 60_000_000
ATTEMPTS = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Begun:
    """A transaction under way: the rows so far, and what is known of the budgets."""

    tx: Transaction
    unit: Unit
    terms: dict[str, Terms]
    heard_us: int
    opens: bool
    """Whether missing accounts are made, see `lock_accounts`: from the second attempt on."""
    known: Known


@dataclass(frozen=True, slots=True)
class Ledger:
    """One per process; several work side by side on one database."""

    database: Database
    recalls: Recalls
    known: Known = field(default_factory=Known)

    async def join(self, replica_id: str) -> Joined:
        """Begins a life of a replica. Raises `Unavailable`, as all of these."""
        name = replica_id or new_id("rep_")
        return await self._attempts(lambda tx, opens: self._join(tx, name, opens))

    async def grant(self, replica_id: str, epoch: int, op_id: str, asks: Sequence[Ask]) -> tuple[Granted, ...] | Denied:
        """Grants all or nothing. Where it is short and others hold idle slices, they are called back first."""
        names = (replica_id, epoch, op_id, asks)
        answer, recall = await self._attempts(lambda tx, opens: self._grant(tx, opens, *names, final=False))
        if not recall:
            return answer
        assert isinstance(answer, Denied)
        assert answer.account is not None
        await self.recalls.returned(answer.account.meter)
        answer, _ = await self._attempts(lambda tx, opens: self._grant(tx, opens, *names, final=True))
        return answer

    async def refuse(self, replica_id: str, epoch: int, meter: Meter, needed: int, request_id: str) -> Denied:
        """Takes note of a call that was refused for good; it may end the run."""
        names = (replica_id, epoch, meter, needed, request_id)
        return await self._attempts(lambda tx, opens: self._refuse(tx, opens, *names))

    async def report(self, replica_id: str, epoch: int, reports: Sequence[LeaseReport]) -> list[LeaseAnswer]:
        """Takes over totals of leases; none: a sign of life."""
        answers = await self._attempts(lambda tx, opens: self._report(tx, opens, replica_id, epoch, reports))
        self.recalls.came_back(told.meter for told in reports)
        return answers

    async def reap(self, silent_us: int) -> int:
        """Charges what silent replicas hold; the sum."""
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("ledger", "silent"), {"silent_us": silent_us})
        total = 0
        for row in rows:
            name = cast(str, row["replica_id"])
            total += await self._attempts(partial(self._reap, replica_id=name, silent_us=silent_us))
        return total

    async def _attempts(self, work: Callable[[Transaction, bool], Awaitable[T]]) -> T:
        for attempt in range(ATTEMPTS):
            try:
                async with self.database.transaction(pipelined=True) as tx:
                    return await work(tx, attempt > 0)
            except (Retry, AlreadyExists):
                if attempt == ATTEMPTS - 1:
                    raise
        raise AssertionError("unreachable")

    async def _join(self, tx: Transaction, replica_id: str, opens: bool) -> Joined:
        begun = await _begin_alone(tx, replica_id, opens, self.known)
        joined = server.join(begun.unit, replica_id)
        await save(tx, begun.unit)
        return joined

    async def _reap(self, tx: Transaction, opens: bool, *, replica_id: str, silent_us: int) -> int:
        begun = await _begin_alone(tx, replica_id, opens, self.known)
        amount = server.reap(begun.unit, replica_id, silent_us)
        await ledger_events.alerts(tx, begun.unit, begun.terms)
        await save(tx, begun.unit)
        return amount

    async def _grant(
        self, tx: Transaction, opens: bool, replica_id: str, epoch: int, op_id: str, asks: Sequence[Ask], *, final: bool
    ) -> tuple[tuple[Granted, ...] | Denied, bool]:
        """The answer, and whether it is worth while to wait for what others hold."""
        meters = [ask.meter for ask in asks]
        guess = [] if opens else self.known.guess(meters)
        then = [accounts_read(guess)] if guess else []
        budget_ids = [meter.budget_id for meter in meters]
        begun, op, rows = await _begin(tx, opens, self.known, replica_id, budget_ids, op_id, *then)
        unit, terms = begun.unit, begun.terms
        take_accounts(unit, rows)
        earlier: list[server.AccountKey] = []
        if op is not None:
            unit.ops[op_id] = op_of(op)
            names = [lease_name(op_id, index) for index in range(len(asks))]
            unit.leases = leases_of(*await tx.fetch_each(leases_read(names)))
            earlier = [(lease.meter, lease.window_start_us) for lease in unit.leases.values()]
        await _enter(begun, meters, earlier)
        aborted = {meter for meter, account in unit.current.items() if account.aborted}
        answer = server.grant(unit, replica_id, epoch, op_id, asks, final=False)
        short = isinstance(answer, Denied) and answer.reason == "exceeded" and op is None
        if short:
            assert isinstance(answer, Denied)
            if not final and await self.recalls.begin(tx, answer, replica_id, unit.live_replicas):
                return answer, True
            answer = server.grant(unit, replica_id, epoch, op_id, asks)
        if isinstance(answer, Denied) and answer.reason != "exceeded" and op is None:
            await ledger_events.denied(tx, unit, terms, answer, replica_id, op_id, aborted)
        await ledger_events.alerts(tx, unit, terms)
        await save(tx, unit, begun.heard_us)
        return answer, False

    async def _refuse(
        self, tx: Transaction, opens: bool, replica_id: str, epoch: int, meter: Meter, needed: int, request_id: str
    ) -> Denied:
        begun, _, _ = await _begin(tx, opens, self.known, replica_id, [meter.budget_id], "")
        unit, terms = begun.unit, begun.terms
        await _enter(begun, [meter])
        aborted = {each for each, account in unit.current.items() if account.aborted}
        run = meter.budget_id in terms and terms[meter.budget_id].guards_runs
        answer = server.refuse(unit, replica_id, epoch, meter, needed, run=run)
        await ledger_events.denied(tx, unit, terms, answer, replica_id, request_id, aborted)
        await save(tx, unit, begun.heard_us)
        return answer

    async def _report(
        self, tx: Transaction, opens: bool, replica_id: str, epoch: int, reports: Sequence[LeaseReport]
    ) -> list[LeaseAnswer]:
        names, budget_ids = [told.lease_id for told in reports], [told.meter.budget_id for told in reports]
        then = [leases_read(names)] if names else []
        begun, _, rows = await _begin(tx, opens, self.known, replica_id, budget_ids, "", *then)
        unit = begun.unit
        if names:
            keys = server.report_accounts(leases_of(rows), reports)
            await _lock(begun, keys, names)
            if not set(server.report_accounts(unit.leases, reports)) <= set(keys):
                raise Retry
            asked = [ask_of(name) for name in names if name not in unit.leases]
            for row in await tx.fetch_all(sql("ledger", "ops"), {"op_ids": asked}) if asked else []:
                unit.ops[cast(str, row["op_id"])] = op_of(row)
        answers = server.report(unit, replica_id, epoch, reports)
        await ledger_events.alerts(tx, unit, begun.terms)
        await save(tx, unit, begun.heard_us)
        return answers


async def _begin(
    tx: Transaction,
    opens: bool,
    known: Known,
    replica_id: str,
    budget_ids: Sequence[str],
    op_id: str,
    *then: tuple[str, Parameters],
) -> tuple[Begun, Row | None, list[Row]]:
    """The rows to begin with, what came of the ask before, and the rows of the statement sent along."""
    named = {"replica_id": replica_id, "budget_ids": sorted(set(budget_ids)), "op_id": op_id, "live_us": LIVE_US}
    (row,), *more = await tx.fetch_each((sql("ledger", "begin"), named), *then)
    unit, heard_us = _unit(row, replica_id)
    unit.live_replicas = max(cast(int, row["live_replicas"]), 1)
    terms = terms_of(cast("list[Row] | None", row["budgets"]))
    begun = Begun(tx, unit, terms, heard_us, opens, known)
    return begun, cast("Row | None", row["op"]), [each for rows in more for each in rows]


async def _begin_alone(tx: Transaction, replica_id: str, opens: bool, known: Known) -> Begun:
    """A replica with all its leases and their accounts, while it can do nothing."""
    row = await tx.fetch_one(sql("ledger", "begin_alone"), {"replica_id": replica_id})
    assert row is not None
    unit, heard_us = _unit(row, replica_id)
    unit.leases = leases_of(await tx.fetch_all(sql("ledger", "leases_of"), {"replica_id": replica_id}))
    leases = unit.leases.values()
    budget_ids = sorted({lease.meter.budget_id for lease in leases})
    terms = terms_of(await tx.fetch_all(sql("ledger", "budgets"), {"budget_ids": budget_ids})) if leases else {}
    begun = Begun(tx, unit, terms, heard_us, opens, known)
    await _lock(begun, sorted({(lease.meter, lease.window_start_us) for lease in leases}))
    return begun


async def _enter(begun: Begun, meters: Sequence[Meter], others: Sequence[server.AccountKey] = ()) -> None:
    """The accounts of the windows that hold now, by the terms of now; `others` are locked with them."""
    unit = begun.unit
    terms = {meter: begun.terms[meter.budget_id] for meter in meters if _in_force(begun.terms, meter)}
    current = {meter: (meter, each.window(unit.now_us)[0]) for meter, each in terms.items()}
    await _lock(begun, [*current.values(), *others])
    begun.known.hold_now(current.values())
    for meter, key in current.items():
        if key in unit.accounts:
            account = unit.current[meter] = unit.accounts[key]
            server.change_cap(unit, account, terms[meter].cap(meter.unit), terms[meter].hard)
            terms[meter].limit_duration(account)


async def _lock(begun: Begun, keys: Sequence[server.AccountKey], lease_ids: Sequence[str] = ()) -> None:
    """Accounts that were locked with the beginning are the only ones, or all is begun anew: locks keep one order."""
    unit, known = begun.unit, begun.known
    if unit.accounts and unit.accounts.keys() >= set(keys):
        return
    if unit.accounts:
        raise Retry
    if keys or lease_ids:
        opens = begun.opens or not known.all_seen(keys)
        if not await lock_accounts(begun.tx, unit, keys, begun.terms, opens=opens, lease_ids=lease_ids):
            raise Retry
        known.add(unit.accounts)


def _unit(row: Row, replica_id: str) -> tuple[Unit, int]:
    unit = Unit(cast(int, row["now_us"]))
    if row["epoch"] is None:
        return unit, 0
    heard_us = cast(int, row["heard_us"])
    unit.replicas[replica_id] = Replica(replica_id, cast(int, row["epoch"]), heard_us)
    return unit, heard_us


def _in_force(terms: Mapping[str, Terms], meter: Meter) -> bool:
    found = terms.get(meter.budget_id)
    return found is not None and found.in_force
