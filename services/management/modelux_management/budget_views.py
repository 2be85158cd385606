"""How budgets and what was spent of them are shown."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.wire import moment, moment_or_none, usd

BudgetScope = Literal[
    "organization", "project", "key", "tag", "end_user", "provider", "model", "experiment", "judge_run"
]
Period = Literal["total", "hour", "day", "week", "month"]
Action = Literal["block", "downgrade", "alert"]
Unit = Literal["usd", "calls"]

PPM_PER_PERCENT = 10_000


class Budget(BaseModel):
    """A spend cap, or the guard of runs."""

    id: str
    organization_id: str
    project_id: str | None = Field(description="Null: holds in the whole organization.")
    name: str
    scope: BudgetScope
    scope_key: str | None = Field(
        description="What of the scope it holds for; a tag as `key=value`, or `key` with each."
    )
    each: bool = Field(description="Every value has an account of its own.")
    cap_usd: float | None = Field(description="Null: spend is not capped.")
    max_calls: int | None
    max_duration_s: int | None = Field(description="From the first call of an account on.")
    action: Action
    downgrade_to: str | None
    downgrade_at_percent: float = Field(description="From this share of the cap on `downgrade` applies.")
    loop_calls: int | None = Field(description="The same call this often is reported; null: not looked for.")
    period: Period
    time_zone: str
    period_start: int | None = Field(description="Day of a month, weekday (1 Monday) or hour at which windows begin.")
    alert_percents: list[int]
    disabled: bool
    created_at: datetime
    updated_at: datetime
    created_by: str


class Window(BaseModel):
    """One value of a budget in one window: where it stands."""

    budget_id: str
    value: str | None = Field(description="The value of an `each` budget.")
    window_start: datetime | None = Field(description="Null: since it was made.")
    resets_at: datetime | None = Field(description="When a new window begins; null: never.")
    started_at: datetime | None = Field(description="The first call; null: none yet.")
    exceeded: bool = Field(description="A call was denied in this window.")
    aborted: bool = Field(description="The run is refused from now on.")


class Spend(Window):
    """What was spent of one value in one window. What is not limited or not counted is null."""

    cap_usd: float | None
    settled_usd: float | None = Field(description="Charged for certain; `unknown_usd` and `forfeited_usd` included.")
    reserved_usd: float | None = Field(description="Held for calls under way.")
    unknown_usd: float | None = Field(description="Charged because nobody knows what the call cost.")
    forfeited_usd: float | None = Field(description="Charged because a proxy vanished with what it held.")
    overrun_usd: float | None = Field(description="What calls cost beyond their bound, beside `settled_usd`.")
    remaining_usd: float | None
    forecast_usd: float | None = Field(description="At the end of the window, at the rate so far; null: not known.")
    max_calls: int | None
    calls: int | None
    reserved_calls: int | None
    remaining_calls: int | None


def budget(record: pb.BudgetRecord) -> Budget:
    """A budget as the config service tells it."""
    return Budget(
        id=record.id,
        organization_id=record.organization_id,
        project_id=record.project_id or None,
        name=record.name,
        scope=cast(BudgetScope, record.scope),
        scope_key=record.scope_key or None,
        each=record.each,
        cap_usd=usd(record.cap_nano) if record.HasField("cap_nano") else None,
        max_calls=record.max_calls if record.HasField("max_calls") else None,
        max_duration_s=record.max_duration_s if record.HasField("max_duration_s") else None,
        action=cast(Action, record.action),
        downgrade_to=record.downgrade_to or None,
        downgrade_at_percent=record.downgrade_at_ppm / PPM_PER_PERCENT,
        loop_calls=record.loop_calls or None,
        period=cast(Period, record.period),
        time_zone=record.time_zone,
        period_start=record.period_start if record.period in ("day", "week", "month") else None,
        alert_percents=list(record.alert_percents),
        disabled=record.disabled,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
        created_by=record.created_by,
    )


def spends(accounts: Sequence[pb.BudgetAccount]) -> list[Spend]:
    """The accounts of a value and a window as one row, in the order of their first."""
    rows: dict[tuple[str, str, int], list[pb.BudgetAccount]] = {}
    for each in accounts:
        rows.setdefault((each.budget_id, each.value, each.window_start_us), []).append(each)
    return [_spend(row) for row in rows.values()]


def _spend(accounts: Sequence[pb.BudgetAccount]) -> Spend:
    money = next((each for each in accounts if each.unit == "usd"), None)
    calls = next((each for each in accounts if each.unit == "calls"), None)
    forecast = usd(money.forecast) if money is not None and money.HasField("forecast") else None
    return Spend(
        **window(accounts).model_dump(),
        cap_usd=usd(money.cap) if money and money.cap else None,
        settled_usd=usd(money.settled) if money else None,
        reserved_usd=usd(money.leased) if money else None,
        unknown_usd=usd(money.unknown) if money else None,
        forfeited_usd=usd(money.forfeited) if money else None,
        overrun_usd=usd(money.overrun) if money else None,
        remaining_usd=usd(money.remaining) if money and money.cap else None,
        forecast_usd=forecast,
        max_calls=calls.cap if calls and calls.cap else None,
        calls=calls.settled if calls else None,
        reserved_calls=calls.leased if calls else None,
        remaining_calls=calls.remaining if calls and calls.cap else None,
    )


def window(accounts: Sequence[pb.BudgetAccount]) -> Window:
    """What the accounts of one value and window have in common."""
    first = accounts[0]
    return Window(
        budget_id=first.budget_id,
        value=first.value or None,
        window_start=moment_or_none(first.window_start_us),
        resets_at=moment_or_none(first.resets_at_us),
        started_at=moment_or_none(min([each.started_at_us for each in accounts if each.started_at_us], default=0)),
        exceeded=any(each.exceeded for each in accounts),
        aborted=any(each.aborted for each in accounts),
    )
