"""Proxy keys: what applications call `/v1` with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import (
    Body,
    Data,
    Listing,
    Moment,
    PageQuery,
    listing,
    micros,
    moment,
    moment_or_none,
)

routes = Routes("keys")

_PerMinute = Annotated[int, Field(ge=0, le=1_000_000_000, description="0: no limit.")]


class ProxyKey(BaseModel):
    """A proxy key, without its text."""

    id: str
    project_id: str
    name: str
    prefix: str = Field(description="How the key begins, for recognition.")
    expires_at: datetime | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    allowed_models: list[str] = Field(description="Models and @slugs it may use; empty: all.")
    created_at: datetime
    revoked_at: datetime | None


class NewProxyKey(ProxyKey):
    """A proxy key with its text, which is shown this once."""

    key: str


class CreateProxyKey(Body):
    """A new key for a project."""

    project_id: str
    name: str
    expires_at: Moment | None = None
    requests_per_minute: _PerMinute = 0
    tokens_per_minute: _PerMinute = 0
    allowed_models: list[str] = Field([], max_length=200)


class UpdateProxyKey(Body):
    """What to change; fields left out stay as they are. `expiresAt: null` takes the expiry away."""

    name: str | None = None
    expires_at: Moment | None = None
    requests_per_minute: _PerMinute | None = None
    tokens_per_minute: _PerMinute | None = None
    allowed_models: list[str] | None = Field(None, max_length=200)


class KeysQuery(PageQuery):
    """Which keys."""

    project_id: str = Field("", max_length=100, description="Only this project's.")


@routes.endpoint("GET", "/keys", "List the proxy keys", role="viewer")
async def list_proxy_keys(caller: Authorized, query: Annotated[KeysQuery, QueryParameters()]) -> Listing[ProxyKey]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    request = pb.ListProxyKeysRequest(page=page, project_id=query.project_id)
    found = await caller.call(request, pb.ListProxyKeysResponse)
    return listing([_key(record) for record in found.keys], found.next_cursor)


@routes.endpoint("POST", "/keys", "Create a proxy key; its text is shown once", role="admin", status=201)
async def create_proxy_key(caller: Authorized, body: CreateProxyKey) -> Data[NewProxyKey]:
    request = pb.CreateProxyKeyRequest(
        project_id=body.project_id,
        name=body.name,
        expires_at_us=micros(body.expires_at) if body.expires_at else 0,
        requests_per_minute=body.requests_per_minute,
        tokens_per_minute=body.tokens_per_minute,
        allowed_models=body.allowed_models,
    )
    found = await caller.call(request, pb.CreateProxyKeyResponse)
    return Data(data=NewProxyKey(**_key(found.key).model_dump(), key=found.secret))


@routes.endpoint("GET", "/keys/{key_id}", "Show one proxy key", role="viewer")
async def get_proxy_key(caller: Authorized, key_id: str) -> Data[ProxyKey]:
    found = await caller.call(pb.GetProxyKeyRequest(id=key_id), pb.GetProxyKeyResponse)
    return Data(data=_key(found.key))


@routes.endpoint("PATCH", "/keys/{key_id}", "Change a proxy key's name, expiry or limits", role="admin")
async def update_proxy_key(caller: Authorized, key_id: str, body: UpdateProxyKey) -> Data[ProxyKey]:
    request = pb.UpdateProxyKeyRequest(
        id=key_id,
        name=body.name,
        requests_per_minute=body.requests_per_minute,
        tokens_per_minute=body.tokens_per_minute,
        allowed_models=None if body.allowed_models is None else pb.StringList(values=body.allowed_models),
    )
    if "expires_at" in body.model_fields_set:
        request.expires_at_us = micros(body.expires_at) if body.expires_at else 0
    found = await caller.call(request, pb.UpdateProxyKeyResponse)
    return Data(data=_key(found.key))


@routes.endpoint("DELETE", "/keys/{key_id}", "Revoke a proxy key for good", role="admin")
async def revoke_proxy_key(caller: Authorized, key_id: str) -> Data[ProxyKey]:
    found = await caller.call(pb.RevokeProxyKeyRequest(id=key_id), pb.RevokeProxyKeyResponse)
    return Data(data=_key(found.key))


def _key(record: pb.ProxyKeyRecord) -> ProxyKey:
    return ProxyKey(
        id=record.id,
        project_id=record.project_id,
        name=record.name,
        prefix=record.prefix,
        expires_at=moment_or_none(record.expires_at_us),
        requests_per_minute=record.requests_per_minute or None,
        tokens_per_minute=record.tokens_per_minute or None,
        allowed_models=list(record.allowed_models),
        created_at=moment(record.created_at_us),
        revoked_at=moment_or_none(record.revoked_at_us),
    )
