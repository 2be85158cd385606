"""Versions of a routing config: add, compare, activate and roll back. A version never changes once it is stored."""

from __future__ import annotations

import json
from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks, policies
from modelux_config.diff import diff, summary
from modelux_config.notices import notices
from modelux_config.pages import page
from modelux_config.records import Row, canonical, fill
from modelux_config.routing_configs import add_version, find, find_unchanged, store
from modelux_config.scope import Scope
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found


async def create_routing_config_version(
    scope: Scope, request: pb.CreateRoutingConfigVersionRequest
) -> pb.CreateRoutingConfigVersionResponse:
    before = await find_unchanged(scope, request.id, request.if_revision)
    _refuse_archived(before)
    parsed = policies.parse(request.policy_json)
    await policies.check(scope, before.project_id, before.slug, parsed)
    if request.activate:
        await policies.check_dependents(scope, before.project_id, before.slug, parsed.policy)
    version = before.latest_version + 1
    await add_version(scope, before.id, version, parsed, checks.text(request.note, "note"))
    if request.activate:
        await scope.run("versions", "push_activation", id=before.id, version=version)
    after = await store(
        scope,
        before,
        "version_created",
        latest_version=version,
        active_version=version if request.activate else None,
    )
    made = await _version(scope, after, version)
    warnings = await notices(scope, after.project_id, made.policy_json)
    return pb.CreateRoutingConfigVersionResponse(routing_config=after, version=made, warnings=warnings)


async def list_routing_config_versions(
    scope: Scope, request: pb.ListRoutingConfigVersionsRequest
) -> pb.ListRoutingConfigVersionsResponse:
    """Newest first."""
    config = await find(scope, request.id)
    start = str(config.latest_version + 1)
    rows, cursor = await page(scope, request.page, "versions", key="version", start=start, id=config.id)
    versions = [_record(row, config.active_version) for row in rows]
    return pb.ListRoutingConfigVersionsResponse(versions=versions, next_cursor=cursor)


async def get_routing_config_version(
    scope: Scope, request: pb.GetRoutingConfigVersionRequest
) -> pb.GetRoutingConfigVersionResponse:
    config = await find(scope, request.id)
    return pb.GetRoutingConfigVersionResponse(version=await _version(scope, config, request.version))


async def diff_routing_config(scope: Scope, request: pb.DiffRoutingConfigRequest) -> pb.DiffRoutingConfigResponse:
    """From the active to the latest version unless others are named."""
    config = await find(scope, request.id)
    old = await _version(scope, config, request.from_version or config.active_version)
    new = await _version(scope, config, request.to_version or config.latest_version)
    found = diff(json.loads(old.policy_json), json.loads(new.policy_json))
    changes = [
        pb.PolicyChange(
            path=each.path,
            kind=each.kind,
            old_json="" if each.kind == "added" else canonical(each.old),
            new_json="" if each.kind == "removed" else canonical(each.new),
            text=each.text,
        )
        for each in found
    ]
    return pb.DiffRoutingConfigResponse(
        from_version=old.version, to_version=new.version, changes=changes, summary=summary(found)
    )


async def activate_routing_config(
    scope: Scope, request: pb.ActivateRoutingConfigRequest
) -> pb.ActivateRoutingConfigResponse:
    """Points the slug at a version. The version that is active already is left alone."""
    before = await find_unchanged(scope, request.id, request.if_revision)
    after = await _point(scope, before, request.version, "activated")
    warnings = await notices(scope, after.project_id, after.policy_json)
    return pb.ActivateRoutingConfigResponse(routing_config=after, warnings=warnings)


async def rollback_routing_config(
    scope: Scope, request: pb.RollbackRoutingConfigRequest
) -> pb.RollbackRoutingConfigResponse:
    """Points the slug back at a named version, or at the one that was active before this one (409 where there is
    none).
    """
    before = await find_unchanged(scope, request.id, request.if_revision)
    after = await (_point(scope, before, request.version, "rolled_back") if request.version else _back(scope, before))
    warnings = await notices(scope, after.project_id, after.policy_json)
    return pb.RollbackRoutingConfigResponse(routing_config=after, warnings=warnings)


async def _back(scope: Scope, before: pb.RoutingConfigRecord) -> pb.RoutingConfigRecord:
    row = await scope.row("versions", "activation_before", id=before.id)
    if row is None:
        hint = "Name a version, or activate one."
        raise conflict("nothing_to_roll_back", f"@{before.slug} has had no other active version.", hint)
    after = await _point(scope, before, cast(int, row["version"]), "rolled_back", push=False)
    await scope.run("versions", "pop_activation", id=before.id)
    return after


async def _point(
    scope: Scope, before: pb.RoutingConfigRecord, version: int, action: str, *, push: bool = True
) -> pb.RoutingConfigRecord:
    _refuse_archived(before)
    target = await _version(scope, before, version)
    if version == before.active_version:
        return before
    await policies.check_dependents(scope, before.project_id, before.slug, policies.parse(target.policy_json).policy)
    if push:
        await scope.run("versions", "push_activation", id=before.id, version=version)
    return await store(scope, before, action, active_version=version)


async def _version(scope: Scope, config: pb.RoutingConfigRecord, version: int) -> pb.VersionRecord:
    if version < 1:
        raise invalid(FieldError("version", f"{version} is not a version", "Versions count from 1."))
    row = await scope.row("versions", "get", id=config.id, version=version)
    if row is None:
        raise not_found("version", f"@{config.slug}:{version}")
    return _record(row, config.active_version)


def _record(row: Row, active_version: int) -> pb.VersionRecord:
    record = fill(pb.VersionRecord, row)
    record.policy_json = cast(str, row["policy"]).encode()
    record.active = record.version == active_version
    return record


def _refuse_archived(record: pb.RoutingConfigRecord) -> None:
    if record.archived:
        raise conflict("routing_config_archived", f"@{record.slug} is archived.", "Restore it first.")
