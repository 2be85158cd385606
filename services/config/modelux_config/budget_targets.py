"""Whether what a budget names exists: its project, key, provider and models, and where it downgrades to."""

from __future__ import annotations

import difflib
from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks
from modelux_config.projects import find as find_project
from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError, invalid
from modelux_providers.catalog import CredentialFacts
from routing_core.world import World


async def check(scope: Scope, record: pb.BudgetRecord) -> None:
    """Raises a 422 problem for what does not exist, 404 for a project that does not."""
    if record.project_id:
        await find_project(scope, record.project_id)
    await _check_key(scope, record)
    if record.action == "downgrade":
        await _check_downgrade(scope, record)
    elif record.downgrade_to:
        hint = "Set action to 'downgrade', or leave it out."
        raise invalid(FieldError("downgradeTo", f"has no meaning with action {record.action!r}", hint))


async def _check_key(scope: Scope, record: pb.BudgetRecord) -> None:
    key = record.scope_key
    if not key:
        return
    if record.scope == "provider" and key not in scope.ports.vendors:
        raise _unknown("provider", key, _nearest(key, list(scope.ports.vendors)))
    if record.scope == "key":
        row = await scope.row("keys", "get_proxy_key", id=key)
        if row is None or record.project_id not in ("", row["project_id"]):
            raise _unknown("proxy key", key, "List the keys of the project to see their ids.")
    if record.scope == "model":
        await _check_model(scope, key, "scopeKey")


async def _check_downgrade(scope: Scope, record: pb.BudgetRecord) -> None:
    to = record.downgrade_to
    if not to:
        raise invalid(FieldError("downgradeTo", "is missing", "Name a cheaper model or an @slug, or use 'block'."))
    (to,) = checks.models([to], "downgradeTo")
    if record.scope == "model" and to.partition(":")[0] == record.scope_key.partition(":")[0]:
        raise invalid(FieldError("downgradeTo", f"is {to!r} itself, which is capped here", "Name another model."))
    if not to.startswith("@"):
        await _check_model(scope, to, "downgradeTo")
        return
    if not record.project_id:
        hint = "Set projectId, or name a model."
        raise invalid(FieldError("downgradeTo", "a slug belongs to a project, and the budget to none", hint))
    slug = to.removeprefix("@").partition(":")[0]
    if await scope.row("routing_configs", "by_slug", project_id=record.project_id, slug=slug) is None:
        raise invalid(FieldError("downgradeTo", f"the project has no @{slug}", "List its routing configs, or make it."))
    if record.scope == "key" and record.scope_key:
        row = await scope.row("keys", "get_proxy_key", id=record.scope_key)
        if row and cast("list[str]", row["allowed_models"]) == [to]:
            message = f"is {to} itself, all that the capped key may use"
            raise invalid(FieldError("downgradeTo", message, "Name something cheaper."))


async def _check_model(scope: Scope, name: str, field: str) -> None:
    """Some provider lists the model, or a credential of the organization names it."""
    if name.startswith("@"):
        raise invalid(FieldError(field, "is a slug and not a model", "Name a model, such as gpt-4o-mini."))
    rows = await scope.rows("budgets", "credentials")
    facts = [
        CredentialFacts(cast(str, row["id"]), cast(str, row["provider"]), tuple(cast("list[str]", row["models"])))
        for row in rows
    ]
    facts += [CredentialFacts(vendor, vendor) for vendor in scope.ports.vendors]
    world = World(scope.ports.catalog.offers(facts))
    if not world.resolve(name):
        raise invalid(FieldError(field, f"there is no model {name[:80]!r}", _nearest(name, list(world.offers))))


def _unknown(what: str, key: str, hint: str) -> Exception:
    return invalid(FieldError("scopeKey", f"there is no {what} {key[:80]!r}", hint))


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name.lower(), known, 1)
    return f"Did you mean {near[0]!r}?" if near else "Check the name, or add a credential that offers it."
