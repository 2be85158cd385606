"""The wiring: the service over a platform, asked over gRPC, with real ClickHouse for what was logged."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from engines import NewUrl
from tiny_model import TinyModel

from modelux.embedding.v1 import embedding_pb2 as pb
from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentScore
from modelux_bus.base import Message
from modelux_bus.memory import MemoryBus
from modelux_contracts import codec
from modelux_contracts.errors import ProblemError
from modelux_contracts.topics import EXPERIMENT_PAIRS, EXPERIMENT_SCORES, partitions
from modelux_embedding.choice import Wanted, choose
from modelux_embedding.lexical import vectors
from modelux_embedding.service import SERVICE, EmbeddingSettings
from modelux_providers.simulator.server import Simulator
from modelux_runtime.calls import call
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import channel
from modelux_runtime.settings import InvalidSetting, PlatformSettings
from modelux_store.analytics import Analytics
from routing_core.errors import ModeluxError

NAME = "modelux.embedding.v1.EmbeddingService"
NOWHERE = "http://default:@127.0.0.1:1/none"


class Asker:
    """Calls one service."""

    def __init__(self, connection: object) -> None:
        self._connection = connection

    async def embed(self, *texts: str) -> pb.EmbedResponse:
        return await self._ask(pb.EmbedRequest(texts=texts), pb.EmbedResponse)

    async def score(self, *pairs: tuple[str, str]) -> pb.ScoreResponse:
        told = [pb.Pair(first=first, second=second) for first, second in pairs]
        return await self._ask(pb.ScoreRequest(pairs=told), pb.ScoreResponse)

    async def similar(self, **fields: object) -> pb.SimilarResponse:
        common: dict[str, object] = {"organization_id": "org", "project_id": "proj", "k": 2}
        return await self._ask(pb.SimilarRequest(**common | fields), pb.SimilarResponse)

    async def cluster(self, texts: list[str], topics: int) -> pb.ClusterResponse:
        return await self._ask(pb.ClusterRequest(texts=texts, topics=topics, seed=1), pb.ClusterResponse)

    async def describe(self) -> pb.DescribeResponse:
        return await self._ask(pb.DescribeRequest(), pb.DescribeResponse)

    async def _ask(self, request, answer):
        return await call(self._connection, NAME, request, answer, timeout_s=30)


@asynccontextmanager
async def serving(
    path: Path, settings: EmbeddingSettings, analytics_url: str = NOWHERE, bus: MemoryBus | None = None
) -> AsyncIterator[Asker]:
    target = f"unix:{path}/embedding.sock"
    analytics = await Analytics.open(analytics_url)
    bus = bus or MemoryBus()
    await bus.ensure(partitions())
    platform = Platform(PlatformSettings(embedding_url=target), _analytics=analytics, _bus=bus)
    async with (
        SERVICE.serve(settings, platform) as tasks,
        channel(target) as connection,
        asyncio.TaskGroup() as group,
    ):
        running = [group.create_task(task) for task in tasks]
        yield Asker(connection)
        for task in running:
            task.cancel()
    await analytics.close()


async def test_texts_are_embedded_and_scored_with_every_store_away(tmp_path: Path) -> None:
    async with serving(tmp_path, EmbeddingSettings()) as ask:
        assert stat.S_IMODE((tmp_path / "embedding.sock").stat().st_mode) == 0o600
        assert await ask.describe() == pb.DescribeResponse(embedder="lexical-1", groups=find_spec("faiss") is not None)
        told = await ask.embed("reset my password", "", "weather")
        found = np.frombuffer(told.vectors, dtype="<f4").reshape(3, told.dimensions)
        assert told.embedder == "lexical-1"
        assert np.allclose(found, vectors(["reset my password", "", "weather"]))
        pairs = [("a b", "a b"), ("a b", "a c"), ("a b", ""), ("", ""), (" ", "\n"), ("xyz", "qwertuiop")]
        scores = list((await ask.score(*pairs)).scores)
        assert [scores[place] for place in (0, 2, 3, 4)] == [1.0, 0.0, 1.0, 0.0]
        assert 0.2 < scores[1] < 1.0
        assert 0.0 <= scores[5] < 0.2
        with pytest.raises(ProblemError) as refused:
            await ask.similar(text="weather")
        assert (refused.value.problem.status, refused.value.problem.code) == (503, "store_unavailable")


async def test_topics_and_limits(tmp_path: Path) -> None:
    async with serving(tmp_path, EmbeddingSettings()) as ask:
        texts = ["reset my password", "weather in Lisbon today", "reset my password"]
        told = await ask.cluster(texts * 5, 2)
        assert told.topics[0] == told.topics[2] != told.topics[1]
        for name, asked in {
            "texts": ask.embed(),
            "pairs": ask.score(),
            "topics": ask.cluster(texts, 1),
            "k": ask.similar(text="a", k=101),
            "project_id": ask.similar(text="a", project_id=""),
            "text": ask.similar(text=" "),
            "vector": ask.similar(vector=b"abc"),
        }.items():
            with pytest.raises(ProblemError) as refused:
                await asked
            assert [error["field"] for error in refused.value.problem.errors] == [name]
            assert refused.value.problem.status == 422


async def test_logged_prompts_like_a_text_are_found(tmp_path: Path, new_analytics: NewUrl) -> None:
    url = await new_analytics()
    log = await Analytics.open(url)
    await _logged(log, "proj", {"req_1": "reset my password", "req_2": "weather in Lisbon", "req_3": ""})
    await _logged(log, "other", {"req_4": "reset my password now"})
    async with serving(tmp_path, EmbeddingSettings(index_refresh_s=0), url) as ask:
        told = await ask.similar(text="please reset my password")
        assert ([each.request_id for each in told.neighbours], told.indexed) == (["req_1", "req_2"], 2)
        await _logged(log, "proj", {"req_6": "reset my password, please"}, source="experiment")
        assert (await ask.similar(text="please reset my password")).indexed == 2
        # Told again by the bus, and one that is new.
        await _logged(log, "proj", {"req_2": "weather in Lisbon", "req_5": "password reset, please"})
        told = await ask.similar(vector=vectors(["password reset, please"])[0].tobytes())
        assert (told.neighbours[0].request_id, told.indexed) == ("req_5", 3)
        assert told.neighbours[0].score == pytest.approx(1.0)
        assert (await ask.similar(text="weather", organization_id="another")).indexed == 0
        with pytest.raises(ProblemError, match="2 dimensions"):
            await ask.similar(vector=np.ones(2, dtype="<f4").tobytes())
    await log.close()


async def _logged(log: Analytics, project: str, prompts: dict[str, str], source: str = "") -> None:
    bodies = [
        json.dumps({"messages": [{"role": "user", "content": each}]}) if each else "" for each in prompts.values()
    ]
    columns = {
        "request_id": list(prompts),
        "organization_id": ["org"] * len(prompts),
        "project_id": [project] * len(prompts),
        "started_at": [datetime(2026, 1, 1, tzinfo=UTC)] * len(prompts),
        "request_body": bodies,
        "source": [source] * len(prompts),
        "version": [1] * len(prompts),
    }
    await log.insert("requests", columns)


async def test_an_endpoint_is_used_where_one_is_set(tmp_path: Path) -> None:
    async with Simulator.start() as simulator:
        settings = EmbeddingSettings(endpoint=f"{simulator.url}/v1", api_key="sk-a", private=True)
        async with serving(tmp_path, settings) as ask:
            told = await ask.score(("reset my password", "reset the password"), ("same", "same"))
            assert told.embedder.startswith("text-embedding-3-small@127.0.0.1:")
            assert (await ask.describe()).charged_model == "text-embedding-3-small"
            assert 0.3 < told.scores[0] < 1.0 == told.scores[1]
            await ask.score(("reset my password", "reset the password"))
        assert len(simulator.calls()) == 1
        blocked = EmbeddingSettings(endpoint=f"{simulator.url}/v1")
        async with serving(tmp_path, blocked) as ask:
            with pytest.raises(ProblemError) as refused:
                await ask.embed("a")
    assert (refused.value.problem.status, refused.value.problem.code) == (502, "embedder_failed")


async def test_pairs_on_the_bus_are_scored(tmp_path: Path) -> None:
    bus = MemoryBus()
    async with (
        serving(tmp_path, EmbeddingSettings(), bus=bus),
        bus.subscribe("test", [EXPERIMENT_SCORES.name]) as member,
    ):
        pair = ExperimentPair(experiment_id="sim_1", row=7, side="candidate", logged_answer="42", answer="42")
        topic = EXPERIMENT_PAIRS.name
        await bus.publish([Message(topic, b"sim_1", codec.encode(pair), "sim_1.7.candidate", codec.headers(topic))])
        async with asyncio.timeout(20):
            while not (found := await member.fetch(1, 1.0)):
                pass
    told = codec.decode(ExperimentScore, found[0].message.value, found[0].message.headers)
    assert (told.pair.row, told.similarity, told.embedder) == (7, 1.0, "lexical-1")


async def test_weights_that_are_wrong_do_not_keep_a_machine_from_starting(tiny: TinyModel) -> None:
    assert (await choose(Wanted(weights=tiny.folder))).name == "lexical-1"
    with pytest.raises(ModeluxError, match="has SHA-256"):
        await choose(Wanted(kind="minilm", weights=tiny.folder))


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(Wanted(kind="word2vec"), id="unknown"),
        pytest.param(Wanted(kind="minilm"), id="no weights named"),
        pytest.param(Wanted(endpoint="localhost:11434"), id="no base URL"),
        pytest.param(Wanted(key="sk\r\nhost: x"), id="a key that would break the request"),
    ],
)
async def test_settings_that_cannot_be_used_are_refused(wanted: Wanted) -> None:
    with pytest.raises(InvalidSetting):
        await choose(wanted)
