"""The management API from outside: bodies, pages, projects, credentials, keys, prices and audit."""

from __future__ import annotations

import asyncio
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx2
import pytest
from config_harness import Installation
from management_harness import Client, problem_of

from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_runtime.rpc import channel
from modelux_store.analytics import Analytics
from modelux_store.logs import Logs


async def test_me(acme: Client) -> None:
    me = (await acme.get("/me"))["data"]
    assert (me["role"], me["organization_id"]) == ("owner", acme.organization_id)


async def test_projects_from_creation_to_deletion(acme: Client) -> None:
    made = await acme.post("/projects", {"name": "Chat", "loggingMode": "metadata_only", "defaultMaxTokens": 100})
    assert made["id"].startswith("proj_")
    assert (made["logging_mode"], made["default_max_tokens"]) == ("metadata_only", 100)
    assert made["created_at"].endswith("Z")
    changed = await acme.send("PATCH", f"/projects/{made['id']}", json={"name": "Talk"})
    assert changed.json()["data"]["name"] == "Talk"
    assert changed.json()["data"]["logging_mode"] == "metadata_only"
    listed = await acme.get("/projects")
    assert [p["name"] for p in listed["data"]] == ["main", "Talk"]
    assert listed["next_cursor"] is None
    deleted = await acme.send("DELETE", f"/projects/{made['id']}")
    assert deleted.json() == {"data": {"id": made["id"], "deleted": True}}
    assert (await acme.refused("GET", f"/projects/{made['id']}", 404))["code"] == "not_found"


async def test_a_project_says_what_experiments_may_spend_and_sample(acme: Client) -> None:
    path = f"/projects/{acme.project_id}"
    names = ("experiment_spend_cap_usd", "judge_spend_cap_usd", "experiment_sample_min", "experiment_sample_max")
    usual = (await acme.get(path))["data"]
    assert [usual[name] for name in names] == [50, 20, 1_000, 50_000]
    body = {"experimentSpendCapUsd": "0.05", "judgeSpendCapUsd": 2.5, "experimentSampleMin": 10}
    changed = (await acme.send("PATCH", path, json=body)).json()["data"]
    assert [changed[name] for name in names] == [0.05, 2.5, 10, 50_000]
    changed = (await acme.send("PATCH", path, json={"experimentSpendCapUsd": 0, "name": "talk"})).json()["data"]
    assert [changed[name] for name in names] == [50, 2.5, 10, 50_000]
    made = await acme.post("/projects", {"name": "Large", "experimentSampleMax": 200_000})
    assert [made[name] for name in names] == [50, 20, 1_000, 200_000]


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("POST", "/projects", {"name": "x", "organizationId": "org_1"}, "organizationId"),
        ("POST", "/projects", {"name": "x", "id": "proj_1"}, "id"),
        ("POST", "/projects", {"name": "x", "logging_mode": "full"}, "logging_mode"),
        ("POST", "/projects", {"name": 5}, "name"),
        ("POST", "/projects", {}, "name"),
        ("POST", "/projects", {"name": "x", "defaultMaxTokens": "10"}, "defaultMaxTokens"),
        ("POST", "/projects", {"name": "x", "defaultMaxTokens": 1.5}, "defaultMaxTokens"),
        ("POST", "/projects", {"name": "x", "defaultMaxTokens": True}, "defaultMaxTokens"),
        ("POST", "/projects", {"name": "x", "experimentSpendCapUsd": -1}, "experimentSpendCapUsd"),
        ("POST", "/projects", {"name": "x", "judgeSpendCapUsd": "lots"}, "judgeSpendCapUsd"),
        ("POST", "/projects", {"name": "x", "experimentSampleMin": 2.5}, "experimentSampleMin"),
        ("POST", "/projects", {"name": "x", "experimentSampleMax": 10}, "experimentSampleMax"),
        ("POST", "/management-keys", {"name": "x", "role": "viewer", "organization_id": "o"}, "organization_id"),
        ("POST", "/management-keys", {"name": "x", "role": "god"}, "role"),
        (
            "POST",
            "/credentials",
            {"name": "x", "provider": "openai", "secret": "s", "allowPrivate": True},
            "allowPrivate",
        ),
        ("POST", "/keys", {"projectId": "p", "name": "x", "hash": "00"}, "hash"),
        ("POST", "/keys", {"projectId": "p", "name": "x", "expiresAt": "2030-01-01T00:00:00"}, "expiresAt"),
        ("POST", "/keys", {"projectId": "p", "name": "x", "expiresAt": 12}, "expiresAt"),
        ("POST", "/keys", {"projectId": "p", "name": "x", "requestsPerMinute": -1}, "requestsPerMinute"),
        ("POST", "/keys", {"projectId": "p", "name": "x", "allowedModels": ["a", 1]}, "allowedModels[1]"),
        (
            "POST",
            "/routing-configs",
            {"projectId": "p", "slug": "x", "policy": {}, "activeVersion": 2},
            "activeVersion",
        ),
        ("POST", "/prices", {"provider": "a", "model": "b", "inputUsdPerMillion": "10 USD"}, "inputUsdPerMillion"),
    ],
)
async def test_bodies_are_strict_and_errors_name_the_field(
    acme: Client, method: str, path: str, body: Any, field: str
) -> None:
    problem = await acme.refused(method, path, 422, json=body)
    assert field in [error["field"] for error in problem["errors"]]
    assert all(error["message"] for error in problem["errors"])


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        pytest.param(b"", 422, "invalid_request", id="empty"),
        pytest.param(b'{"name": "x"', 400, "invalid_json", id="cut short"),
        pytest.param(b'{"name": "a", "name": "b"}', 400, "duplicate_key", id="a key twice"),
        pytest.param(b'{"name": NaN}', 400, "invalid_json", id="NaN"),
        pytest.param(b'{"name": "\\ud800"}', 400, "invalid_text", id="half a surrogate pair"),
        pytest.param(b'{"name": "a\\u0000"}', 400, "invalid_text", id="NUL"),
        pytest.param(b'{"name": "\xff"}', 400, "invalid_encoding", id="not UTF-8"),
        pytest.param(b'{"name": ' + b"9" * 5000 + b"}", 400, "number_too_large", id="a long number"),
        pytest.param(b"[" * 100_000, 400, "too_deep", id="deep"),
        pytest.param(b'{"a":' * 70 + b"1" + b"}" * 70, 400, "too_deep", id="deeper than 64"),
        pytest.param(b'{"name": "' + b"x" * 1_100_000 + b'"}', 413, "body_too_large", id="large"),
        pytest.param(b"null", 422, "invalid_request", id="null"),
        pytest.param(b"[]", 422, "invalid_request", id="a list"),
    ],
)
async def test_unreadable_bodies(acme: Client, content: bytes, status: int, code: str) -> None:
    headers = {"content-type": "application/json"}
    problem = await acme.refused("POST", "/projects", status, content=content, headers=headers)
    assert problem["code"] == code
    assert len((await acme.get("/projects"))["data"]) == 1


async def test_other_content_types_are_refused(acme: Client) -> None:
    for kind in ("text/plain", "multipart/form-data; boundary=x", "application/xml", ""):
        problem = await acme.refused("POST", "/projects", 415, content=b'{"name": "x"}', headers={"content-type": kind})
        assert problem["code"] == "unsupported_media_type"


async def test_a_proxy_key_is_shown_once(acme: Client) -> None:
    body = {
        "projectId": acme.project_id,
        "name": "app",
        "requestsPerMinute": 60,
        "expiresAt": "2099-01-01T00:00:00+02:00",
    }
    made = await acme.post("/keys", body)
    assert made["key"].startswith("mlx_sk_")
    assert made["key"].startswith(made["prefix"])
    assert made["expires_at"] == "2098-12-31T22:00:00Z"
    shown = (await acme.get(f"/keys/{made['id']}"))["data"]
    assert "key" not in shown
    assert made["key"] not in json.dumps(await acme.get("/keys"))
    changed = (await acme.send("PATCH", f"/keys/{made['id']}", json={"expiresAt": None})).json()["data"]
    assert (changed["expires_at"], changed["requests_per_minute"]) == (None, 60)
    revoked = (await acme.send("DELETE", f"/keys/{made['id']}")).json()["data"]
    assert revoked["revoked_at"]


async def test_secrets_are_never_answered(acme: Client) -> None:
    secret = "sk-canary-0123456789"
    made = await acme.post("/credentials", {"name": "c", "provider": "openai", "secret": secret})
    assert made["secret_hint"] == "6789"
    answers = [await acme.get("/credentials"), await acme.get(f"/credentials/{made['id']}"), await acme.get("/audit")]
    bad = {"name": "c", "provider": "openai", "secret": secret, "nope": 1}
    answers.append(await acme.refused("POST", "/credentials", 422, json=bad))
    assert secret not in json.dumps(answers)


async def test_a_moved_credential_needs_its_key_again(acme: Client) -> None:
    made = await acme.post("/credentials", {"name": "c", "provider": "openai", "secret": "sk-0123456789"})
    path = f"/credentials/{made['id']}"
    problem = await acme.refused("PATCH", path, 422, json={"baseUrl": "https://evil.example.com/v1"})
    assert problem["code"] == "secret_required"
    assert problem["errors"][0]["field"] == "secret"
    assert "never sent to another" in problem["hint"]
    moved = await acme.send("PATCH", path, json={"baseUrl": "https://eu.example.com", "secret": "sk-9876543210"})
    assert moved.json()["data"]["base_url"] == "https://eu.example.com"
    problem = await acme.refused(
        "PATCH", path, 422, json={"baseUrl": "https://169.254.169.254", "secret": "sk-98765432"}
    )
    assert problem["code"] == "blocked_address"


async def test_another_tenants_things_do_not_exist(acme: Client, globex: Client) -> None:
    config = await acme.config("production")
    key = await acme.post("/keys", {"projectId": acme.project_id, "name": "app"})
    credential = await acme.post("/credentials", {"name": "c", "provider": "openai", "secret": "sk-0123456789"})
    for path in (
        f"/projects/{acme.project_id}",
        f"/keys/{key['id']}",
        f"/credentials/{credential['id']}",
        f"/routing-configs/{config['id']}",
        f"/routing-configs/{config['id']}/versions",
        f"/routing-configs/{config['id']}/diff",
        f"/routing-configs?project_id={acme.project_id}",
        f"/keys?project_id={acme.project_id}",
    ):
        assert (await globex.refused("GET", path, 404))["code"] == "not_found", path
        assert (await acme.send("GET", path)).status_code == 200, path


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=-1", "limit=1000000000", "limit=x", "cursor=tampered", "cursor=%00", "sort=name;drop", "foo=1"],
)
async def test_bad_pages_are_refused(acme: Client, query: str) -> None:
    problem = await acme.refused("GET", f"/projects?{query}", 422)
    assert problem["errors"][0]["field"] == query.partition("=")[0]


async def test_pages_and_a_tampered_cursor(acme: Client) -> None:
    for number in range(4):
        await acme.post("/projects", {"name": f"p{number}"})
    first = await acme.get("/projects", limit=2)
    second = await acme.get("/projects", limit=2, cursor=first["next_cursor"])
    last = await acme.get("/projects", limit=2, cursor=second["next_cursor"])
    assert [p["name"] for page in (first, second, last) for p in page["data"]] == ["main", "p0", "p1", "p2", "p3"]
    assert last["next_cursor"] is None
    middle = len(first["next_cursor"]) // 2
    swapped = "A" if first["next_cursor"][middle] != "A" else "B"
    forged = first["next_cursor"][:middle] + swapped + first["next_cursor"][middle + 1 :]
    assert (await acme.refused("GET", f"/projects?cursor={forged}", 422))["code"] == "invalid_cursor"
    assert (await acme.refused("GET", f"/keys?cursor={first['next_cursor']}", 422))["code"] == "invalid_cursor"


async def test_of_200_equal_names_at_once_one_is_created(acme: Client) -> None:
    async def create() -> int:
        return (await acme.send("POST", "/projects", json={"name": "same"})).status_code

    statuses = await asyncio.gather(*[create() for _ in range(200)])
    assert sorted(statuses) == [201] + [409] * 199


async def test_an_idempotency_key_creates_once(acme: Client) -> None:
    body = {"projectId": acme.project_id, "name": "app"}
    headers = {"idempotency-key": "4b1c"}
    answers = await asyncio.gather(*[acme.send("POST", "/keys", json=body, headers=headers) for _ in range(5)])
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["data"]["key"] for answer in answers}) == 1
    assert len((await acme.get("/keys"))["data"]) == 1
    problem = await acme.refused("POST", "/keys", 409, json={**body, "name": "other"}, headers=headers)
    assert problem["code"] == "idempotency_key_reused"
    for bad in ("", "x" * 256):
        await acme.refused("POST", "/keys", 422, json=body, headers={"idempotency-key": bad})


async def test_prices_are_exact(acme: Client) -> None:
    body = {
        "provider": "openai",
        "model": "gpt-4o-mini",
        "inputUsdPerMillion": 0.15,
        "outputUsdPerMillion": "0.6",
        "cacheReadUsdPerMillion": "0.000000001",
        "effectiveFrom": "2026-01-01T00:00:00Z",
    }
    made = await acme.post("/prices", body)
    assert (made["input_usd_per_million"], made["output_usd_per_million"]) == (0.15, 0.6)
    assert (made["cache_read_usd_per_million"], made["cache_write_usd_per_million"]) == (1e-9, None)
    assert (await acme.refused("POST", "/prices", 409, json=body))["code"] == "price_exists"
    later = {**body, "effectiveFrom": "2026-02-01T00:00:00Z"}
    parts = {
        "cacheWriteUsdPerMillion": ("cache_write_usd_per_million", 1.25),
        "cacheWrite1hUsdPerMillion": ("cache_write_1h_usd_per_million", 2.0),
        "inputAudioUsdPerMillion": ("input_audio_usd_per_million", 32.0),
        "cacheAudioReadUsdPerMillion": ("cache_audio_read_usd_per_million", 0.0),
        "inputImageUsdPerMillion": ("input_image_usd_per_million", 5.0),
        "outputAudioUsdPerMillion": ("output_audio_usd_per_million", 64.0),
        "outputImageUsdPerMillion": ("output_image_usd_per_million", 120.0),
        "webSearchUsdPerThousand": ("web_search_usd_per_thousand", 10.0),
        "requestUsdPerThousand": ("request_usd_per_thousand", 12.0),
    }
    whole = await acme.post("/prices", later | {name: value for name, (_, value) in parts.items()})
    assert {name: whole[name] for name, _ in parts.values()} == dict(parts.values())
    for name in parts:
        problem = await acme.refused("POST", "/prices", 422, json={**later, name: "-1"})
        assert name in json.dumps(problem)
    await acme.send("DELETE", f"/prices/{whole['id']}")
    for bad in (-1, "NaN", "1e999", "Infinity", "10 USD", "0.0000000001", True, None, [], 1e18):
        await acme.refused("POST", "/prices", 422, json={**body, "inputUsdPerMillion": bad})
    await acme.send("DELETE", f"/prices/{made['id']}")
    assert (await acme.get("/prices"))["data"] == []


async def test_the_audit_log_names_actor_and_change(acme: Client) -> None:
    made = await acme.config("production")
    await acme.post(f"/routing-configs/{made['id']}/versions", {"policy": "gpt-4o", "activate": True})
    entries = (await acme.get("/audit", entity_id=made["id"]))["data"]
    assert [entry["action"] for entry in entries] == ["version_created", "created"]
    assert entries[0]["before"]["active_version"] == 1
    assert entries[0]["after"]["active_version"] == 2
    assert entries[0]["actor"] == (await acme.get("/me"))["data"]["key_id"]
    assert entries[0]["request_id"].startswith("req_")
    everything = (await acme.get("/audit", limit=200))["data"]
    for newer, older in pairwise(everything):
        assert newer["previous_hash"] == older["hash"]
    check = (await acme.get("/audit/verify"))["data"]
    assert check == {"entries": len(everything), "intact": True, "broken_at": None}
    await acme.refused("GET", "/audit?start=2026-01-01T00:00:00", 422)


async def test_with_the_config_service_down_there_is_a_clear_503(nowhere: Analytics, tmp_path: Path) -> None:
    async with channel(f"unix:{tmp_path}/nobody.sock") as connection:
        app = build(Admin(connection), Logs(nowhere, b"key"), {"localhost"})
        transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1") as http:
            answer = await http.get("/projects", headers={"authorization": "Bearer mlx_mk_x"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert problem_of(answer)["code"] == "config_unavailable"


async def test_with_postgresql_down_there_is_a_clear_503(acme: Client, installation: Installation) -> None:
    await installation.database.close()
    answer = await acme.send("GET", "/projects")
    assert answer.status_code == 503
    assert answer.headers["retry-after"]
    assert problem_of(answer)["code"] == "database_unavailable"


async def test_with_clickhouse_down_there_is_a_clear_503(acme: Client) -> None:
    for path in ("/logs", "/logs/req_x"):
        answer = await acme.send("GET", path)
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert problem_of(answer)["code"] == "analytics_unavailable"
    assert (await acme.send("GET", "/projects")).status_code == 200
