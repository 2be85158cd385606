"""Management keys: what people and programs call this API with, each with a role."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, cast

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import Body, Data, Listing, Moment, PageQuery, listing, micros, moment, moment_or_none
from modelux_runtime.auth import Role

routes = Routes("keys")


class ManagementKey(BaseModel):
    """A management key, without its text."""

    id: str
    organization_id: str
    name: str
    prefix: str
    role: Role
    expires_at: datetime | None
    created_at: datetime
    revoked_at: datetime | None


class NewManagementKey(ManagementKey):
    """A management key with its text, which is shown this once."""

    key: str


class CreateManagementKey(Body):
    """A new key. Nobody can grant a higher role than their own."""

    name: str
    role: Role = Field(
        description="viewer reads, editor changes routing, admin changes everything else, owner deletes projects."
    )
    expires_at: Moment | None = None


@routes.endpoint("GET", "/management-keys", "List the management keys", role="admin")
async def list_management_keys(
    caller: Authorized, query: Annotated[PageQuery, QueryParameters()]
) -> Listing[ManagementKey]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    found = await caller.call(pb.ListManagementKeysRequest(page=page), pb.ListManagementKeysResponse)
    return listing([_key(record) for record in found.keys], found.next_cursor)


@routes.endpoint(
    "POST", "/management-keys", "Create a management key; its text is shown once", role="admin", status=201
)
async def create_management_key(caller: Authorized, body: CreateManagementKey) -> Data[NewManagementKey]:
    expires_at_us = micros(body.expires_at) if body.expires_at else 0
    request = pb.CreateManagementKeyRequest(name=body.name, role=body.role, expires_at_us=expires_at_us)
    found = await caller.call(request, pb.CreateManagementKeyResponse)
    return Data(data=NewManagementKey(**_key(found.key).model_dump(), key=found.secret))


@routes.endpoint("DELETE", "/management-keys/{key_id}", "Revoke a management key for good", role="admin")
async def revoke_management_key(caller: Authorized, key_id: str) -> Data[ManagementKey]:
    found = await caller.call(pb.RevokeManagementKeyRequest(id=key_id), pb.RevokeManagementKeyResponse)
    return Data(data=_key(found.key))


def _key(record: pb.ManagementKeyRecord) -> ManagementKey:
    return ManagementKey(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        prefix=record.prefix,
        role=cast(Role, record.role),
        expires_at=moment_or_none(record.expires_at_us),
        created_at=moment(record.created_at_us),
        revoked_at=moment_or_none(record.revoked_at_us),
    )
