"""Caps of experiments and judge runs: budgets that the service which runs one opens and closes, and no proxy knows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import budget_checks, budgets, checks
from modelux_config.identity import SYSTEM, Identity
from modelux_config.projects import find as find_project
from modelux_config.scope import Change, Ports, Scope, finish, lock
from modelux_contracts.ids import new_id
from modelux_contracts.project_limits import Limited, experiment_spend_cap_nano, judge_spend_cap_nano
from modelux_contracts.refusals import FieldError, invalid, not_found
from modelux_store.database import Database, Transaction
from routing_core.money import dollars

_MOST: Mapping[str, tuple[str, Callable[[Limited], int]]] = {
    "experiment": ("experimentSpendCapUsd", experiment_spend_cap_nano),
    "judge_run": ("judgeSpendCapUsd", judge_spend_cap_nano),
}


async def open_spend_cap(scope: Scope, request: pb.OpenSpendCapRequest) -> pb.OpenSpendCapResponse:
    """The cap of one run. It is opened once: asked for again, the first one is told, as it stands by now."""
    named = budget_checks.one_of(request.scope, "scope", tuple(_MOST))
    row = await scope.row("budgets", "spend_cap", scope=named, scope_key=request.scope_key)
    if row is not None:
        return pb.OpenSpendCapResponse(budget=budgets.read(row))
    project = await find_project(scope, request.project_id)
    setting, most = _MOST[named]
    if not 0 < request.cap_nano <= most(project):
        hint = f"Use more than $0 and at most {dollars(most(project))}, the project's {setting}."
        raise invalid(FieldError("spendCapUsd", f"{dollars(request.cap_nano)} is out of range", hint))
    record = pb.BudgetRecord(
        id=new_id("bud_", scope.now_us // 1000),
        organization_id=scope.organization_id,
        project_id=project.id,
        scope=named,
        scope_key=request.scope_key,
        cap_nano=request.cap_nano,
        action="block",
        period="total",
        time_zone="UTC",
        created_at_us=scope.now_us,
        updated_at_us=scope.now_us,
        created_by=scope.actor,
    )
    budget_checks.scope(record)
    record.name = checks.name(request.name or request.scope_key)
    await budgets.insert(scope, record, spend_cap=True)
    return pb.OpenSpendCapResponse(budget=record)


async def close_spend_cap(
    database: Database, ports: Ports, request: pb.CloseSpendCapRequest
) -> pb.CloseSpendCapResponse:
    """Ends a cap for good. What spenders hold of it is called back; closed again, it only tells what was spent.

    Raises a 404 problem for a cap that the organization does not have.
    """
    async with database.transaction() as tx:
        await lock(tx, request.organization_id)
        scope = _system(tx, ports, request.organization_id)
        before = await _find(scope, request.budget_id)
        if not before.disabled:
            after = pb.BudgetRecord()
            after.CopyFrom(before)
            after.disabled, after.updated_at_us = True, scope.now_us
            await scope.run("budgets", "end_spend_cap", id=after.id, now_us=scope.now_us)
            await scope.run("budgets", "recall", id=after.id)
            scope.record(Change("budget", after.id, "updated", before, after, project_id=after.project_id))
            await finish(scope)
        settled, _ = await _spent(scope, before.id)
        return pb.CloseSpendCapResponse(settled_nano=settled)


async def get_spend_cap(database: Database, ports: Ports, request: pb.GetSpendCapRequest) -> pb.GetSpendCapResponse:
    """What was spent under a cap so far. Raises a 404 problem as `close_spend_cap`."""
    async with database.transaction() as tx:
        scope = _system(tx, ports, request.organization_id)
        record = await _find(scope, request.budget_id)
        settled, leased = await _spent(scope, record.id)
        return pb.GetSpendCapResponse(cap_nano=record.cap_nano, settled_nano=settled, leased_nano=leased)


def _system(tx: Transaction, ports: Ports, organization_id: str) -> Scope:
    who = Identity("", SYSTEM, organization_id, "", "editor")
    return Scope(tx, ports, who, SYSTEM, ports.now_ms() * 1000)


async def _find(scope: Scope, budget_id: str) -> pb.BudgetRecord:
    row = await scope.row("budgets", "spend_cap_by_id", id=budget_id)
    if row is None:
        raise not_found("spend cap", budget_id)
    return budgets.read(row)


async def _spent(scope: Scope, budget_id: str) -> tuple[int, int]:
    """Settled and leased, in nano-USD."""
    row = await scope.row("budgets", "spent", id=budget_id)
    return (cast(int, row["settled"]), cast(int, row["leased"])) if row else (0, 0)
