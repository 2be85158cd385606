"""The ledger's rows: out of PostgreSQL, locked, and back."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import cast
from zoneinfo import ZoneInfo

from modelux_config.records import Row
from modelux_config.statements import sql
from modelux_store.database import Parameters, Transaction
from routing_core.ledger.books import Account, Lease
from routing_core.ledger.messages import WHOLE
from routing_core.ledger.meters import Meter
from routing_core.ledger.server import AccountKey, Op, Replica, Unit
from routing_core.windows import window

HEARD_EVERY_US = 5_000_000
"""How often a sign of life is written down: locks and disk writes are spared in between."""
_METER = ("budget_id", "value", "unit")
_ACCOUNT = tuple(f.name for f in fields(Account) if f.name not in ("meter", "max_duration_us"))
_LEASE = tuple(f.name for f in fields(Lease) if f.name != "meter")
_OP = tuple(f.name for f in fields(Op))
_REPLICA = tuple(f.name for f in fields(Replica))


class Retry(Exception):
    """The rows changed between two statements: begin anew."""


@dataclass(frozen=True, slots=True)
class Terms:
    """A budget as the ledger sees it. Deleted and disabled ones have terms too: their leases end in order."""

    row: Row

    @property
    def in_force(self) -> bool:
        return not self.row["deleted_at_us"] and not self.row["disabled"]

    @property
    def hard(self) -> bool:
        return self.row["action"] != "alert"

    @property
    def guards_runs(self) -> bool:
        """Every value is a run, which ends for good at its limit."""
        return (self.row["scope"], self.row["each"], self.row["period"]) == ("tag", True, "total")

    @property
    def ppms(self) -> list[int]:
        return [percent * 10_000 for percent in cast("list[int]", self.row["alert_percents"])]

    def cap(self, unit: str) -> int:
        return cast("int | None", self.row["cap_nano" if unit == "usd" else "max_calls"]) or WHOLE

    def window(self, at_us: int) -> tuple[int, int]:
        zone = ZoneInfo(cast(str, self.row["time_zone"]))
        return window(cast(str, self.row["period"]), at_us, zone, cast(int, self.row["period_start"]))

    def text(self, name: str) -> str:
        return cast(str, self.row[name])

    def limit_duration(self, account: Account) -> None:
        """The one term that accounts do not store."""
        account.max_duration_us = (cast("int | None", self.row["max_duration_s"]) or 0) * 1_000_000


def terms_of(rows: Iterable[Row] | None) -> dict[str, Terms]:
    return {cast(str, row["id"]): Terms(row) for row in rows or ()}


def account_of(row: Row) -> Account:
    return Account(_meter(row), **{name: row[name] for name in _ACCOUNT})  # type: ignore[arg-type]  # as the columns


def lease_of(row: Row) -> Lease:
    return Lease(meter=_meter(row), **{name: row[name] for name in _LEASE})  # type: ignore[arg-type]  # as the columns


def op_of(row: Row) -> Op:
    return Op(**{name: row[name] for name in _OP})  # type: ignore[arg-type]  # as the columns


def opening(key: AccountKey, terms: Terms, now_us: int) -> Mapping[str, object] | None:
    """The row of an account that is not there yet; None where the budget has no such unit or window."""
    meter, start_us = key
    first_us, end_us = terms.window(start_us)
    if meter.unit not in ("usd", "calls") or first_us != start_us or bool(meter.value) != bool(terms.row["each"]):
        return None
    return {
        **meter._asdict(),
        "window_start_us": start_us,
        "window_end_us": end_us,
        "cap": terms.cap(meter.unit),
        "hard": terms.hard,
        "started_us": now_us,
    }


async def lock_accounts(
    tx: Transaction,
    unit: Unit,
    keys: Sequence[AccountKey],
    terms: Mapping[str, Terms],
    *,
    opens: bool,
    lease_ids: Sequence[str] = (),
) -> bool:
    """Locks the accounts into the unit, those missing made before that if `opens`. False: some could be made.

    Who finds some missing begins anew and makes them first: locks of both kinds are then taken in one order.
    The leases named are read under these locks. Whoever changes a lease holds its account: they stay as they are.
    """
    if opens:
        rows = [opening(key, terms[key[0].budget_id], unit.now_us) for key in keys if key[0].budget_id in terms]
        await tx.execute(sql("ledger", "open_accounts"), {"accounts": json.dumps([row for row in rows if row])})
    reads = [accounts_read(keys), leases_read(lease_ids)] if lease_ids else [accounts_read(keys)]
    accounts, *leases = await tx.fetch_each(*reads)
    take_accounts(unit, accounts)
    for each in leases:
        unit.leases = leases_of(each)
    absent = [key for key in keys if key not in unit.accounts and key[0].budget_id in terms]
    return opens or not any(opening(key, terms[key[0].budget_id], unit.now_us) for key in absent)


def accounts_read(keys: Sequence[AccountKey]) -> tuple[str, Parameters]:
    """The statement that locks these."""
    names = ("budget_ids", "values", "units", "starts")
    columns = zip(*((*meter, start_us) for meter, start_us in keys), strict=True) if keys else ((),) * len(names)
    return sql("ledger", "accounts"), {name: list(column) for name, column in zip(names, columns, strict=True)}


def take_accounts(unit: Unit, rows: Iterable[Row]) -> None:
    """Into the unit what `accounts_read` found."""
    for row in rows:
        account = account_of(row)
        unit.accounts[account.meter, account.window_start_us] = account


def leases_read(lease_ids: Sequence[str]) -> tuple[str, Parameters]:
    """The statement that reads these."""
    return sql("ledger", "leases"), {"lease_ids": list(lease_ids)}


def leases_of(rows: Iterable[Row]) -> dict[str, Lease]:
    return {cast(str, row["lease_id"]): lease_of(row) for row in rows}


async def save(tx: Transaction, unit: Unit, heard_us: int = 0) -> None:
    """Writes what the operation changed. `heard_us`: the sign of life that is written down already.

    Raises `AlreadyExists` where the same ask, or its end, was committed meanwhile.
    """
    accounts, leases, ops, replicas = [], [], [], []
    for row in unit.dirty:
        if isinstance(row, Account):
            accounts.append(row.meter._asdict() | {name: getattr(row, name) for name in _ACCOUNT})
        elif isinstance(row, Lease):
            leases.append(row.meter._asdict() | {name: getattr(row, name) for name in _LEASE})
        elif isinstance(row, Op):
            ops.append({name: getattr(row, name) for name in _OP})
        elif row.heard_us - heard_us >= HEARD_EVERY_US:
            replicas.append({name: getattr(row, name) for name in _REPLICA})
    if accounts or leases or ops or replicas:
        found = {"accounts": accounts, "leases": leases, "ops": ops, "replicas": replicas}
        parameters = {name: json.dumps(rows) for name, rows in found.items()}
        await tx.execute(sql("ledger", "save"), {**parameters, "now_us": unit.now_us})


def _meter(row: Row) -> Meter:
    return Meter(*(cast(str, row[name]) for name in _METER))
