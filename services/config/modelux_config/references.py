"""Who refers to whom: what keeps a routing config or a credential from being taken away."""

from __future__ import annotations

import json
from typing import cast

from modelux_config import policies
from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError
from routing_core.config import references


async def users_of_slug(scope: Scope, project_id: str, slug: str) -> list[FieldError]:
    """Active policies that refer to `@slug` (or a pinned version of it), keys that are bound to it, and budgets that
    downgrade to it.
    """
    found = []
    for row in await scope.rows("versions", "actives", project_id=project_id):
        if row["slug"] != slug:
            found += [
                FieldError(f"routing_config:{row['id']}", f"@{row['slug']} refers to @{ref.key} at policy.{where}")
                for where, ref in references(policies.stored(row))
                if ref.slug == slug
            ]
    for row in await scope.rows("versions", "keys_bound", project_id=project_id, slug=slug):
        found.append(FieldError(f"proxy_key:{row['id']}", f"the key {row['name']!r} is bound to @{slug}"))
    for row in await scope.rows("budgets", "downgrading", project_id=project_id, slug=slug):
        found.append(FieldError(f"budget:{row['id']}", f"the budget {row['name']!r} downgrades to @{slug}"))
    return found


async def users_of_credential(scope: Scope, credential_id: str) -> list[FieldError]:
    """Active policies, in any project of the organization, that name the credential."""
    rows = await scope.rows("versions", "all_actives")
    return [
        FieldError(f"routing_config:{row['id']}", f"@{row['slug']} names it at policy{where}")
        for row in rows
        for where, named in policies.credential_ids(json.loads(cast(str, row["policy"])))
        if named == credential_id
    ]
