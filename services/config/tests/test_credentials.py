"""Credentials: sealed for one host, never shown, never carried to another."""

from __future__ import annotations

from typing import Any

import pytest
from config_harness import KEY, Installation, Refused, Tenant

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.hosts import host_of
from modelux_store.secrets import SecretError, open_sealed

SECRET = "sk-canary-7f3a9c21"


async def refusal(call: Any) -> Any:
    with pytest.raises(Refused) as refused:
        await call
    return refused.value.problem


async def create(tenant: Tenant, **fields: Any) -> pb.CredentialRecord:
    given = {"name": "main", "provider": "openai", "secret": SECRET, **fields}
    record: pb.CredentialRecord = (await tenant("CreateCredential", **given)).credential
    return record


async def opened(installation: Installation, record: pb.CredentialRecord, host: str = "") -> bytes | None:
    """The stored secret, as a proxy opens it."""
    async with installation.database.transaction() as tx:
        row = await tx.fetch_one("SELECT sealed_secret FROM config.credentials WHERE id = %s", (record.id,))
    assert row is not None
    if row["sealed_secret"] is None:
        return None
    return open_sealed(
        KEY,
        row["sealed_secret"],  # type: ignore[arg-type]
        organization_id=record.organization_id,
        credential_id=record.id,
        host=host or host_of(record.base_url),
    )


async def test_a_secret_is_sealed_for_its_host(acme: Tenant, installation: Installation) -> None:
    record = await create(acme)
    assert (record.base_url, record.secret_hint) == ("https://api.openai.com/v1", "9c21")
    assert await opened(installation, record) == SECRET.encode()
    with pytest.raises(SecretError):
        await opened(installation, record, "evil.com:443")


async def test_a_secret_stands_nowhere_in_plain_text(acme: Tenant, installation: Installation) -> None:
    acme.idempotency_key = "k"
    record = await create(acme)
    acme.idempotency_key = "k2"
    key = await acme("CreateProxyKey", project_id=acme.project_id, name="k")
    acme.idempotency_key = ""
    await acme("UpdateCredential", id=record.id, secret=SECRET + "2")
    async with installation.database.transaction() as tx:
        tables = await tx.fetch_all(
            "SELECT table_schema || '.' || table_name AS name FROM information_schema.tables"
            " WHERE table_schema IN ('config', 'outbox')"
        )
        texts = [
            str(row["whole"])
            for table in tables
            for row in await tx.fetch_all(f"SELECT t::text AS whole FROM {table['name']} t")  # noqa: S608
        ]
    assert texts
    for canary in (SECRET, key.secret, acme.key):
        for text in texts:
            assert canary not in text
            assert canary.encode().hex() not in text


async def test_another_host_needs_the_secret_again(acme: Tenant, installation: Installation) -> None:
    record = await create(acme)
    problem = await refusal(acme("UpdateCredential", id=record.id, base_url="https://evil.example.com/v1"))
    assert (problem.status, problem.code) == (422, "secret_required")
    assert problem.errors[0].field == "secret"
    assert "again" in problem.detail
    assert await opened(installation, record) == SECRET.encode()
    after = (
        await acme("UpdateCredential", id=record.id, base_url="https://eu.example.com/v1", secret="sk-new-12345678")
    ).credential
    assert await opened(installation, after) == b"sk-new-12345678"
    assert after.secret_hint == "5678"


async def test_another_path_needs_the_secret_again_too(acme: Tenant) -> None:
    record = await create(acme)
    problem = await refusal(acme("UpdateCredential", id=record.id, base_url="https://api.openai.com/other"))
    assert problem.code == "secret_required"


async def test_other_changes_keep_the_secret(acme: Tenant, installation: Installation) -> None:
    record = await create(acme)
    after = (
        await acme(
            "UpdateCredential",
            id=record.id,
            name="renamed",
            models={"values": ["gpt-4o"]},
            project_ids={"values": [acme.project_id]},
            base_url="https://API.openai.com/v1/",
        )
    ).credential
    assert (after.name, list(after.models), list(after.project_ids)) == ("renamed", ["gpt-4o"], [acme.project_id])
    assert await opened(installation, after) == SECRET.encode()
    cleared = (await acme("UpdateCredential", id=record.id, models={"values": []})).credential
    assert not cleared.models


async def test_a_secretless_credential_that_moves_holds_none(acme: Tenant, installation: Installation) -> None:
    record = await create(
        acme, provider="ollama", secret="", base_url="http://models.lan:11434/v1", models=["llama3:8b"]
    )
    assert record.allow_private
    after = (await acme("UpdateCredential", id=record.id, base_url="https://models.example.com/v1")).credential
    assert not after.allow_private
    assert await opened(installation, after) is None


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        pytest.param({"provider": "opnai"}, "provider", "unknown_provider", id="provider"),
        pytest.param({"secret": ""}, "secret", "invalid_request", id="no secret"),
        pytest.param({"secret": "short"}, "secret", "invalid_request", id="short secret"),
        pytest.param({"secret": "sk-abc def 123"}, "secret", "invalid_request", id="secret with spaces"),
        pytest.param({"secret": "sk-abcdef\r\nx-evil: 1"}, "secret", "invalid_request", id="secret with a line end"),
        pytest.param({"provider": "azure"}, "baseUrl", "invalid_request", id="no address"),
        pytest.param({"base_url": "http://10.0.0.1"}, "baseUrl", "blocked_address", id="private address"),
        pytest.param(
            {"provider": "azure", "base_url": "https://a.example.com"}, "models", "invalid_request", id="no models"
        ),
        pytest.param({"models": ["a b"]}, "models[0]", "invalid_request", id="model"),
        pytest.param({"name": " "}, "name", "invalid_request", id="name"),
    ],
)
async def test_bad_fields_are_named(acme: Tenant, fields: dict[str, Any], field: str, code: str) -> None:
    problem = await refusal(create(acme, **fields))
    assert (problem.status, problem.code, problem.errors[0].field) == (422, code, field)
    assert SECRET not in str(problem)


async def test_a_name_is_given_once(acme: Tenant) -> None:
    await create(acme)
    assert (await refusal(create(acme, name="MAIN"))).code == "name_taken"


async def test_a_credential_in_use_is_kept(acme: Tenant) -> None:
    record = await create(acme)
    policy = {"strategy": "single", "model": "gpt-4o", "provider_credential_id": record.id}
    config = await acme.config("production", policy)
    problem = await refusal(acme("DeleteCredential", id=record.id))
    assert (problem.status, problem.code) == (409, "credential_in_use")
    assert problem.errors[0].field == f"routing_config:{config.id}"
    assert "@production" in problem.errors[0].message
    await acme.version(config.id, "gpt-4o", activate=True)
    await acme("DeleteCredential", id=record.id)
    assert not (await acme("ListCredentials")).credentials


async def test_bootstrap_runs_twice_with_the_same_end(installation: Installation) -> None:
    request = pb.BootstrapRequest(
        organization_name="default",
        project_name="default",
        proxy_key="mlx_sk_bootstrap",
        management_key="mlx_mk_bootstrap",
        credentials=[
            pb.BootstrapCredential(
                name="sim", provider="openai", base_url="http://127.0.0.1:9/openai", secret=SECRET, allow_private=True
            )
        ],
        routing_configs=[
            pb.BootstrapRoutingConfig(slug="production", policy_json=b'{"strategy":"single","model":"m"}')
        ],
    )
    first = await installation.raw("Bootstrap", request, pb.BootstrapResponse)
    again = await installation.raw("Bootstrap", request, pb.BootstrapResponse)
    assert first == again
    owner = Tenant(installation, "mlx_mk_bootstrap", first.organization_id, first.project_id)
    (credential,) = (await owner("ListCredentials")).credentials
    assert credential.allow_private
    assert await opened(installation, credential) == SECRET.encode()
    assert (await owner("AuthenticateKey")).role == "owner"
    request.credentials[0].base_url = "http://127.0.0.1:10/openai"
    moved = await installation.raw("Bootstrap", request, pb.BootstrapResponse)
    assert moved.snapshot_version == first.snapshot_version + 1
    (credential,) = (await owner("ListCredentials")).credentials
    assert await opened(installation, credential) == SECRET.encode()


async def test_bootstrap_over_tcp_needs_the_token(installation: Installation) -> None:
    assert installation.edge._may_bootstrap("", "unix:")
    assert not installation.edge._may_bootstrap("", "ipv4:127.0.0.1:1234")


async def test_bootstrap_does_not_take_another_organizations_key(installation: Installation, acme: Tenant) -> None:
    request = pb.BootstrapRequest(organization_name="thief", management_key=acme.key)
    problem = await refusal(installation.raw("Bootstrap", request, pb.BootstrapResponse))
    assert problem.code == "key_taken"
