"""Credentials: bring your own provider keys. A stored key is never shown again and never sent to another host."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from fastapi import Query as QueryParameters
from pydantic import BaseModel, Field, SecretStr

from modelux.config.v1 import admin_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.wire import Body, Data, Deleted, Listing, PageQuery, listing, moment

routes = Routes("credentials")


class Credential(BaseModel):
    """A way to reach a provider, without its secret."""

    id: str
    organization_id: str
    name: str
    provider: str
    base_url: str
    models: list[str] = Field(description="Empty: every model of the provider's catalogue.")
    project_ids: list[str] = Field(description="Projects that may use it; empty: all.")
    allow_private: bool = Field(description="Set where the operator lets the host lie in a private network.")
    secret_hint: str | None = Field(description="The last four characters of the key; null where there is none.")
    created_at: datetime
    updated_at: datetime


class CreateCredential(Body):
    """A new credential."""

    name: str
    provider: str = Field(description="A known provider, such as openai, anthropic or google.")
    secret: SecretStr = Field(SecretStr(""), description="The provider's API key. Stored sealed, shown never.")
    base_url: str = Field("", description="Left out: the provider's own address.")
    models: list[str] = Field([], max_length=200)
    project_ids: list[str] = Field([], max_length=200)


class UpdateCredential(Body):
    """What to change; fields left out stay as they are. Another `baseUrl` needs `secret` again."""

    name: str | None = None
    secret: SecretStr | None = None
    base_url: str | None = None
    models: list[str] | None = Field(None, max_length=200)
    project_ids: list[str] | None = Field(None, max_length=200)


@routes.endpoint("GET", "/credentials", "List the provider credentials", role="viewer")
async def list_credentials(caller: Authorized, query: Annotated[PageQuery, QueryParameters()]) -> Listing[Credential]:
    page = pb.Page(limit=query.limit, cursor=query.cursor)
    found = await caller.call(pb.ListCredentialsRequest(page=page), pb.ListCredentialsResponse)
    return listing([_credential(record) for record in found.credentials], found.next_cursor)


@routes.endpoint("POST", "/credentials", "Add a provider credential", role="admin", status=201)
async def create_credential(caller: Authorized, body: CreateCredential) -> Data[Credential]:
    request = pb.CreateCredentialRequest(
        name=body.name,
        provider=body.provider,
        secret=body.secret.get_secret_value(),
        base_url=body.base_url,
        models=body.models,
        project_ids=body.project_ids,
    )
    found = await caller.call(request, pb.CreateCredentialResponse)
    return Data(data=_credential(found.credential))


@routes.endpoint("GET", "/credentials/{credential_id}", "Show one credential", role="viewer")
async def get_credential(caller: Authorized, credential_id: str) -> Data[Credential]:
    found = await caller.call(pb.GetCredentialRequest(id=credential_id), pb.GetCredentialResponse)
    return Data(data=_credential(found.credential))


@routes.endpoint("PATCH", "/credentials/{credential_id}", "Change a credential or replace its key", role="admin")
async def update_credential(caller: Authorized, credential_id: str, body: UpdateCredential) -> Data[Credential]:
    request = pb.UpdateCredentialRequest(
        id=credential_id,
        name=body.name,
        secret=body.secret.get_secret_value() if body.secret else None,
        base_url=body.base_url,
        models=None if body.models is None else pb.StringList(values=body.models),
        project_ids=None if body.project_ids is None else pb.StringList(values=body.project_ids),
    )
    found = await caller.call(request, pb.UpdateCredentialResponse)
    return Data(data=_credential(found.credential))


@routes.endpoint("DELETE", "/credentials/{credential_id}", "Delete a credential that no config names", role="admin")
async def delete_credential(caller: Authorized, credential_id: str) -> Data[Deleted]:
    await caller.call(pb.DeleteCredentialRequest(id=credential_id), pb.DeleteCredentialResponse)
    return Data(data=Deleted(id=credential_id))


def _credential(record: pb.CredentialRecord) -> Credential:
    return Credential(
        id=record.id,
        organization_id=record.organization_id,
        name=record.name,
        provider=record.provider,
        base_url=record.base_url,
        models=list(record.models),
        project_ids=list(record.project_ids),
        allow_private=record.allow_private,
        secret_hint=record.secret_hint or None,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
    )
