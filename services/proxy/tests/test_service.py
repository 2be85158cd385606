"""The service as it is wired: configuration over gRPC, events to the bus, a clean end."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import grpc
import grpc.aio
from openai import AsyncOpenAI

from modelux.config.v1 import snapshot_pb2 as pb
from modelux.config.v1.snapshot_pb2_grpc import SnapshotServiceServicer, add_SnapshotServiceServicer_to_server
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_contracts.hosts import host_of
from modelux_contracts.topics import REQUEST_COMPLETED
from modelux_providers.simulator.server import Simulator
from modelux_proxy.service import SERVICE, serve
from modelux_proxy.settings import ProxySettings
from modelux_runtime.platform import open_platform
from modelux_runtime.rpc import serving
from modelux_runtime.run import prepare
from modelux_runtime.settings import PlatformSettings
from modelux_store.secrets import seal

SECRET_KEY = bytes(range(32))


class Config(SnapshotServiceServicer):
    """Serves one snapshot and keeps the stream open."""

    def __init__(self, snapshot: pb.Snapshot) -> None:
        self.snapshot = snapshot

    async def WatchSnapshot(
        self, request: pb.WatchSnapshotRequest, context: grpc.aio.ServicerContext
    ) -> AsyncIterator[pb.WatchSnapshotResponse]:
        yield pb.WatchSnapshotResponse(snapshot=self.snapshot)
        await asyncio.Event().wait()


def snapshot(base_url: str) -> pb.Snapshot:
    sealed = seal(SECRET_KEY, b"sk-sim", organization_id="org", credential_id="pc_1", host=host_of(base_url))
    policy = json.dumps({"strategy": "single", "model": "gpt-4o-mini"}).encode()
    return pb.Snapshot(
        version=1,
        projects=[pb.Project(id="proj", organization_id="org", logging_mode="full")],
        keys=[pb.ProxyKey(id="key", project_id="proj", hash=sha256(b"mlx_sk_service").digest())],
        credentials=[
            pb.Credential(
                id="pc_1",
                organization_id="org",
                provider="simulator",
                base_url=base_url,
                sealed_secret=sealed,
                models=["gpt-4o-mini"],
                allow_private=True,
            )
        ],
        routing_configs=[
            pb.RoutingConfig(
                id="cfg",
                project_id="proj",
                slug="production",
                active_version=1,
                versions=[pb.RoutingConfigVersion(version=1, policy_json=policy)],
            )
        ],
    )


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


async def test_the_openai_sdk_talks_to_the_wired_service_and_its_events_reach_the_bus(tmp_path: Path, until):
    target = f"unix:{tmp_path}/config.sock"
    port = free_port()
    settings = PlatformSettings(
        bus_url="memory://proxy-service-test",
        config_url=target,
        encryption_key=base64.b64encode(SECRET_KEY).decode(),
    )
    own = ProxySettings(port=port, data_dir=str(tmp_path / "proxy"), drain_s=2.0)
    async with (
        Simulator.start() as simulator,
        open_platform(settings, SERVICE.needs) as platform,
        asyncio.TaskGroup() as group,
    ):
        await prepare(platform.bus)
        config = Config(snapshot(f"{simulator.url}/v1"))
        async with serve(own, platform) as tasks:
            assert platform.readiness["proxy"]() == "waiting for a configuration"
            running = [group.create_task(task) for task in tasks]
            async with serving(target, lambda server: add_SnapshotServiceServicer_to_server(config, server)):
                await until(lambda: platform.readiness["proxy"]() is None)
            client = AsyncOpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key="mlx_sk_service", max_retries=0)
            whole = await client.chat.completions.create(
                model="@production", messages=[{"role": "user", "content": "hello"}]
            )
            assert whole.choices[0].message.content
            stream = await client.chat.completions.create(
                model="@production", messages=[{"role": "user", "content": "hello"}], stream=True
            )
            text = "".join([chunk.choices[0].delta.content or "" async for chunk in stream if chunk.choices])
            assert text
            assert [model.id async for model in client.models.list()] == ["@production", "gpt-4o-mini"]
            await client.close()
            for task in running:
                task.cancel()
        events: list[RequestCompleted] = []
        async with platform.bus.subscribe("test", [REQUEST_COMPLETED.name]) as member:
            while len(events) < 2:
                events += [RequestCompleted.FromString(d.message.value) for d in await member.fetch(10, 1.0)]
        assert {event.outcome for event in events} == {"ok"}
        assert all(event.cost_nano > 0 for event in events)
