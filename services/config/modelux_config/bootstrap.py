"""Set an installation up: an organization, a project, keys, credentials and routing configs. Running it again
changes nothing.
"""

from __future__ import annotations

from typing import cast

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import base_urls, checks, credentials, management_keys, projects, proxy_keys, routing_configs
from modelux_config.identity import SYSTEM, Identity
from modelux_config.records import fill
from modelux_config.scope import Change, Ports, Scope, finish, lock
from modelux_config.statements import sql
from modelux_contracts.hosts import host_of
from modelux_contracts.ids import new_id
from modelux_contracts.refusals import conflict
from modelux_runtime.auth import key_hash
from modelux_store.database import Database, Transaction
from modelux_store.secrets import open_sealed

_KEY_NAME = "bootstrap"


async def bootstrap(database: Database, ports: Ports, request: pb.BootstrapRequest) -> pb.BootstrapResponse:
    """Creates what is absent, in one transaction. Raises a 409 problem for a key that is another organization's or
    was revoked.
    """
    now_us = ports.now_ms() * 1000
    async with database.transaction() as tx:
        await tx.execute(sql("organizations", "lock_all"), {})
        scope = await _scope(tx, ports, checks.name(request.organization_name or "default", "organizationName"), now_us)
        await lock(tx, scope.organization_id)
        project = await _project(scope, checks.name(request.project_name or "default", "projectName"))
        answer = pb.BootstrapResponse(organization_id=scope.organization_id, project_id=project.id)
        if request.proxy_key:
            answer.proxy_key_id = await _proxy_key(scope, project.id, request.proxy_key)
        if request.management_key:
            answer.management_key_id = await _management_key(scope, request.management_key)
        for credential in request.credentials:
            answer.credential_ids.append(await _credential(scope, credential))
        for config in request.routing_configs:
            await _routing_config(scope, project.id, config)
        version = await finish(scope)
        row = await tx.fetch_one(sql("snapshot", "version"), {})
        assert row is not None
        answer.snapshot_version = version or cast(int, row["version"])
        return answer


async def _scope(tx: Transaction, ports: Ports, name: str, now_us: int) -> Scope:
    row = await tx.fetch_one(sql("organizations", "by_name"), {"name": name})
    organization_id = cast(str, row["id"]) if row else new_id("org_", now_us // 1000)
    who = Identity("", SYSTEM, organization_id, name, "owner")
    scope = Scope(tx, ports, who, SYSTEM, now_us)
    if row is None:
        await tx.execute(sql("organizations", "insert"), {"id": organization_id, "name": name, "now_us": now_us})
        scope.record(Change("organization", organization_id, "created"))
    return scope


async def _project(scope: Scope, name: str) -> pb.ProjectRecord:
    row = await scope.row("projects", "by_name", name=name)
    return fill(pb.ProjectRecord, row) if row else await projects.create(scope, pb.CreateProjectRequest(name=name))


async def _proxy_key(scope: Scope, project_id: str, secret: str) -> str:
    row = await scope.row("keys", "proxy_key_by_hash", hash=key_hash(secret))
    if row is not None:
        return _registered(scope, row)
    draft = pb.ProxyKeyRecord(project_id=project_id, name=_KEY_NAME)
    return (await proxy_keys.register(scope, draft, secret)).id


async def _management_key(scope: Scope, secret: str) -> str:
    row = await scope.row("keys", "management_key_by_hash", hash=key_hash(secret))
    if row is not None:
        return _registered(scope, row)
    return (await management_keys.register(scope, _KEY_NAME, "owner", 0, secret)).id


def _registered(scope: Scope, row: dict[str, object]) -> str:
    if row["organization_id"] != scope.organization_id:
        raise conflict("key_taken", "The key belongs to another organization.", "Make a new key.")
    if row["revoked_at_us"]:
        raise conflict("key_revoked", "The key was revoked.", "Make a new key.")
    return cast(str, row["id"])


async def _credential(scope: Scope, wanted: pb.BootstrapCredential) -> str:
    """Known by name; another address, secret or list of models replaces what is stored."""
    row = await scope.row("credentials", "by_name", name=wanted.name)
    if row is None:
        draft = credentials.Draft(
            name=wanted.name,
            provider=wanted.provider,
            base_url=wanted.base_url,
            secret=wanted.secret,
            models=tuple(wanted.models),
            allow_private=wanted.allow_private,
        )
        return (await credentials.create(scope, draft)).id
    before = fill(pb.CredentialRecord, row)
    after = pb.CredentialRecord()
    after.CopyFrom(before)
    if wanted.base_url:
        address = base_urls.parse(wanted.base_url, scope.ports.private_hosts, allow_private=wanted.allow_private)
        after.base_url, after.allow_private = address.url, address.private
    after.models[:] = checks.models(wanted.models, "models")
    if after != before or not _holds(scope, row, wanted.secret):
        after.updated_at_us = scope.now_us
        await credentials.store(scope, "update", after, wanted.secret or None)
        scope.record(Change("credential", after.id, "updated", before, after))
    return before.id


def _holds(scope: Scope, row: dict[str, object], secret: str) -> bool:
    """Whether the stored secret is this one."""
    sealed = cast("bytes | None", row["sealed_secret"])
    if not sealed:
        return not secret
    opened = open_sealed(
        scope.ports.encryption_key,
        sealed,
        organization_id=scope.organization_id,
        credential_id=cast(str, row["id"]),
        host=host_of(cast(str, row["base_url"])),
    )
    return opened == secret.encode()


async def _routing_config(scope: Scope, project_id: str, wanted: pb.BootstrapRoutingConfig) -> None:
    if await scope.row("routing_configs", "by_slug", project_id=project_id, slug=checks.slug(wanted.slug)) is None:
        await routing_configs.create(scope, project_id, wanted.slug, wanted.policy_json, description=wanted.description)
