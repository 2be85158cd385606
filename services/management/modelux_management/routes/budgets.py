"""Budgets: caps on what may be spent, and guards of runs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query as QueryParameters
from pydantic import AfterValidator, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.budget_views import (
    PPM_PER_PERCENT,
    Action,
    Budget,
    BudgetScope,
    Period,
    Spend,
    budget,
    spends,
)
from modelux_management.wire import Body, CapNanoUsd, Data, Deleted, Listing, PageQuery, listing

routes = Routes("budgets")


def _above_zero(nano: int) -> int:
    if nano == 0:
        raise ValueError("is not above 0; to refuse every call, revoke the key")
    return nano


_Cap = Annotated[CapNanoUsd, AfterValidator(_above_zero), Field(description="Dollars, at most nine decimals.")]
_MaxCalls = Annotated[int, Field(ge=1, le=10**12)]
_Duration = Annotated[int, Field(ge=1, le=366 * 86_400, description="Seconds from the first call of an account on.")]
_Percent = Annotated[int, Field(ge=1, le=100)]
_Loop = Annotated[int, Field(ge=0, le=1_000_000, description="The same call this often is reported; 0: never.")]
_Alerts = Annotated[list[_Percent], Field(max_length=20, description="Percent of the cap; an empty list: no alerts.")]


class CreateBudget(Body):
    """A new budget. At least one of `capUsd`, `maxCalls` and `maxDurationS`."""

    name: str
    scope: BudgetScope
    scope_key: str = Field("", description="An id, a name, or `key=value` of a tag; `key` alone together with `each`.")
    each: bool = Field(False, description="A cap of its own for every value, e.g. for every `run_id`.")
    project_id: str = Field("", description="Left out: holds in the whole organization.")
    cap_usd: _Cap | None = None
    max_calls: _MaxCalls | None = None
    max_duration_s: _Duration | None = None
    action: Action | None = Field(None, description="Left out: `downgrade` where `downgradeTo` is given, else `block`.")
    downgrade_to: str = Field("", description="A cheaper model, or an @slug.")
    downgrade_at_percent: _Percent | None = Field(None, description="Left out: 100.")
    loop_calls: _Loop = 0
    period: Period | None = Field(None, description="Left out: `total` for each value of a tag, else `month`.")
    time_zone: str = Field("", description="IANA name, e.g. Europe/Berlin; left out: UTC.")
    period_start: int | None = Field(
        None, ge=0, le=28, description="Day of the month, weekday (1 Monday) or hour at which windows begin."
    )
    alert_percents: _Alerts | None = Field(None, description="Left out: 50, 80, 95 and 100.")
    disabled: bool = False


class UpdateBudget(Body):
    """What to change; fields left out stay as they are. `null` takes a limit away. Scope and period stay for good."""

    name: str | None = None
    cap_usd: _Cap | None = None
    max_calls: _MaxCalls | None = None
    max_duration_s: _Duration | None = None
    action: Action | None = None
    downgrade_to: str | None = None
    downgrade_at_percent: _Percent | None = None
    loop_calls: _Loop | None = None
    alert_percents: _Alerts | None = None
    disabled: bool | None = None


class BudgetsQuery(PageQuery):
    """Which budgets."""

    project_id: str = Field("", max_length=100, description="Only this project's.")
    scope: BudgetScope | None = None


class SpendQuery(PageQuery):
    """Which values."""

    limit: int = Field(50, ge=1, le=100, description="Values per page, 1 to 100.")
    value: str = Field("", max_length=1_000, description="One value of an `each` budget; left out: all.")


@routes.endpoint("GET", "/budgets", "List the budgets", role="viewer")
async def list_budgets(caller: Authorized, query: Annotated[BudgetsQuery, QueryParameters()]) -> Listing[Budget]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    request = pb.ListBudgetsRequest(page=page, project_id=query.project_id, scope=query.scope or "")
    found = await caller.call(request, pb.ListBudgetsResponse)
    return listing([budget(record) for record in found.budgets], found.next_cursor)


@routes.endpoint("POST", "/budgets", "Create a budget", role="admin", status=201)
async def create_budget(caller: Authorized, body: CreateBudget) -> Data[Budget]:
    request = pb.CreateBudgetRequest(
        project_id=body.project_id,
        name=body.name,
        scope=body.scope,
        scope_key=body.scope_key,
        each=body.each,
        cap_nano=body.cap_usd,
        max_calls=body.max_calls,
        max_duration_s=body.max_duration_s,
        action=body.action or ("downgrade" if body.downgrade_to else ""),
        downgrade_to=body.downgrade_to,
        downgrade_at_ppm=_ppm(body.downgrade_at_percent),
        loop_calls=body.loop_calls,
        period=body.period or "",
        time_zone=body.time_zone,
        period_start=body.period_start,
        alert_percents=_percents(body.alert_percents),
        disabled=body.disabled,
    )
    found = await caller.call(request, pb.CreateBudgetResponse)
    return Data(data=budget(found.budget))


@routes.endpoint("GET", "/budgets/{budget_id}", "Show one budget", role="viewer")
async def get_budget(caller: Authorized, budget_id: str) -> Data[Budget]:
    found = await caller.call(pb.GetBudgetRequest(id=budget_id), pb.GetBudgetResponse)
    return Data(data=budget(found.budget))


@routes.endpoint("PATCH", "/budgets/{budget_id}", "Change a budget's limits or what happens at them", role="admin")
async def update_budget(caller: Authorized, budget_id: str, body: UpdateBudget) -> Data[Budget]:
    request = pb.UpdateBudgetRequest(
        id=budget_id,
        name=body.name,
        cap_nano=body.cap_usd,
        max_calls=body.max_calls,
        max_duration_s=body.max_duration_s,
        clear=[stored for field, stored in _LIMITS.items() if _is_null(body, field)],
        action=body.action,
        downgrade_to=body.downgrade_to,
        downgrade_at_ppm=_ppm(body.downgrade_at_percent),
        loop_calls=body.loop_calls,
        alert_percents=_percents(body.alert_percents),
        disabled=body.disabled,
    )
    found = await caller.call(request, pb.UpdateBudgetResponse)
    return Data(data=budget(found.budget))


@routes.endpoint("DELETE", "/budgets/{budget_id}", "Delete a budget; its accounts stay as history", role="admin")
async def delete_budget(caller: Authorized, budget_id: str) -> Data[Deleted]:
    await caller.call(pb.DeleteBudgetRequest(id=budget_id), pb.DeleteBudgetResponse)
    return Data(data=Deleted(id=budget_id))


@routes.endpoint("GET", "/budgets/{budget_id}/spend", "Show what is spent in the current window", role="viewer")
async def get_budget_spend(
    caller: Authorized, budget_id: str, query: Annotated[SpendQuery, QueryParameters()]
) -> Listing[Spend]:
    """One row, or one per value of an `each` budget: those that spent most first."""
    record = (await caller.call(pb.GetBudgetRequest(id=budget_id), pb.GetBudgetResponse)).budget
    counts_calls = record.HasField("max_calls") or record.HasField("max_duration_s")
    units = max(1, record.HasField("cap_nano") + counts_calls)  # every value has an account in each
    page = pb.Page(limit=query.limit * units, cursor=query.cursor)
    request = pb.GetBudgetSpendRequest(id=budget_id, value=query.value, page=page)
    found = await caller.call(request, pb.GetBudgetSpendResponse)
    return listing(spends(found.accounts), found.next_cursor)


def _is_null(body: UpdateBudget, field: str) -> bool:
    return field in body.model_fields_set and getattr(body, field) is None


def _ppm(percent: int | None) -> int | None:
    return None if percent is None else percent * PPM_PER_PERCENT


def _percents(values: list[int] | None) -> pb.PercentList | None:
    return None if values is None else pb.PercentList(values=values)


_LIMITS = {"cap_usd": "cap_nano", "max_calls": "max_calls", "max_duration_s": "max_duration_s"}
