"""Budgets: caps on what may be spent, and guards of runs. What was spent stays when they change or go."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import budget_checks, budget_targets, checks
from modelux_config.pages import page
from modelux_config.projects import find as find_project
from modelux_config.records import Row, fill
from modelux_config.scope import Change, Scope
from modelux_contracts.ids import new_id
from modelux_contracts.refusals import conflict, not_found

MAX_BUDGETS = 1_000
"""Of one organization: every proxy matches them against every request."""
_LIMITS = ("cap_nano", "max_calls", "max_duration_s")
_FIXED = ("project_id", "scope", "scope_key", "each", "period", "time_zone", "period_start", "created_by")
_MAY_CHANGE = ("name", "action", "downgrade_to", "downgrade_at_ppm", "loop_calls", "disabled")


def read(row: Row) -> pb.BudgetRecord:
    return fill(pb.BudgetRecord, row)


async def find(scope: Scope, budget_id: str) -> pb.BudgetRecord:
    """The budget of the caller's organization, or a 404 problem."""
    row = await scope.row("budgets", "get", id=budget_id)
    if row is None:
        raise not_found("budget", budget_id)
    return read(row)


async def _find_own(scope: Scope, budget_id: str) -> pb.BudgetRecord:
    """The same for a change: a 409 problem for the cap of a run, which begins and ends with it."""
    record = await find(scope, budget_id)
    if await scope.row("budgets", "spend_cap_by_id", id=budget_id):
        what = record.scope.replace("_", " ")
        hint = f"Cancel the {what} to stop its spending."
        raise conflict(
            "spend_cap", f"The budget is the spend cap of {what} {record.scope_key!r} and ends with it.", hint
        )
    return record


async def list_budgets(scope: Scope, request: pb.ListBudgetsRequest) -> pb.ListBudgetsResponse:
    if request.project_id:
        await find_project(scope, request.project_id)
    wanted = budget_checks.one_of(request.scope, "scope", budget_checks.SCOPES) if request.scope else ""
    rows, cursor = await page(scope, request.page, "budgets", project_id=request.project_id, of_scope=wanted)
    return pb.ListBudgetsResponse(budgets=[read(row) for row in rows], next_cursor=cursor)


async def get_budget(scope: Scope, request: pb.GetBudgetRequest) -> pb.GetBudgetResponse:
    return pb.GetBudgetResponse(budget=await find(scope, request.id))


async def create_budget(scope: Scope, request: pb.CreateBudgetRequest) -> pb.CreateBudgetResponse:
    record = pb.BudgetRecord(
        id=new_id("bud_", scope.now_us // 1000),
        organization_id=scope.organization_id,
        project_id=request.project_id,
        name=checks.name(request.name),
        scope=request.scope,
        scope_key=request.scope_key,
        each=request.each,
        action=budget_checks.one_of(request.action or "block", "action", budget_checks.ACTIONS),
        downgrade_to=request.downgrade_to,
        loop_calls=request.loop_calls,
        period=request.period,
        time_zone=budget_checks.time_zone(request.time_zone),
        disabled=request.disabled,
        created_at_us=scope.now_us,
        updated_at_us=scope.now_us,
        created_by=scope.actor,
    )
    for name in _LIMITS:
        if request.HasField(name):
            setattr(record, name, getattr(request, name))
    budget_checks.scope(record)
    record.period = budget_checks.period(record)
    record.period_start = budget_checks.period_start(
        record.period, request.period_start if request.HasField("period_start") else None
    )
    named = request.alert_percents.values if request.HasField("alert_percents") else budget_checks.ALERT_PERCENTS
    record.alert_percents[:] = budget_checks.alerts(named)
    ppm = request.downgrade_at_ppm if request.HasField("downgrade_at_ppm") else None
    record.downgrade_at_ppm = budget_checks.downgrade_ppm(record.action, ppm)
    if record.scope == "project" and record.scope_key:
        record.project_id, record.scope_key = record.scope_key, ""
    await _check(scope, record)
    await _check_count(scope)
    await insert(scope, record, spend_cap=False)
    return pb.CreateBudgetResponse(budget=record)


async def insert(scope: Scope, record: pb.BudgetRecord, *, spend_cap: bool) -> None:
    """Stores and records a new one. `spend_cap`: it is the cap of one run, see `spend_caps`."""
    fixed = {name: getattr(record, name) for name in _FIXED}
    await scope.run("budgets", "insert", **fixed, **_changing(scope, record), spend_cap=spend_cap)
    scope.record(Change("budget", record.id, "created", after=record, project_id=record.project_id))


async def update_budget(scope: Scope, request: pb.UpdateBudgetRequest) -> pb.UpdateBudgetResponse:
    """Limits and what happens at them; what was spent stays as it is, and a lower cap holds at once."""
    before = await _find_own(scope, request.id)
    after = pb.BudgetRecord()
    after.CopyFrom(before)
    for name in budget_checks.clear(request.clear):
        after.ClearField(name)
    for name in (*_LIMITS, *_MAY_CHANGE):
        if request.HasField(name):
            setattr(after, name, getattr(request, name))
    after.name = checks.name(after.name)
    budget_checks.one_of(after.action, "action", budget_checks.ACTIONS)
    if request.HasField("alert_percents"):
        after.alert_percents[:] = budget_checks.alerts(request.alert_percents.values)
    if request.HasField("action") and after.action != "downgrade" and not request.HasField("downgrade_to"):
        after.downgrade_to = ""
    kept = after.downgrade_at_ppm if request.HasField("downgrade_at_ppm") or before.action == "downgrade" else None
    after.downgrade_at_ppm = budget_checks.downgrade_ppm(after.action, kept)
    if after == before:
        return pb.UpdateBudgetResponse(budget=before)
    after.updated_at_us = scope.now_us
    await _check(scope, after)
    await scope.run("budgets", "update", **_changing(scope, after))
    await scope.run("budgets", "recall", id=after.id)
    scope.record(Change("budget", after.id, "updated", before, after, project_id=after.project_id))
    return pb.UpdateBudgetResponse(budget=after)


async def delete_budget(scope: Scope, request: pb.DeleteBudgetRequest) -> pb.DeleteBudgetResponse:
    """Spenders are told to return what they hold; the accounts stay as history, and the name is free again."""
    before = await _find_own(scope, request.id)
    await scope.run("budgets", "delete", id=before.id, now_us=scope.now_us)
    await scope.run("budgets", "recall", id=before.id)
    scope.record(Change("budget", before.id, "deleted", before, project_id=before.project_id))
    return pb.DeleteBudgetResponse()


async def _check(scope: Scope, record: pb.BudgetRecord) -> None:
    budget_checks.limits(record)
    budget_checks.loop(record)
    await budget_targets.check(scope, record)
    if await scope.row("budgets", "same_name", name=record.name, id=record.id):
        raise conflict("name_taken", f"There is a budget named {record.name!r} already.", "Choose another name.")


async def _check_count(scope: Scope) -> None:
    row = await scope.row("budgets", "count")
    if row is not None and row["budgets"] == MAX_BUDGETS:
        hint = "Use each instead of a budget per value, or delete budgets that are not needed."
        raise conflict("too_many_budgets", f"The organization has {MAX_BUDGETS:,} budgets.", hint)


def _changing(scope: Scope, record: pb.BudgetRecord) -> dict[str, object]:
    values = {name: getattr(record, name) for name in ("id", *_MAY_CHANGE)}
    for name in _LIMITS:
        values[name] = getattr(record, name) if record.HasField(name) else None
    return values | {"alert_percents": list(record.alert_percents), "now_us": scope.now_us}
