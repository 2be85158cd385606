"""More like this: requests like one, and topics of divergent answers, over a real log and the embedding service."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import grpc.aio
import httpx2
import pytest
from config_harness import Installation
from engines import NewUrl
from management_harness import Client, client_of

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux.replay.v1 import replay_pb2 as pb
from modelux_bus.memory import MemoryBus
from modelux_contracts.errors import Problem
from modelux_embedding.service import SERVICE, EmbeddingSettings
from modelux_ingest.rows import request_columns
from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.replays import Replays
from modelux_management.similar import MOST_TOPICS, Similar, topics_for
from modelux_runtime.calls import refuse
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import channel, serving
from modelux_runtime.settings import PlatformSettings
from modelux_store.analytics import Analytics
from modelux_store.experiment_pairs import ExperimentPairs
from modelux_store.experiments import ExperimentRows
from modelux_store.logs import Logs
from modelux_store.prompts import Prompts

START_US = 1_775_779_200_000_000
PASSWORDS = ["reset my password", "how do I reset my password?", "please reset the password", "password reset fails"]
WEATHER = ["weather in Lisbon today", "will it rain in Lisbon?", "weather in Lisbon this weekend"]
PROMPTS = [*PASSWORDS, *WEATHER, "", "an answer of no experiment"]
SIMILARITY = [0.2, 0.9, 0.4, 0.6, 0.1, 0.5, 0.99, 0.3]
"""Of the rows of the experiment; the request of the last of them has no body."""
COST_DELTA = [100, 200, 300, None, -1_000, -3_000, 0, 0]


@dataclass(frozen=True)
class Replay:
    """A replay service that knows one experiment of one organization."""

    organization_id: str

    def register(self, server: grpc.aio.Server) -> None:
        handler = grpc.unary_unary_rpc_method_handler(
            self.get,
            request_deserializer=pb.GetRequest.FromString,
            response_serializer=lambda each: each.SerializeToString(),
        )
        name = "modelux.replay.v1.ReplayService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, {"Get": handler}),))

    async def get(self, request: pb.GetRequest, context: Any) -> Any:
        if (request.id, request.actor.organization_id) != ("sim_1", self.organization_id):
            return await refuse(context, Problem(404, "not_found", "Not found", "There is no such experiment."))
        return pb.GetResponse(experiment=pb.ExperimentRecord(id="sim_1", seed=7))


def logged(tenant: Any, prompts: Sequence[str]) -> list[RequestCompleted]:
    """A request for each prompt, without a body where that is empty."""
    return [
        RequestCompleted(
            request_id=f"req_{number}",
            organization_id=tenant.organization_id,
            project_id=tenant.project_id,
            started_at_us=START_US + number * 60_000_000,
            endpoint="chat",
            requested_model="@production",
            outcome="ok",
            status=200,
            model="gpt-4o",
            provider="openai",
            cost_nano=2_000_000,
            price_unknown=number == 1,
            latency_us=238_000,
            request_body=json.dumps({"messages": [{"role": "user", "content": text}]}).encode() if text else b"",
        )
        for number, text in enumerate(prompts)
    ]


def replayed(tenant: Any) -> dict[str, list[object]]:
    count = len(SIMILARITY)
    return {
        "experiment_id": ["sim_1"] * count,
        "organization_id": [tenant.organization_id] * count,
        "project_id": [tenant.project_id] * count,
        "row": list(range(count)),
        "request_id": [f"req_{number}" for number in range(count)],
        "started_at": [START_US + number * 60_000_000 for number in range(count)],
        "evidence": ["observed"] * count,
        "baseline_cost_nano": [10_000] * count,
        "candidate_cost_nano": [None if delta is None else 10_000 + delta for delta in COST_DELTA],
        "similarity": list(SIMILARITY),
        "weight": [1.0] * count,
    }


@pytest.fixture
async def clients(
    installation: Installation, new_analytics: NewUrl, tmp_path: Path
) -> AsyncIterator[tuple[Client, Client]]:
    analytics = await Analytics.open(await new_analytics())
    acme, globex = [await installation.tenant(name) for name in ("acme", "globex")]
    await analytics.insert("requests", request_columns(logged(acme, PROMPTS)))
    await analytics.insert("experiment_rows", replayed(acme))
    embedding, replay = f"unix:{tmp_path}/embedding.sock", f"unix:{tmp_path}/replay.sock"
    platform = Platform(PlatformSettings(embedding_url=embedding), _analytics=analytics, _bus=MemoryBus())
    async with (
        SERVICE.serve(EmbeddingSettings(), platform) as tasks,
        serving(replay, Replay(acme.organization_id).register),
        channel(embedding) as to_embedding,
        channel(replay) as to_replay,
    ):
        for task in tasks:
            task.close()
        replays = Replays(to_replay, ExperimentRows(analytics, b"key"))
        similar = Similar(to_embedding, Prompts(analytics), ExperimentPairs(analytics))
        app = build(Admin(installation.channel), Logs(analytics, b"key"), {"localhost"}, None, replays, similar)
        transport = httpx2.ASGITransport(app=app)  # type: ignore[arg-type]
        async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1", timeout=30) as http:
            yield client_of(http, acme), client_of(http, globex)
    await analytics.close()


async def test_requests_like_a_logged_one(clients: tuple[Client, Client]) -> None:
    acme, globex = clients
    found = (await acme.get("/logs/req_0/similar", k=3))["data"]
    assert (found["request_id"], found["prompt"], found["embedder"]) == ("req_0", PASSWORDS[0], "lexical-1")
    assert found["searched"] == len(PROMPTS) - 1
    assert {each["request_id"] for each in found["similar"]} == {"req_1", "req_2", "req_3"}
    scores = [each["similarity"] for each in found["similar"]]
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] > 0.2
    first = next(each for each in found["similar"] if each["request_id"] == "req_2")
    assert (first["prompt"], first["cost_usd"], first["latency_ms"], first["model"]) == (
        PASSWORDS[2],
        0.002,
        238,
        "gpt-4o",
    )
    assert next(each for each in found["similar"] if each["request_id"] == "req_1")["cost_usd"] is None
    assert len((await acme.get("/logs/req_0/similar"))["data"]["similar"]) == len(PROMPTS) - 2
    viewer = await acme.with_role("viewer")
    assert (await viewer.get("/logs/req_0/similar", k=3))["data"] == found
    assert (await globex.refused("GET", "/logs/req_0/similar", 404))["code"] == "not_found"
    assert (await acme.refused("GET", "/logs/req_7/similar", 422))["code"] == "prompt_missing"
    assert (await acme.refused("GET", "/logs/req_0/similar?k=0", 422))["errors"][0]["field"] == "k"


async def test_requests_like_that_of_a_row_say_what_the_experiment_found(clients: tuple[Client, Client]) -> None:
    acme, globex = clients
    found = (await acme.get("/experiments/sim_1/results/4/similar", k=8))["data"]
    assert (found["row"], found["request_id"], found["answer_similarity"]) == (4, "req_4", 0.1)
    by_id = {each["request_id"]: each for each in found["similar"]}
    rain = by_id["req_5"]
    assert (rain["row"], rain["answer_similarity"], rain["cost_delta_usd"]) == (5, 0.5, -0.000003)
    other = by_id["req_8"]
    assert (other["row"], other["answer_similarity"], other["cost_delta_usd"]) == (None, None, None)
    assert found["similar"][0]["request_id"] in ("req_5", "req_6")
    for row in (99, 2**32 - 1):
        await acme.refused("GET", f"/experiments/sim_1/results/{row}/similar", 404)
    assert (await acme.refused("GET", "/experiments/sim_1/results/-1/similar", 422))["errors"][0]["field"] == "row"
    await globex.refused("GET", "/experiments/sim_1/results/4/similar", 404)


async def test_answers_that_differ_are_grouped_by_topic(clients: tuple[Client, Client]) -> None:
    acme, globex = clients
    found = (await acme.get("/experiments/sim_1/divergent-topics", threshold=0.85))["data"]
    assert (found["scored"], found["divergent"], found["grouped"], found["without_prompt"]) == (8, 6, 5, 1)
    assert (found["threshold"], found["embedder"]) == (0.85, "lexical-1")
    passwords, weather = found["topics"]
    assert (passwords["count"], passwords["share"]) == (3, 0.6)
    assert passwords["mean_similarity"] == pytest.approx(0.4)
    assert passwords["mean_cost_delta_usd"] == pytest.approx(0.0000002), "of the two whose cost is known"
    assert [each["row"] for each in passwords["examples"]] == [0, 2, 3], "the least alike first"
    assert passwords["examples"][2]["cost_delta_usd"] is None
    assert weather["examples"][0] == {
        "row": 4,
        "request_id": "req_4",
        "similarity": 0.1,
        "cost_delta_usd": -0.000001,
        "prompt": WEATHER[0],
    }
    assert (weather["count"], weather["mean_cost_delta_usd"]) == (2, -0.000002)
    none = (await acme.get("/experiments/sim_1/divergent-topics", threshold=0.05))["data"]
    assert (none["divergent"], none["topics"], none["embedder"]) == (0, [], None)
    await globex.refused("GET", "/experiments/sim_1/divergent-topics", 404)
    await acme.refused("GET", "/experiments/sim_1/divergent-topics?threshold=2", 422)


async def test_without_faiss_the_way_out_is_told(
    clients: tuple[Client, Client], monkeypatch: pytest.MonkeyPatch
) -> None:
    acme, _ = clients
    monkeypatch.setitem(sys.modules, "faiss", None)
    for path in ("/logs/req_0/similar", "/experiments/sim_1/divergent-topics"):
        problem = await acme.refused("GET", path, 501)
        assert problem["code"] == "extra_missing"
        assert "modelux[embeddings]" in problem["hint"]


@pytest.mark.parametrize(("pairs", "topics"), [(0, 2), (1, 2), (8, 2), (18, 3), (288, 12), (2_000, MOST_TOPICS)])
def test_the_number_of_topics_follows_the_number_of_pairs(pairs: int, topics: int) -> None:
    assert topics_for(pairs) == topics
