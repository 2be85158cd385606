"""Credentials: how a provider is reached and with which sealed secret. A secret never leaves for a host it was not
entered for.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import base_urls, checks, references
from modelux_config.pages import page
from modelux_config.projects import find as find_project
from modelux_config.records import fill
from modelux_config.scope import Change, Scope
from modelux_config.vendors import find as find_vendor
from modelux_contracts.hosts import host_of
from modelux_contracts.ids import new_id
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found
from modelux_providers.vendors import Vendor
from modelux_store.secrets import seal


@dataclass(frozen=True, slots=True)
class Draft:
    """A credential as it was asked for."""

    name: str
    provider: str
    base_url: str
    secret: str
    models: tuple[str, ...] = ()
    project_ids: tuple[str, ...] = ()
    allow_private: bool = False
    """Asked for by an operator."""


async def find(scope: Scope, credential_id: str) -> pb.CredentialRecord:
    row = await scope.row("credentials", "get", id=credential_id)
    if row is None:
        raise not_found("credential", credential_id)
    return fill(pb.CredentialRecord, row)


async def list_credentials(scope: Scope, request: pb.ListCredentialsRequest) -> pb.ListCredentialsResponse:
    rows, cursor = await page(scope, request.page, "credentials")
    return pb.ListCredentialsResponse(credentials=[fill(pb.CredentialRecord, r) for r in rows], next_cursor=cursor)


async def get_credential(scope: Scope, request: pb.GetCredentialRequest) -> pb.GetCredentialResponse:
    return pb.GetCredentialResponse(credential=await find(scope, request.id))


async def create_credential(scope: Scope, request: pb.CreateCredentialRequest) -> pb.CreateCredentialResponse:
    draft = Draft(
        name=request.name,
        provider=request.provider,
        base_url=request.base_url,
        secret=request.secret,
        models=tuple(request.models),
        project_ids=tuple(request.project_ids),
    )
    return pb.CreateCredentialResponse(credential=await create(scope, draft))


async def create(scope: Scope, draft: Draft) -> pb.CredentialRecord:
    """A new credential with its secret sealed for its host."""
    vendor = find_vendor(scope, draft.provider)
    if not (draft.base_url or vendor.base_url):
        raise invalid(
            FieldError(
                "baseUrl", f"is needed for the provider {draft.provider!r}", "Give the address of your installation."
            )
        )
    if vendor.needs_key and not draft.secret:
        raise invalid(
            FieldError("secret", f"is needed for the provider {draft.provider!r}", "Paste the provider's API key.")
        )
    address = base_urls.parse(
        draft.base_url or vendor.base_url, scope.ports.private_hosts, allow_private=draft.allow_private
    )
    record = pb.CredentialRecord(
        id=new_id("pc_", scope.now_us // 1000),
        organization_id=scope.organization_id,
        name=checks.name(draft.name),
        provider=draft.provider,
        base_url=address.url,
        models=_models(vendor, draft.models),
        project_ids=await _projects(scope, draft.project_ids),
        allow_private=address.private,
        created_at_us=scope.now_us,
        updated_at_us=scope.now_us,
    )
    await _free_name(scope, record)
    await store(scope, "insert", record, draft.secret or None)
    scope.record(Change("credential", record.id, "created", after=record))
    return record


async def update_credential(scope: Scope, request: pb.UpdateCredentialRequest) -> pb.UpdateCredentialResponse:
    before = await find(scope, request.id)
    after = await _changed(scope, before, request)
    secret = request.secret if request.HasField("secret") else None
    moved = host_of(after.base_url) != host_of(before.base_url)
    if after.base_url != before.base_url and before.secret_hint and not secret:
        hint = "Send 'secret' with the key of the new address: a stored key is never sent to another one."
        raise invalid(FieldError("secret", "must be entered again when baseUrl changes", hint), code="secret_required")
    if after == before and secret is None:
        return pb.UpdateCredentialResponse(credential=before)
    after.updated_at_us = scope.now_us
    await _free_name(scope, after)
    await store(scope, "update", after, secret, keep=secret is None and not moved)
    scope.record(Change("credential", after.id, "updated", before, after))
    return pb.UpdateCredentialResponse(credential=after)


async def delete_credential(scope: Scope, request: pb.DeleteCredentialRequest) -> pb.DeleteCredentialResponse:
    """Refused (409) while a routing config names it; they are listed."""
    before = await find(scope, request.id)
    users = await references.users_of_credential(scope, request.id)
    if users:
        hint = "Activate versions that do not name it, or archive those routing configs."
        raise conflict(
            "credential_in_use", f"Credential {before.name!r} is named by {len(users)} routing configs.", hint, users
        )
    await scope.run("credentials", "delete", id=request.id)
    scope.record(Change("credential", before.id, "deleted", before))
    return pb.DeleteCredentialResponse()


async def store(
    scope: Scope, statement: str, record: pb.CredentialRecord, secret: str | None, *, keep: bool = False
) -> None:
    """Writes the row; `secret` is sealed for the record's host, `keep` leaves the stored one (never over a change of
    host).
    """
    sealed: bytes | None = None
    if secret is not None:
        checks.secret(secret)
        record.secret_hint = secret[-4:]
        sealed = seal(
            scope.ports.encryption_key,
            secret.encode(),
            organization_id=record.organization_id,
            credential_id=record.id,
            host=host_of(record.base_url),
        )
    await scope.run(
        "credentials",
        statement,
        id=record.id,
        name=record.name,
        provider=record.provider,
        base_url=record.base_url,
        sealed_secret=sealed,
        keep_secret=keep,
        secret_hint=record.secret_hint,
        models=list(record.models),
        project_ids=list(record.project_ids),
        allow_private=record.allow_private,
        now_us=scope.now_us,
    )


async def _changed(
    scope: Scope, before: pb.CredentialRecord, request: pb.UpdateCredentialRequest
) -> pb.CredentialRecord:
    after = pb.CredentialRecord()
    after.CopyFrom(before)
    if request.HasField("name"):
        after.name = checks.name(request.name)
    if request.HasField("base_url") and request.base_url != before.base_url:
        address = base_urls.parse(request.base_url, scope.ports.private_hosts)
        after.base_url, after.allow_private = address.url, address.private
    if request.HasField("models"):
        after.models[:] = _models(find_vendor(scope, before.provider), request.models.values)
    if request.HasField("project_ids"):
        after.project_ids[:] = await _projects(scope, tuple(request.project_ids.values))
    return after


def _models(vendor: Vendor, names: Iterable[str]) -> list[str]:
    found = checks.models(names, "models")
    if vendor.own_models and not found:
        hint = "List the models (deployments) that your installation serves."
        raise invalid(FieldError("models", f"must be listed for the provider {vendor.name!r}", hint))
    return found


async def _projects(scope: Scope, project_ids: tuple[str, ...]) -> list[str]:
    found = list(dict.fromkeys(project_ids))
    for project_id in found:
        await find_project(scope, project_id)
    return found


async def _free_name(scope: Scope, record: pb.CredentialRecord) -> None:
    if await scope.row("credentials", "same_name", name=record.name, id=record.id):
        raise conflict("name_taken", f"There is a credential named {record.name!r} already.", "Choose another name.")
