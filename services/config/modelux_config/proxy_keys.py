"""Proxy keys (`mlx_sk_…`): what applications call `/v1` with. Shown once, stored as SHA-256."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks
from modelux_config.pages import page
from modelux_config.projects import find as find_project
from modelux_config.records import fill
from modelux_config.scope import Change, Scope
from modelux_contracts.ids import new_id, new_key
from modelux_contracts.refusals import not_found
from modelux_runtime.auth import PROXY_KEY_PREFIX, key_hash

SHOWN = len(PROXY_KEY_PREFIX) + 4
"""Characters of a key that are kept for recognition."""


async def find(scope: Scope, key_id: str) -> pb.ProxyKeyRecord:
    row = await scope.row("keys", "get_proxy_key", id=key_id)
    if row is None:
        raise not_found("key", key_id)
    return fill(pb.ProxyKeyRecord, row)


async def list_proxy_keys(scope: Scope, request: pb.ListProxyKeysRequest) -> pb.ListProxyKeysResponse:
    if request.project_id:
        await find_project(scope, request.project_id)
    rows, cursor = await page(scope, request.page, "keys", name="list_proxy_keys", project_id=request.project_id)
    return pb.ListProxyKeysResponse(keys=[fill(pb.ProxyKeyRecord, row) for row in rows], next_cursor=cursor)


async def get_proxy_key(scope: Scope, request: pb.GetProxyKeyRequest) -> pb.GetProxyKeyResponse:
    return pb.GetProxyKeyResponse(key=await find(scope, request.id))


async def create_proxy_key(scope: Scope, request: pb.CreateProxyKeyRequest) -> pb.CreateProxyKeyResponse:
    await find_project(scope, request.project_id)
    secret = new_key(PROXY_KEY_PREFIX)
    record = pb.ProxyKeyRecord(
        project_id=request.project_id,
        name=checks.name(request.name),
        expires_at_us=checks.expiry(request.expires_at_us, scope.now_us),
        requests_per_minute=checks.per_minute(request.requests_per_minute, "requestsPerMinute"),
        tokens_per_minute=checks.per_minute(request.tokens_per_minute, "tokensPerMinute"),
        allowed_models=checks.models(request.allowed_models, "allowedModels"),
    )
    return pb.CreateProxyKeyResponse(key=await register(scope, record, secret), secret=secret)


async def register(scope: Scope, draft: pb.ProxyKeyRecord, secret: str) -> pb.ProxyKeyRecord:
    """Stores the key's hash and what is known of the key."""
    record = pb.ProxyKeyRecord()
    record.CopyFrom(draft)
    record.id, record.prefix, record.created_at_us = new_id("key_", scope.now_us // 1000), secret[:SHOWN], scope.now_us
    await scope.run(
        "keys",
        "insert_proxy_key",
        id=record.id,
        project_id=record.project_id,
        hash=key_hash(secret),
        prefix=record.prefix,
        **_limits(record),
        now_us=scope.now_us,
    )
    scope.record(Change("key", record.id, "created", after=record, project_id=record.project_id))
    return record


async def update_proxy_key(scope: Scope, request: pb.UpdateProxyKeyRequest) -> pb.UpdateProxyKeyResponse:
    before = await find(scope, request.id)
    after = pb.ProxyKeyRecord()
    after.CopyFrom(before)
    if request.HasField("name"):
        after.name = checks.name(request.name)
    if request.HasField("expires_at_us"):
        after.expires_at_us = checks.expiry(request.expires_at_us, scope.now_us)
    if request.HasField("requests_per_minute"):
        after.requests_per_minute = checks.per_minute(request.requests_per_minute, "requestsPerMinute")
    if request.HasField("tokens_per_minute"):
        after.tokens_per_minute = checks.per_minute(request.tokens_per_minute, "tokensPerMinute")
    if request.HasField("allowed_models"):
        after.allowed_models[:] = checks.models(request.allowed_models.values, "allowedModels")
    if after != before:
        await scope.run("keys", "update_proxy_key", id=after.id, **_limits(after))
        scope.record(Change("key", after.id, "updated", before, after, project_id=after.project_id))
    return pb.UpdateProxyKeyResponse(key=after)


async def revoke_proxy_key(scope: Scope, request: pb.RevokeProxyKeyRequest) -> pb.RevokeProxyKeyResponse:
    """Final. A key that is revoked already stays as it is."""
    before = await find(scope, request.id)
    if before.revoked_at_us:
        return pb.RevokeProxyKeyResponse(key=before)
    after = pb.ProxyKeyRecord()
    after.CopyFrom(before)
    after.revoked_at_us = scope.now_us
    await scope.run("keys", "revoke_proxy_key", id=after.id, now_us=scope.now_us)
    scope.record(Change("key", after.id, "deleted", before, after, project_id=after.project_id))
    return pb.RevokeProxyKeyResponse(key=after)


def _limits(record: pb.ProxyKeyRecord) -> dict[str, object]:
    return {
        "name": record.name,
        "expires_at_us": record.expires_at_us,
        "requests_per_minute": record.requests_per_minute,
        "tokens_per_minute": record.tokens_per_minute,
        "allowed_models": list(record.allowed_models),
    }
