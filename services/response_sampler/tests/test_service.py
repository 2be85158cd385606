"""The service as it is wired: samples off the bus, requests out of ClickHouse, calls and pairs back onto the bus."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path

import grpc.aio
import pytest
from budget_books import Books
from engines import NewUrl
from sampler_rig import CAP, NOW_US, chat, row, unit

from modelux.config.v1 import snapshot_pb2 as pb
from modelux.config.v1.snapshot_pb2_grpc import SnapshotServiceServicer, add_SnapshotServiceServicer_to_server
from modelux.events.v1.experiment_pb2 import ExperimentPair
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux.ledger.v1.ledger_pb2_grpc import add_LedgerServiceServicer_to_server
from modelux.replay.v1 import replay_pb2
from modelux.replay.v1.replay_pb2_grpc import ReplayServiceServicer, add_ReplayServiceServicer_to_server
from modelux_bus.base import Bus, Message
from modelux_contracts import codec
from modelux_contracts.hosts import host_of
from modelux_contracts.topics import EXPERIMENT_CALLS, EXPERIMENT_PAIRS, EXPERIMENT_SAMPLES
from modelux_ingest.rows import attempt_columns, request_columns
from modelux_providers.simulator.server import Simulator
from modelux_response_sampler import logged
from modelux_response_sampler.hold import Unknown
from modelux_response_sampler.permission import permission
from modelux_response_sampler.service import SERVICE, SamplerSettings, serve
from modelux_runtime.platform import open_platform
from modelux_runtime.rpc import channel, serving
from modelux_runtime.run import prepare
from modelux_runtime.settings import PlatformSettings
from modelux_store.analytics import Analytics
from modelux_store.secrets import seal

SECRET_KEY = bytes(range(32))
STREAM = b'data: {"choices":[{"index":0,"delta":{"content":"as a stream"}}]}\n\n'


class Config(SnapshotServiceServicer):
    """Serves one snapshot and keeps the stream open."""

    def __init__(self, snapshot: pb.Snapshot) -> None:
        self._snapshot = snapshot

    async def WatchSnapshot(
        self, request: pb.WatchSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchSnapshotResponse]:
        yield pb.WatchSnapshotResponse(snapshot=self._snapshot)
        await asyncio.Event().wait()


class Replay(ReplayServiceServicer):
    """Lets one experiment call."""

    async def MayCall(
        self, request: replay_pb2.MayCallRequest, context: grpc.aio.ServicerContext
    ) -> replay_pb2.MayCallResponse:
        return replay_pb2.MayCallResponse(may_call=request.experiment_id == "sim_1")


def snapshot(base_url: str) -> pb.Snapshot:
    sealed = seal(SECRET_KEY, b"sk-sim", organization_id="org_1", credential_id="pc_1", host=host_of(base_url))
    credential = pb.Credential(
        id="pc_1", organization_id="org_1", provider="simulator", base_url=base_url, sealed_secret=sealed,
        models=["gpt-4o-mini"], allow_private=True,
    )  # fmt: skip
    project = pb.Project(id="proj_1", organization_id="org_1", logging_mode="full")
    return pb.Snapshot(version=1, projects=[project], credentials=[credential])


def request(number: int, **fields: object) -> RequestCompleted:
    event = RequestCompleted(
        request_id=f"req_{number:026d}", organization_id="org_1", project_id="proj_1", key_id="key_1",
        started_at_us=NOW_US + number, endpoint="chat", requested_model="gpt-4o", outcome="ok", status=200,
        model="gpt-4o", provider="openai", credential_id="pc_9", ttft_us=-1, logging_mode="full", max_tokens=50,
        estimated_input_tokens=12, request_body=chat(number), needs=["tools"], tags={"run_id": "r1"},
        response_body=b'{"choices":[{"message":{"content":"logged"}}]}',
    )  # fmt: skip
    event.MergeFrom(RequestCompleted(**fields))  # type: ignore[arg-type]
    return event


@pytest.fixture
async def clickhouse_url(new_analytics: NewUrl) -> str:
    return await new_analytics()


@pytest.fixture
async def analytics(clickhouse_url: str) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(clickhouse_url)
    yield opened
    await opened.close()


async def fill(analytics: Analytics, *events: RequestCompleted) -> None:
    await analytics.insert("attempts", attempt_columns(events))
    await analytics.insert("requests", request_columns(events))


async def test_requests_are_read_as_their_policies_saw_them(analytics):
    late = NOW_US + 3 * 3600 * 1_000_000
    await fill(
        analytics,
        request(1),
        request(2, stream=True, response_body=STREAM, started_at_us=late),
        request(3, outcome="error", status=500),
        request(4, organization_id="org_2"),
        request(5, outcome="unknown", status=0),
        request(5),  # what really happened
        request(6),
    )
    samples = unit(0, [row(number) for number in (1, 2, 3, 4, 5, 99)])
    samples.rows[1].started_at_us = late
    found = await logged.read(analytics, samples)
    assert {each: one.answer for each, one in found.items()} == {
        f"req_{1:026d}": "logged",
        f"req_{2:026d}": "as a stream",
        f"req_{3:026d}": "",
        f"req_{5:026d}": "logged",
    }
    first = found[f"req_{1:026d}"].request
    assert (first.model, first.key_id, first.input_tokens, first.max_tokens) == ("gpt-4o", "key_1", 12, 50)
    assert (first.needs, dict(first.tags), first.end_user_id) == ({"tools"}, {"run_id": "r1"}, None)
    assert first.at_ms == (NOW_US + 1) // 1000
    assert found[f"req_{1:026d}"].body == chat(1)


async def test_samples_come_in_and_calls_and_pairs_go_out(postgres, clickhouse_url, analytics, tmp_path: Path):
    await fill(analytics, *(request(number) for number in range(20, 25)))
    books = Books({CAP.id: 0})
    books.rules = {CAP.id: CAP}
    config, replay = f"unix:{tmp_path}/config.sock", f"unix:{tmp_path}/replay.sock"
    settings = PlatformSettings(
        database_url=postgres.create_database("service"),
        clickhouse_url=clickhouse_url,
        bus_url="memory://response-sampler-test",
        config_url=config,
        replay_url=replay,
        encryption_key=base64.b64encode(SECRET_KEY).decode(),
    )
    async with Simulator.start() as simulator, open_platform(settings, SERVICE.needs) as platform:
        await prepare(platform.bus)

        def register(server: grpc.aio.Server) -> None:
            add_SnapshotServiceServicer_to_server(Config(snapshot(f"{simulator.url}/v1")), server)
            add_LedgerServiceServicer_to_server(books, server)

        own = SamplerSettings(data_dir=str(tmp_path / "own"), drain_s=2.0)
        async with (
            serving(config, register),
            serving(replay, lambda server: add_ReplayServiceServicer_to_server(Replay(), server)),
            serve(own, platform) as tasks,
            asyncio.TaskGroup() as group,
        ):
            running = [group.create_task(task) for task in tasks]
            samples = unit(0, [row(number) for number in range(20, 25)], {"strategy": "single", "model": "gpt-4o-mini"})
            name, key = EXPERIMENT_SAMPLES.name, "sim_1.0"
            await platform.bus.publish([Message(name, key.encode(), codec.encode(samples), key, codec.headers(name))])
            pairs, calls = await come(platform.bus, 5)
            for task in running:
                task.cancel()
        assert platform.readiness["response_sampler"]() is None
    assert {(pair.row, pair.outcome, pair.logged_answer) for pair in pairs} == {
        (number, "ok", "logged") for number in range(20, 25)
    }
    assert {pair.call_id for pair in pairs} == {call.request_id for call in calls}
    assert {call.source for call in calls} == {"experiment"}
    assert len(simulator.calls()) == 5
    assert json.loads(calls[0].trace_json)


async def come(bus: Bus, count: int) -> tuple[list[ExperimentPair], list[RequestCompleted]]:
    pairs: list[ExperimentPair] = []
    calls: list[RequestCompleted] = []
    async with asyncio.timeout(20), bus.subscribe("test", [EXPERIMENT_PAIRS.name, EXPERIMENT_CALLS.name]) as member:
        while len(pairs) < count or len(calls) < count:
            for each in await member.fetch(100, 1.0):
                if each.partition.topic == EXPERIMENT_PAIRS.name:
                    pairs.append(codec.decode(ExperimentPair, each.message.value, each.message.headers))
                else:
                    calls.append(codec.decode(RequestCompleted, each.message.value, each.message.headers))
    return pairs, calls


async def test_the_replay_service_is_asked_and_its_silence_is_no_answer(tmp_path: Path):
    target = f"unix:{tmp_path}/replay.sock"
    async with channel(target) as connection:
        may_call = permission(connection)
        async with serving(target, lambda server: add_ReplayServiceServicer_to_server(Replay(), server)):
            assert await may_call("org_1", "sim_1")
            assert not await may_call("org_1", "sim_2")
        with pytest.raises(Unknown):
            await may_call("org_1", "sim_1")
