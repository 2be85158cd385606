"""Routing configs: a slug that callers name, pointing at one of its versions."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Annotated

from fastapi import Header, Response
from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field, JsonValue

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import (
    Body,
    Data,
    Deleted,
    Listing,
    PageQuery,
    PolicyWarning,
    Warned,
    from_json,
    listing,
    moment,
)

routes = Routes("routing configs")

IfMatch = Annotated[
    str | None, Header(description="The ETag you saw: refuses (412) to change what somebody else changed meanwhile.")
]


class RoutingConfig(BaseModel):
    """A routing config with the policy of its active version."""

    id: str
    project_id: str
    slug: str = Field(description="Callers write it as model `@slug`.")
    description: str
    active_version: int
    latest_version: int
    archived: bool
    policy_type: str
    policy: JsonValue
    revision: int = Field(description="Grows with every change; the ETag.")
    created_at: datetime
    updated_at: datetime


class CreateRoutingConfig(Body):
    """A new slug with its first version, which is active at once."""

    project_id: str
    slug: str
    policy: JsonValue = Field(
        description='The policy, e.g. {"strategy": "fallback", "attempts": [{"model": "gpt-4o-mini"}]}.'
    )
    description: str = Field("", max_length=2_000)
    note: str = Field("", max_length=2_000, description="Why; kept with the version.")


class UpdateRoutingConfig(Body):
    """What to change. The policy changes by adding a version."""

    description: str | None = Field(None, max_length=2_000)


class RoutingConfigsQuery(PageQuery):
    """Which routing configs."""

    project_id: str = Field("", max_length=100, description="Only this project's.")
    slug: str = Field("", max_length=100, description="Only this slug.")
    include_archived: bool = False


@routes.endpoint("GET", "/routing-configs", "List the routing configs", role="viewer")
async def list_routing_configs(
    caller: Authorized, query: Annotated[RoutingConfigsQuery, QueryParameters()]
) -> Listing[RoutingConfig]:
    request = pb.ListRoutingConfigsRequest(
        page=pb.Page(limit=query.limit, cursor=query.cursor),
        project_id=query.project_id,
        slug=query.slug,
        include_archived=query.include_archived,
    )
    found = await caller.call(request, pb.ListRoutingConfigsResponse)
    return listing([routing_config(record) for record in found.routing_configs], found.next_cursor)


@routes.endpoint("POST", "/routing-configs", "Create a routing config", role="editor", status=201)
async def create_routing_config(
    caller: Authorized, body: CreateRoutingConfig, response: Response
) -> Warned[RoutingConfig]:
    request = pb.CreateRoutingConfigRequest(
        project_id=body.project_id,
        slug=body.slug,
        description=body.description,
        policy_json=json.dumps(body.policy).encode(),
        note=body.note,
    )
    found = await caller.call(request, pb.CreateRoutingConfigResponse)
    return warned(response, found)


@routes.endpoint("GET", "/routing-configs/{config_id}", "Show one routing config", role="viewer")
async def get_routing_config(caller: Authorized, config_id: str, response: Response) -> Data[RoutingConfig]:
    found = await caller.call(pb.GetRoutingConfigRequest(id=config_id), pb.GetRoutingConfigResponse)
    return tagged(response, found.routing_config)


@routes.endpoint("PATCH", "/routing-configs/{config_id}", "Change a routing config's description", role="editor")
async def update_routing_config(
    caller: Authorized, config_id: str, body: UpdateRoutingConfig, response: Response, if_match: IfMatch = None
) -> Warned[RoutingConfig]:
    request = pb.UpdateRoutingConfigRequest(
        id=config_id, description=body.description, if_revision=revision_of(if_match)
    )
    found = await caller.call(request, pb.UpdateRoutingConfigResponse)
    return warned(response, found)


@routes.endpoint("POST", "/routing-configs/{config_id}/archive", "Take a routing config out of service", role="editor")
async def archive_routing_config(
    caller: Authorized, config_id: str, response: Response, if_match: IfMatch = None
) -> Data[RoutingConfig]:
    request = pb.ArchiveRoutingConfigRequest(id=config_id, archived=True, if_revision=revision_of(if_match))
    found = await caller.call(request, pb.ArchiveRoutingConfigResponse)
    return tagged(response, found.routing_config)


@routes.endpoint("POST", "/routing-configs/{config_id}/restore", "Bring an archived routing config back", role="editor")
async def restore_routing_config(
    caller: Authorized, config_id: str, response: Response, if_match: IfMatch = None
) -> Data[RoutingConfig]:
    request = pb.ArchiveRoutingConfigRequest(id=config_id, archived=False, if_revision=revision_of(if_match))
    found = await caller.call(request, pb.ArchiveRoutingConfigResponse)
    return tagged(response, found.routing_config)


@routes.endpoint(
    "DELETE", "/routing-configs/{config_id}", "Delete a routing config and its versions for good", role="admin"
)
async def delete_routing_config(caller: Authorized, config_id: str, if_match: IfMatch = None) -> Data[Deleted]:
    request = pb.DeleteRoutingConfigRequest(id=config_id, if_revision=revision_of(if_match))
    await caller.call(request, pb.DeleteRoutingConfigResponse)
    return Data(data=Deleted(id=config_id))


def routing_config(record: pb.RoutingConfigRecord) -> RoutingConfig:
    return RoutingConfig(
        id=record.id,
        project_id=record.project_id,
        slug=record.slug,
        description=record.description,
        active_version=record.active_version,
        latest_version=record.latest_version,
        archived=record.archived,
        policy_type=record.policy_type,
        policy=from_json(record.policy_json),
        revision=record.revision,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
    )


def tagged(response: Response, record: pb.RoutingConfigRecord) -> Data[RoutingConfig]:
    """The config in an answer that carries its ETag."""
    response.headers["etag"] = f'"{record.revision}"'
    return Data(data=routing_config(record))


def warned(
    response: Response,
    found: pb.CreateRoutingConfigResponse
    | pb.UpdateRoutingConfigResponse
    | pb.ActivateRoutingConfigResponse
    | pb.RollbackRoutingConfigResponse,
) -> Warned[RoutingConfig]:
    """The same with what of its policy is probably not meant."""
    return Warned(data=tagged(response, found.routing_config).data, warnings=warnings(found.warnings))


def warnings(found: Iterable[pb.PolicyWarning]) -> list[PolicyWarning]:
    return [PolicyWarning(field=w.field, message=w.message, hint=w.hint, code=w.code) for w in found]


def revision_of(if_match: str | None) -> int:
    """The revision in an If-Match header; 0 for none and for `*`. Raises a 412 problem for anything that no ETag of
    ours looks like.
    """
    if if_match is None or if_match.strip() == "*":
        return 0
    digits = if_match.strip().removeprefix('"').removesuffix('"')
    if not digits.isascii() or not digits.isdigit() or len(digits) > 18 or int(digits) == 0:
        detail = f"If-Match names {if_match[:40]!r}, which is no ETag of a routing config."
        raise ProblemError(
            Problem(412, "stale_revision", "Changed meanwhile", detail, "Send the ETag of the last answer.")
        )
    return int(digits)
