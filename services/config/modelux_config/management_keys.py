"""Management keys (`mlx_mk_…`) and their roles. Nobody grants or takes away more than they hold themselves."""

from __future__ import annotations

from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import checks
from modelux_config.pages import page
from modelux_config.problems import denied
from modelux_config.records import fill
from modelux_config.scope import Change, Scope
from modelux_contracts.ids import new_id, new_key
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found
from modelux_runtime.auth import MANAGEMENT_KEY_PREFIX, ROLES, Role, allows, key_hash

SHOWN = len(MANAGEMENT_KEY_PREFIX) + 4


async def list_management_keys(scope: Scope, request: pb.ListManagementKeysRequest) -> pb.ListManagementKeysResponse:
    rows, cursor = await page(scope, request.page, "keys", name="list_management_keys")
    return pb.ListManagementKeysResponse(keys=[fill(pb.ManagementKeyRecord, row) for row in rows], next_cursor=cursor)


async def create_management_key(scope: Scope, request: pb.CreateManagementKeyRequest) -> pb.CreateManagementKeyResponse:
    role = _role(request.role)
    if not allows(scope.who.role, role):
        raise denied(
            f"A key with the role {scope.who.role!r} cannot grant {role!r}.", "Ask somebody who holds that role."
        )
    secret = new_key(MANAGEMENT_KEY_PREFIX)
    record = await register(
        scope, checks.name(request.name), role, checks.expiry(request.expires_at_us, scope.now_us), secret
    )
    return pb.CreateManagementKeyResponse(key=record, secret=secret)


async def register(scope: Scope, name: str, role: Role, expires_at_us: int, secret: str) -> pb.ManagementKeyRecord:
    """Stores the key's hash and what is known of the key."""
    record = pb.ManagementKeyRecord(
        id=new_id("mk_", scope.now_us // 1000),
        organization_id=scope.organization_id,
        name=name,
        prefix=secret[:SHOWN],
        role=role,
        expires_at_us=expires_at_us,
        created_at_us=scope.now_us,
    )
    await scope.run(
        "keys",
        "insert_management_key",
        id=record.id,
        name=name,
        hash=key_hash(secret),
        prefix=record.prefix,
        role=role,
        expires_at_us=expires_at_us,
        now_us=scope.now_us,
    )
    scope.record(Change("management_key", record.id, "created", after=record))
    return record


async def revoke_management_key(scope: Scope, request: pb.RevokeManagementKeyRequest) -> pb.RevokeManagementKeyResponse:
    """Final. Refused (409) for the last owner, (403) for a key with a higher role than the caller's."""
    row = await scope.row("keys", "get_management_key", id=request.id)
    if row is None:
        raise not_found("management key", request.id)
    before = fill(pb.ManagementKeyRecord, row)
    if before.revoked_at_us:
        return pb.RevokeManagementKeyResponse(key=before)
    role = cast(Role, before.role)
    if not allows(scope.who.role, role):
        raise denied(
            f"A key with the role {scope.who.role!r} cannot revoke one with {role!r}.",
            "Ask somebody who holds that role.",
        )
    if role == "owner" and not await scope.rows("keys", "other_owners", id=before.id, now_us=scope.now_us):
        raise conflict("last_owner", "This is the last owner key in force.", "Create another owner key first.")
    after = pb.ManagementKeyRecord()
    after.CopyFrom(before)
    after.revoked_at_us = scope.now_us
    await scope.run("keys", "revoke_management_key", id=after.id, now_us=scope.now_us)
    scope.record(Change("management_key", after.id, "deleted", before, after))
    return pb.RevokeManagementKeyResponse(key=after)


def _role(value: str) -> Role:
    if value not in ROLES:
        raise invalid(FieldError("role", f"{value[:40]!r} is not a role", f"Use one of {', '.join(reversed(ROLES))}."))
    return value
