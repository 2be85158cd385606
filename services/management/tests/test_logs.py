"""The request logs over the REST API, on rows that a real ClickHouse engine holds."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx2
import pytest
from config_harness import Installation
from engines import NewUrl
from management_harness import Client, client_of

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage
from modelux_ingest.rows import attempt_columns, request_columns
from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_store.analytics import Analytics
from modelux_store.logs import Logs

START_US = 1_775_779_200_000_000
TRACE = {"request_id": "req_0", "policy_type": "fallback", "selected": "gpt-4o-mini:openai", "selection_reason": "x"}
COUNT = 30


def event(number: int, organization_id: str, project_id: str) -> RequestCompleted:
    failed = number % 5 == 0
    return RequestCompleted(
        request_id=f"req_{number}",
        organization_id=organization_id,
        project_id=project_id,
        key_id="key_1",
        started_at_us=START_US + number * 60_000_000,
        endpoint="chat",
        requested_model="@production",
        config_slug="production",
        config_version=4,
        policy_type="fallback",
        outcome="error" if failed else "ok",
        status=503 if failed else 200,
        error_code="upstream_timeout" if failed else "",
        model="" if failed else ("gpt-4o-mini" if number % 2 else "claude-haiku-4-5"),
        provider="" if failed else ("openai" if number % 2 else "anthropic"),
        tags={"run_id": f"run_{number % 3}", "team": "search"},
        end_user_id=f"user-{number % 2}",
        usage=Usage(input=1000, output=247, web_searches=2, cache_write_1h=3),
        price_unknown=number == 7,
        cost_nano=2_134_000 * (number + 1),
        latency_us=238_000,
        ttft_us=138_000,
        attempts=[
            AttemptRecord(number=1, model="claude-haiku-4-5", provider="anthropic", kind="timeout", ttft_us=-1),
            AttemptRecord(
                number=2,
                model="gpt-4o-mini",
                provider="openai",
                kind="ok",
                status=200,
                started_us=100_000,
                cost_nano=1000,
                price_version="ceiling/9" if number == 7 else "override/price_1",
                price_unknown=number == 7,
            ),
        ],
        trace_json=json.dumps(TRACE).encode(),
        request_body=b'{"model": "@production", "messages": []}',
        response_body=b'data: {"id": "x"}\n\n',
        logging_mode="full",
    )


@pytest.fixture
async def clients(installation: Installation, new_analytics: NewUrl) -> AsyncIterator[tuple[Client, Client]]:
    analytics = await Analytics.open(await new_analytics())
    tenants = [await installation.tenant(name) for name in ("acme", "globex")]
    events = [event(n, tenants[0].organization_id, tenants[0].project_id) for n in range(COUNT)]
    events.append(event(99, tenants[1].organization_id, tenants[1].project_id))
    await analytics.insert("requests", request_columns(events))
    await analytics.insert("attempts", attempt_columns(events))
    app = build(Admin(installation.channel), Logs(analytics, b"key"), {"localhost"})
    transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1", timeout=30) as http:
        yield client_of(http, tenants[0]), client_of(http, tenants[1])
    await analytics.close()


async def ids(client: Client, query: str) -> list[int]:
    answer = await client.send("GET", f"/logs?limit=200&{query}")
    assert answer.status_code == 200, answer.text
    return [int(row["request_id"].removeprefix("req_")) for row in answer.json()["data"]]


async def test_filters(clients: tuple[Client, Client]) -> None:
    acme, globex = clients
    every = range(COUNT - 1, -1, -1)
    failed = [n for n in every if n % 5 == 0]
    served = [n for n in every if n % 5]
    cases = {
        "": list(every),
        f"project_id={acme.project_id}": list(every),
        "tag=run_id:run_1": [n for n in every if n % 3 == 1],
        "tag=run_id:run_1&tag=team:search": [n for n in every if n % 3 == 1],
        "tag=run_id:run_1&tag=team:ads": [],
        "model=gpt-4o-mini": [n for n in served if n % 2],
        "provider=anthropic": [n for n in served if n % 2 == 0],
        "end_user_id=user-1": [n for n in every if n % 2],
        "status=503": failed,
        "status=5xx": failed,
        "status=2xx&outcome=ok": served,
        "outcome=error": failed,
        "error_code=upstream_timeout": failed,
        "config=@production&config_version=4": list(every),
        "config=other": [],
        "start=2026-04-10T00:10:00Z&end=2026-04-10T00:12:00Z": [11, 10],
        "min_cost_usd=0.06402": [29],
        "max_cost_usd=0.002134": [0],
        "min_latency_ms=239": [],
        "tag=run_id:%25%25%25": [],
        "model=" + "%25" * 200: [],
        "end_user_id=(a%2B)%2B$": [],
    }
    for query, wanted in cases.items():
        assert await ids(acme, query) == wanted, query
    assert await ids(globex, "") == [99]
    assert (await globex.refused("GET", f"/logs?project_id={acme.project_id}", 404))["code"] == "not_found"
    assert (await globex.refused("GET", "/logs/req_3", 404))["code"] == "not_found"
    await _pages(acme)
    await _detail(acme)
    await _unknown_price(acme)
    await _bad_queries(acme)


async def _pages(acme: Client) -> None:
    seen, cursor = [], ""
    while cursor is not None:
        page = await acme.get("/logs", limit=7, **({"cursor": cursor} if cursor else {}))
        seen += [row["request_id"] for row in page["data"]]
        cursor = page["next_cursor"]
    assert seen == [f"req_{n}" for n in range(COUNT - 1, -1, -1)]
    cursor = (await acme.get("/logs", limit=7))["next_cursor"]
    for query in (f"cursor={cursor[:-2]}AA", f"cursor={cursor}&outcome=ok", "cursor=x"):
        assert (await acme.refused("GET", f"/logs?{query}", 422))["code"] == "invalid_cursor"


async def _detail(acme: Client) -> None:
    found = (await acme.get("/logs/req_1"))["data"]
    assert found["trace"] == TRACE
    assert found["request_body"] == {"model": "@production", "messages": []}
    assert found["response_body"] == 'data: {"id": "x"}\n\n'
    assert (found["cost_usd"], found["latency_ms"], found["ttft_ms"]) == (0.004268, 238.0, 138.0)
    assert (found["config"], found["config_version"], found["attempts"]) == ("production", 4, 2)
    assert found["tags"] == {"run_id": "run_1", "team": "search"}
    assert found["started_at"] == "2026-04-10T00:01:00Z"
    assert [(a["number"], a["outcome"], a["ttft_ms"], a["started_ms"]) for a in found["attempt_log"]] == [
        (1, "timeout", None, 0.0),
        (2, "ok", 0.0, 100.0),
    ]

    usage = found["usage"]
    assert (usage["input"], usage["web_searches"], usage["cache_write_1h"], usage["input_audio"]) == (1000, 2, 3, 0)
    first, second = found["attempt_log"]
    assert (first["price_version"], second["price_version"]) == (None, "override/price_1")
    assert (second["cost_usd"], second["charged_usd"], found["charged_usd"]) == (1e-6, 1e-6, 0.004268)


async def _unknown_price(acme: Client) -> None:
    found = (await acme.get("/logs/req_7"))["data"]
    attempt = found["attempt_log"][1]
    assert (found["cost_usd"], found["charged_usd"]) == (None, 0.017072)
    assert (attempt["cost_usd"], attempt["charged_usd"], attempt["price_version"]) == (None, 1e-6, "ceiling/9")


async def _bad_queries(acme: Client) -> None:
    for query, field in {
        "tag=nocolon": "tag[0]",
        "tag=a:1&tag=a:2": "tag[1]",
        "status=abc": "status",
        "status=600": "status",
        "outcome=fine": "outcome",
        "start=yesterday": "start",
        "start=2026-04-10T00:00:00": "start",
        "start=2026-04-10T00:00:00Z&end=2026-04-09T00:00:00Z": "end",
        "min_cost_usd=-1": "min_cost_usd",
        "min_cost_usd=NaN": "min_cost_usd",
        "limit=1000000000": "limit",
        "sort=cost": "sort",
        "model=" + "x" * 201: "model",
    }.items():
        problem = await acme.refused("GET", f"/logs?{query}", 422)
        assert problem["errors"][0]["field"] == field, query
