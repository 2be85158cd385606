"""What was spent of budgets, read from the ledger: the current window, the history, where it is heading."""

from __future__ import annotations

from typing import cast
from zoneinfo import ZoneInfo

from modelux.config.v1 import admin_pb2 as pb
from modelux_config.budgets import find
from modelux_config.pages import page
from modelux_config.records import Row, fill
from modelux_config.scope import Scope
from routing_core.ledger.messages import WHOLE
from routing_core.windows import window

_FORECAST_SHARE = 100
"""No forecast from the first hundredth of a window."""


async def get_budget_spend(scope: Scope, request: pb.GetBudgetSpendRequest) -> pb.GetBudgetSpendResponse:
    record = await find(scope, request.id)
    now_us = await clock(scope)
    bounds = current(record, now_us)
    rows, cursor = await page(
        scope,
        request.page,
        "budgets",
        name="accounts",
        key="position",
        start="0",
        id=record.id,
        window_start_us=bounds[0],
        value=request.value,
    )
    accounts = [account(row, now_us, cap_of(record, cast(str, row["unit"]))) for row in rows]
    if not rows and not request.page.cursor and not record.each:
        accounts = untouched(record, "", bounds)
    return pb.GetBudgetSpendResponse(budget=record, accounts=accounts, next_cursor=cursor, at_us=now_us)


async def reconcile_budget(scope: Scope, request: pb.ReconcileBudgetRequest) -> pb.ReconcileBudgetResponse:
    """The ledger's side: what each account was charged, and for what reason."""
    record = await find(scope, request.id)
    rows, cursor = await page(
        scope,
        request.page,
        "budgets",
        name="history",
        key="position",
        start="0",
        id=record.id,
        start_us=request.start_us,
        end_us=request.end_us,
        value=request.value,
    )
    now_us = await clock(scope)
    accounts = [account(row, now_us) for row in rows]
    return pb.ReconcileBudgetResponse(accounts=accounts, next_cursor=cursor, at_us=now_us)


async def clock(scope: Scope) -> int:
    """The database's time, by which windows are told."""
    row = await scope.row("budgets", "clock")
    assert row is not None
    return cast(int, row["now_us"])


def current(record: pb.BudgetRecord, now_us: int) -> tuple[int, int]:
    """The budget's window at a moment."""
    return window(record.period, now_us, ZoneInfo(record.time_zone), record.period_start)


def cap_of(record: pb.BudgetRecord, unit: str) -> int:
    """The budget's limit in a unit; `WHOLE` where it has none."""
    name = "cap_nano" if unit == "usd" else "max_calls"
    return cast(int, getattr(record, name)) if record.HasField(name) else WHOLE


def untouched(record: pb.BudgetRecord, value: str, bounds: tuple[int, int]) -> list[pb.BudgetAccount]:
    """The accounts of a window in which nothing was spent yet: one for each unit that is limited."""
    caps = {unit: cap_of(record, unit) for unit in ("usd", "calls")}
    return [
        pb.BudgetAccount(
            budget_id=record.id,
            value=value,
            unit=unit,
            window_start_us=bounds[0],
            resets_at_us=bounds[1],
            cap=cap,
            remaining=cap,
        )
        for unit, cap in caps.items()
        if cap < WHOLE
    ]


def account(row: Row, now_us: int, cap: int | None = None) -> pb.BudgetAccount:
    """An account as it is told. `cap`: the budget's present one, which the account takes over with its next grant."""
    found = fill(pb.BudgetAccount, row)
    found.resets_at_us = cast(int, row["window_end_us"])
    found.started_at_us = cast(int, row["started_us"])
    charged = found.settled
    found.settled -= found.overrun
    found.cap = found.cap if cap is None else cap
    if found.cap >= WHOLE:
        found.cap = 0
    found.remaining = max(found.cap - charged - found.leased, 0)
    start_us, end_us = found.window_start_us, found.resets_at_us
    elapsed_us = now_us - start_us
    if start_us <= now_us < end_us and elapsed_us * _FORECAST_SHARE >= end_us - start_us:
        found.forecast = charged * (end_us - start_us) // elapsed_us
    return found
