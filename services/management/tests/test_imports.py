"""History over the REST API: down the bus, through ingest, into the log, each row once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any

import httpx2
import pytest
from config_harness import Installation
from engines import NewUrl
from import_exports import COMPLETION, EXPORTS, HELICONE, LANGFUSE, LITELLM, jsonl
from management_harness import Client, client_of

from modelux_bus.base import Message
from modelux_bus.consume import consume
from modelux_bus.memory import MemoryBus
from modelux_contracts.topics import LOG_IMPORTED, partitions
from modelux_ingest.consumer import Writer
from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.routes.imports import UPLOAD_BYTES
from modelux_store.analytics import Analytics
from modelux_store.logs import Logs
from modelux_store.spending import Spending

CSV = b"model,input_tokens,output_tokens,latency_s\ngpt-4o,100,20,1.5\ngpt-4o,-1,20,1.5\ngpt-4o,100,20,NaN\n"
TIMES = {"start": "2026-04-01T00:00:00Z", "spread": "7d"}


class ListeningBus(MemoryBus):
    """Remembers what was published, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.published: list[Message] = []

    async def publish(self, messages: Any) -> None:
        await super().publish(messages)
        self.published += messages


@dataclass
class World:
    """Two tenants, the bus, and the log behind it."""

    acme: Client
    globex: Client
    bus: ListeningBus
    analytics: Analytics

    async def send(self, content: bytes, client: Client | None = None, kind: str = "text/csv", **query: Any) -> Any:
        client = client or self.acme
        query = {"project_id": client.project_id} | query
        return await client.send("POST", "/logs/import", content=content, params=query, headers={"content-type": kind})

    async def report(self, content: bytes, **query: Any) -> Any:
        answer = await self.send(content, **query)
        assert answer.status_code == 200, answer.text
        return answer.json()["data"]

    async def refused(self, content: bytes, status: int, **query: Any) -> Any:
        """The problem; nothing went down the bus."""
        before = len(self.bus.published)
        answer = await self.send(content, **query)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"] == "application/problem+json"
        assert len(self.bus.published) == before
        return answer.json()

    async def settle(self) -> None:
        """Lets ingest take all that was published."""
        stop = asyncio.Event()
        writer = Writer(self.analytics, now_us=lambda: 0, linger_s=0)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(
                consume(self.bus, "ingest", {LOG_IMPORTED.name: writer.handle_imported}, max_wait_s=0.05, stop=stop)
            )
            while any((await self.bus.lag("ingest", [LOG_IMPORTED.name])).values()):
                await asyncio.sleep(0.01)
            stop.set()


@pytest.fixture
async def world(installation: Installation, new_analytics: NewUrl) -> AsyncIterator[World]:
    analytics = await Analytics.open(await new_analytics())
    bus = ListeningBus()
    await bus.ensure(partitions())
    tenants = [await installation.tenant(name) for name in ("acme", "globex")]
    app = build(Admin(installation.channel), Logs(analytics, b"key"), {"localhost"}, bus)
    transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1", timeout=60) as http:
        yield World(client_of(http, tenants[0]), client_of(http, tenants[1]), bus, analytics)
    await analytics.close()


async def test_every_export_stands_in_the_log_once_however_often_it_is_sent(world: World) -> None:
    contents = [jsonl(row) for _, row in EXPORTS.values()]
    for content in contents * 2:
        assert (await world.report(content, kind="application/x-ndjson"))["imported"] == 1
    assert len(world.bus.published) == 2 * len(contents)
    await world.settle()
    rows = (await world.acme.get("/logs", limit=200))["data"]
    # A batch's output and the stored completion are the same call, told twice: the same id within one source.
    assert sorted(row["source"] for row in rows) == ["helicone", "langfuse", "langfuse", "litellm", "openai"]
    assert {row["started_at"] for row in rows} == {"2026-04-01T12:00:00Z"}
    (told,) = (await world.acme.get("/logs", source="helicone"))["data"]
    assert (told["cost_usd"], told["latency_ms"], told["ttft_ms"], told["status"]) == (2.4e-05, 1500.0, 400.0, 200)
    detail = (await world.acme.get(f"/logs/{told['request_id']}"))["data"]
    assert detail["trace"]["selected"] == "gpt-4o-mini-2024-07-18:openai"
    assert detail["response_body"]["choices"] == COMPLETION["choices"]
    assert detail["attempt_log"][0]["price_version"] == "imported/helicone"
    (untimed,) = (await world.acme.get("/logs", source="openai"))["data"]
    assert untimed["latency_ms"] is None
    assert (await world.globex.get("/logs"))["data"] == []


async def test_imported_calls_count_against_no_budget(world: World) -> None:
    await world.report(jsonl(LITELLM), kind="application/x-ndjson")
    await world.settle()
    for scope in ("organization", "model"):
        value = "" if scope == "organization" else "gpt-4o-mini"
        wanted = Spending(world.acme.organization_id, "", scope, "", 0, 0, {value: 0})
        assert await Logs(world.analytics, b"key").spent(wanted) == {}


async def test_what_changed_in_between_stands_as_it_was_sent_last(world: World) -> None:
    for cost in (0.25, 0.75, 0.5):
        await world.report(jsonl(HELICONE | {"cost": cost}), kind="application/x-ndjson")
        await world.settle()
        (row,) = (await world.acme.get("/logs"))["data"]
        detail = (await world.acme.get(f"/logs/{row['request_id']}"))["data"]
        assert row["cost_usd"] == detail["cost_usd"] == detail["attempt_log"][0]["cost_usd"] == cost


async def test_bad_rows_are_told_and_passed_over(world: World) -> None:
    report = await world.report(CSV, **TIMES, source="mine")
    assert (report["rows"], report["imported"], report["refused"]) == (3, 1, 2)
    assert [(row["line"], row["field"]) for row in report["refused_rows"]] == [(3, "input_tokens"), (4, "latency_s")]
    assert (report["source"], report["format"], report["preset"]) == ("mine", "csv", "modelux")
    (model,) = report["models"]
    assert (model["provider"], model["model"], model["rows"], model["cost_usd"]) == ("openai", "gpt-4o", 1, 0.00045)
    assert "2026-04-01" <= report["first"] == report["last"] < "2026-04-08"
    many = b"model,input_tokens,output_tokens\n" + b"gpt-4o,x,1\n" * 50
    assert len((await world.report(many, **TIMES))["refused_rows"]) == 10


async def test_a_strict_import_takes_all_or_nothing(world: World) -> None:
    problem = await world.refused(CSV, 422, **TIMES, strict=True)
    assert problem["code"] == "rows_refused"
    assert [error["field"] for error in problem["errors"]] == ["line 3: input_tokens", "line 4: latency_s"]
    good = b"".join(CSV.splitlines(keepends=True)[:2])
    assert (await world.report(good, **TIMES, strict=True))["imported"] == 1


async def test_a_dry_run_reports_and_imports_nothing(world: World) -> None:
    report = await world.report(CSV, **TIMES, dry_run=True)
    assert (report["imported"], report["dry_run"]) == (1, True)
    assert world.bus.published == []


async def test_pieces_of_a_file_are_the_file(world: World) -> None:
    """Rows alike in all they hold are told apart by their place, which a piece knows from `first_row`."""
    head, row = b"model,input_tokens,output_tokens\n", b"gpt-4o,1,1\n"
    await world.report(head + row * 4, **TIMES)
    whole = [message.id for message in world.bus.published]
    for first in (0, 2):
        await world.report(head + row * 2, **TIMES, first_row=first)
    assert len(set(whole)) == 4
    assert [message.id for message in world.bus.published[4:]] == whole


@pytest.mark.parametrize(
    ("content", "query", "status", "code", "field"),
    [
        (b"", {}, 422, "file_unreadable", "file"),
        (b"[]", {}, 422, "file_unreadable", "file"),
        (b"model,tokens\n", {}, 422, "file_unreadable", "file"),
        (b"model\n" + b"x\n" * 50_001, {}, 422, "file_unreadable", "file"),
        (CSV, {"map": "modle=x"}, 422, "invalid_request", "map"),
        (CSV, {"map": "model"}, 422, "invalid_request", "map"),
        (CSV, {"preset": "excel"}, 422, "invalid_request", "preset"),
        (CSV, {"source": "a/b"}, 422, "invalid_request", "source"),
        (CSV, {"spread": "7d"}, 422, "invalid_request", "start"),
        (CSV, {"start": "2026-04-01", "spread": "7d"}, 422, "invalid_request", "start"),
        (CSV, {"start": "2026-04-01T00:00:00Z", "spread": "9999d"}, 422, "invalid_request", "spread"),
        (CSV, {"start": "2026-04-01T00:00:00Z", "spread": "a week"}, 422, "invalid_request", "spread"),
        (CSV, {"first_row": -1}, 422, "invalid_request", "first_row"),
        (CSV, {"colour": "red"}, 422, "invalid_request", "colour"),
        (CSV, {"kind": "multipart/form-data"}, 415, "unsupported_media_type", None),
        (CSV, {"kind": "application/x-www-form-urlencoded"}, 415, "unsupported_media_type", None),
        (b"x" * (UPLOAD_BYTES + 1), {}, 413, "body_too_large", None),
        (CSV, {"project_id": "proj_none"}, 404, "not_found", None),
    ],
)
async def test_what_cannot_be_imported_is_refused_with_its_field(
    world: World, content: bytes, query: Mapping[str, Any], status: int, code: str, field: str | None
) -> None:
    problem = await world.refused(content, status, **query)
    assert problem["code"] == code
    assert (problem.get("errors") or [{"field": None}])[0]["field"] == field


async def test_only_editors_import_and_only_into_their_own_projects(world: World) -> None:
    viewer = await world.acme.with_role("viewer")
    assert (await world.send(CSV, viewer)).status_code == 403
    editor = await world.acme.with_role("editor")
    assert (await world.send(CSV, editor, **TIMES)).status_code == 200
    assert (await world.send(CSV, world.globex, project_id=world.acme.project_id)).status_code == 404


@pytest.mark.parametrize("source", ["experiment", "judge"])
async def test_history_cannot_pass_for_calls_of_ours(world: World, source: str) -> None:
    answer = await world.send(CSV, **TIMES, source=source)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == "source"


async def test_the_operators_prices_and_credentials_are_used(world: World) -> None:
    await world.acme.post(
        "/prices",
        {"provider": "openai", "model": "house-1", "inputUsdPerMillion": 1, "outputUsdPerMillion": 1,
         "effectiveFrom": "2026-03-01T00:00:00Z"},
    )  # fmt: skip
    made = await world.acme.post("/credentials", {"name": "a", "provider": "openai", "secret": "sk-simulated"})
    row = {"model": "house-1", "provider": "openai", "input_tokens": 10**6, "output_tokens": 0}
    report = await world.report(jsonl(row | {"started_at": "2026-04-01"}), kind="application/x-ndjson")
    assert report["models"][0]["cost_usd"] == 1.0
    await world.settle()
    (stored,) = (await world.acme.get("/logs"))["data"]
    assert (stored["credential_id"], stored["cost_usd"]) == (made["id"], 1.0)


async def test_without_a_bus_the_remedy_is_to_send_again(world: World, acme: Client) -> None:
    answer = await world.send(jsonl(HELICONE, LANGFUSE), acme, kind="application/x-ndjson")
    assert (answer.status_code, answer.json()["code"]) == (503, "bus_unavailable")
    assert "again" in json.dumps(answer.json())
