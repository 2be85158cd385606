"""Versions of a routing config: add, compare, activate, roll back."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated, Literal, cast

from fastapi import Query as QueryParameters
from fastapi import Response
from pydantic import BaseModel, Field, JsonValue

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.routes.routing_configs import IfMatch, RoutingConfig, revision_of, tagged, warned, warnings
from modelux_management.wire import Body, Data, Listing, PageQuery, Query, Warned, from_json, listing, moment

routes = Routes("routing configs")

Kind = Literal["added", "removed", "changed", "moved"]


class Version(BaseModel):
    """One version. It never changes."""

    routing_config_id: str
    version: int
    active: bool
    policy_type: str
    policy: JsonValue
    note: str
    created_by: str = Field(description="A management key's id, or `system`.")
    created_at: datetime


class Change(BaseModel):
    """One difference between two policies."""

    path: str
    kind: Kind
    old: JsonValue = None
    new: JsonValue = None
    text: str = Field(description="In plain English.")


class Diff(BaseModel):
    """What changed between two versions, by meaning."""

    from_version: int
    to_version: int
    summary: str
    changes: list[Change]


class CreateVersion(Body):
    """A new version."""

    policy: JsonValue
    note: str = Field("", max_length=2_000, description="Why; kept with the version.")
    activate: bool = Field(False, description="Point the slug at it at once.")


class Activate(Body):
    """Which version to point the slug at."""

    version: int = Field(ge=1, le=2**31 - 1)


class Rollback(Body):
    """Where to go back to; without `version`: to what was active before."""

    version: int | None = Field(None, ge=1, le=2**31 - 1)


class DiffQuery(Query):
    """Which versions to compare."""

    from_version: int = Field(0, ge=0, le=2**31 - 1, alias="from", description="Left out: the active version.")
    to_version: int = Field(0, ge=0, le=2**31 - 1, alias="to", description="Left out: the latest version.")


@routes.endpoint(
    "GET", "/routing-configs/{config_id}/versions", "List the versions of a routing config, newest first", role="viewer"
)
async def list_routing_config_versions(
    caller: Authorized, config_id: str, query: Annotated[PageQuery, QueryParameters()]
) -> Listing[Version]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    request = pb.ListRoutingConfigVersionsRequest(id=config_id, page=page)
    found = await caller.call(request, pb.ListRoutingConfigVersionsResponse)
    return listing([_version(record) for record in found.versions], found.next_cursor)


@routes.endpoint(
    "POST", "/routing-configs/{config_id}/versions", "Add a version to a routing config", role="editor", status=201
)
async def create_routing_config_version(
    caller: Authorized, config_id: str, body: CreateVersion, response: Response, if_match: IfMatch = None
) -> Warned[Version]:
    request = pb.CreateRoutingConfigVersionRequest(
        id=config_id,
        policy_json=json.dumps(body.policy).encode(),
        note=body.note,
        activate=body.activate,
        if_revision=revision_of(if_match),
    )
    found = await caller.call(request, pb.CreateRoutingConfigVersionResponse)
    tagged(response, found.routing_config)
    return Warned(data=_version(found.version), warnings=warnings(found.warnings))


@routes.endpoint("GET", "/routing-configs/{config_id}/versions/{version}", "Show one version", role="viewer")
async def get_routing_config_version(caller: Authorized, config_id: str, version: int) -> Data[Version]:
    number = version if 0 < version < 2**31 else 2**31 - 1
    request = pb.GetRoutingConfigVersionRequest(id=config_id, version=number)
    found = await caller.call(request, pb.GetRoutingConfigVersionResponse)
    return Data(data=_version(found.version))


@routes.endpoint(
    "GET", "/routing-configs/{config_id}/diff", "Compare two versions of a routing config by meaning", role="viewer"
)
async def diff_routing_config(
    caller: Authorized, config_id: str, query: Annotated[DiffQuery, QueryParameters()]
) -> Data[Diff]:
    request = pb.DiffRoutingConfigRequest(id=config_id, from_version=query.from_version, to_version=query.to_version)
    found = await caller.call(request, pb.DiffRoutingConfigResponse)
    changes = [
        Change(
            path=each.path,
            kind=cast(Kind, each.kind),
            old=from_json(each.old_json),
            new=from_json(each.new_json),
            text=each.text,
        )
        for each in found.changes
    ]
    diff = Diff(from_version=found.from_version, to_version=found.to_version, summary=found.summary, changes=changes)
    return Data(data=diff)


@routes.endpoint("POST", "/routing-configs/{config_id}/activate", "Point the slug at a version", role="editor")
async def activate_routing_config(
    caller: Authorized, config_id: str, body: Activate, response: Response, if_match: IfMatch = None
) -> Warned[RoutingConfig]:
    request = pb.ActivateRoutingConfigRequest(id=config_id, version=body.version, if_revision=revision_of(if_match))
    found = await caller.call(request, pb.ActivateRoutingConfigResponse)
    return warned(response, found)


@routes.endpoint(
    "POST", "/routing-configs/{config_id}/rollback", "Go back to the version that was active before", role="editor"
)
async def rollback_routing_config(
    caller: Authorized, config_id: str, response: Response, body: Rollback | None = None, if_match: IfMatch = None
) -> Warned[RoutingConfig]:
    version = (body.version if body else None) or 0
    request = pb.RollbackRoutingConfigRequest(id=config_id, version=version, if_revision=revision_of(if_match))
    found = await caller.call(request, pb.RollbackRoutingConfigResponse)
    return warned(response, found)


def _version(record: pb.VersionRecord) -> Version:
    return Version(
        routing_config_id=record.routing_config_id,
        version=record.version,
        active=record.active,
        policy_type=record.policy_type,
        policy=from_json(record.policy_json),
        note=record.note,
        created_by=record.created_by,
        created_at=moment(record.created_at_us),
    )
