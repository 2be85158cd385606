"""Routing configs: a slug in a project that points at one of its immutable versions."""

from __future__ import annotations

from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks, policies, references
from modelux_config.notices import notices
from modelux_config.pages import page
from modelux_config.problems import stale
from modelux_config.projects import find as find_project
from modelux_config.records import Row, fill
from modelux_config.scope import Change, Scope
from modelux_contracts.ids import new_id
from modelux_contracts.refusals import conflict, not_found


def record_of(row: Row) -> pb.RoutingConfigRecord:
    """The record with the active version's policy."""
    record = fill(pb.RoutingConfigRecord, row)
    record.policy_json = cast(str, row["policy"]).encode()
    return record


async def find(scope: Scope, config_id: str) -> pb.RoutingConfigRecord:
    row = await scope.row("routing_configs", "get", id=config_id)
    if row is None:
        raise not_found("routing config", config_id)
    return record_of(row)


async def find_unchanged(scope: Scope, config_id: str, if_revision: int) -> pb.RoutingConfigRecord:
    """The config, if it is still at the revision the caller saw (0: whatever it is). Else a 412 problem."""
    record = await find(scope, config_id)
    if if_revision and if_revision != record.revision:
        raise stale(if_revision, record.revision)
    return record


async def list_routing_configs(scope: Scope, request: pb.ListRoutingConfigsRequest) -> pb.ListRoutingConfigsResponse:
    if request.project_id:
        await find_project(scope, request.project_id)
    rows, cursor = await page(
        scope,
        request.page,
        "routing_configs",
        project_id=request.project_id,
        include_archived=request.include_archived,
        slug=request.slug.removeprefix("@"),
    )
    return pb.ListRoutingConfigsResponse(routing_configs=[record_of(row) for row in rows], next_cursor=cursor)


async def get_routing_config(scope: Scope, request: pb.GetRoutingConfigRequest) -> pb.GetRoutingConfigResponse:
    return pb.GetRoutingConfigResponse(routing_config=await find(scope, request.id))


async def create_routing_config(scope: Scope, request: pb.CreateRoutingConfigRequest) -> pb.CreateRoutingConfigResponse:
    record = await create(
        scope, request.project_id, request.slug, request.policy_json, description=request.description, note=request.note
    )
    warnings = await notices(scope, record.project_id, record.policy_json)
    return pb.CreateRoutingConfigResponse(routing_config=record, warnings=warnings)


async def create(
    scope: Scope, project_id: str, slug: str, policy_json: bytes, *, description: str = "", note: str = ""
) -> pb.RoutingConfigRecord:
    """A new slug with version 1, active. Raises a 409 problem where the project has that slug, archived or not."""
    await find_project(scope, project_id)
    record = pb.RoutingConfigRecord(
        id=new_id("cfg_", scope.now_us // 1000),
        project_id=project_id,
        slug=checks.slug(slug),
        description=checks.text(description, "description"),
        active_version=1,
        latest_version=1,
        revision=1,
        created_at_us=scope.now_us,
        updated_at_us=scope.now_us,
    )
    if await scope.row("routing_configs", "by_slug", project_id=project_id, slug=record.slug):
        hint = "Add a version to it, restore it if it is archived, or choose another slug."
        raise conflict("slug_taken", f"The project has a routing config @{record.slug} already.", hint)
    parsed = policies.parse(policy_json)
    await policies.check(scope, project_id, record.slug, parsed)
    record.policy_json, record.policy_type = parsed.text.encode(), parsed.kind
    await scope.run(
        "routing_configs",
        "insert",
        id=record.id,
        project_id=project_id,
        slug=record.slug,
        description=record.description,
        now_us=scope.now_us,
    )
    await add_version(scope, record.id, 1, parsed, checks.text(note, "note"))
    await scope.run("versions", "push_activation", id=record.id, version=1)
    scope.record(_change(record, "created", after=record))
    return record


async def add_version(scope: Scope, config_id: str, version: int, parsed: policies.Parsed, note: str) -> None:
    await scope.run(
        "versions",
        "insert",
        id=config_id,
        version=version,
        policy=parsed.text,
        policy_type=parsed.kind,
        note=note,
        created_by=scope.actor,
        now_us=scope.now_us,
    )


async def update_routing_config(scope: Scope, request: pb.UpdateRoutingConfigRequest) -> pb.UpdateRoutingConfigResponse:
    before = await find_unchanged(scope, request.id, request.if_revision)
    if not request.HasField("description") or request.description == before.description:
        after = before
    else:
        after = await store(scope, before, "updated", description=checks.text(request.description, "description"))
    warnings = await notices(scope, after.project_id, after.policy_json)
    return pb.UpdateRoutingConfigResponse(routing_config=after, warnings=warnings)


async def store(
    scope: Scope,
    before: pb.RoutingConfigRecord,
    action: str,
    *,
    description: str | None = None,
    active_version: int | None = None,
    latest_version: int | None = None,
    archived: bool | None = None,
) -> pb.RoutingConfigRecord:
    """Writes what changed, raises the revision and records the change. Returns the config as it is now."""
    await scope.run(
        "routing_configs",
        "update",
        id=before.id,
        description=before.description if description is None else description,
        active_version=active_version or before.active_version,
        latest_version=latest_version or before.latest_version,
        archived=before.archived if archived is None else archived,
        now_us=scope.now_us,
    )
    after = await find(scope, before.id)
    scope.record(_change(after, action, before, after))
    return after


async def archive_routing_config(
    scope: Scope, request: pb.ArchiveRoutingConfigRequest
) -> pb.ArchiveRoutingConfigResponse:
    """Takes the slug out of service, or brings it back. Refused (409) while others refer to it; they are listed."""
    before = await find_unchanged(scope, request.id, request.if_revision)
    if before.archived == request.archived:
        return pb.ArchiveRoutingConfigResponse(routing_config=before)
    if request.archived:
        await _refuse_in_use(scope, before)
    else:
        await policies.check_dependents(
            scope, before.project_id, before.slug, policies.parse(before.policy_json).policy
        )
    action = "archived" if request.archived else "restored"
    after = await store(scope, before, action, archived=request.archived)
    return pb.ArchiveRoutingConfigResponse(routing_config=after)


async def delete_routing_config(scope: Scope, request: pb.DeleteRoutingConfigRequest) -> pb.DeleteRoutingConfigResponse:
    """For good, with all versions. Refused (409) while others refer to it; they are listed."""
    before = await find_unchanged(scope, request.id, request.if_revision)
    await _refuse_in_use(scope, before)
    await scope.run("routing_configs", "delete", id=before.id)
    scope.record(_change(before, "deleted", before))
    return pb.DeleteRoutingConfigResponse()


async def _refuse_in_use(scope: Scope, record: pb.RoutingConfigRecord) -> None:
    users = await references.users_of_slug(scope, record.project_id, record.slug)
    if users:
        detail = (
            f"@{record.slug} is used by {len(users)} others: " + "; ".join(user.message for user in users[:5]) + "."
        )
        raise conflict("routing_config_in_use", detail, "Point them elsewhere first.", users)


def _change(
    record: pb.RoutingConfigRecord,
    action: str,
    before: pb.RoutingConfigRecord | None = None,
    after: pb.RoutingConfigRecord | None = None,
) -> Change:
    return Change(
        "routing_config",
        record.id,
        action,
        before,
        after,
        project_id=record.project_id,
        slug=record.slug,
        version=record.active_version,
        previous_version=before.active_version if before else 0,
    )
