"""A config service that sends whatever bytes a test wants, and a proxy process that follows it."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import sha256
from pathlib import Path

import grpc
import grpc.aio
import processes
from stack import PROGRAM, call, free_ports, own_environment, suppress_unanswered

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_contracts.hosts import host_of
from modelux_store.secrets import seal

SEAL = bytes(range(32))
KEY = "mlx_sk_fake_config"
MODELS = ("gpt-4o-mini", "gpt-4o")


class FakeConfig:
    """Hands every watcher what `send` is given, from the first message on."""

    def __init__(self) -> None:
        self._messages: list[bytes] = []
        self._more = asyncio.Event()

    def send(self, message: bytes) -> None:
        """What is sent from now on: a serialised `WatchSnapshotResponse`, or no such thing."""
        self._messages.append(message)
        self._more.set()
        self._more = asyncio.Event()

    @asynccontextmanager
    async def serving(self, target: str) -> AsyncIterator[None]:
        """At `unix:/path`, with no limit to what it sends."""
        server = grpc.aio.server(options=[("grpc.max_send_message_length", -1)])
        self._register(server)
        server.add_insecure_port(target)
        await server.start()
        try:
            yield
        finally:
            await server.stop(grace=None)

    def _register(self, server: grpc.aio.Server) -> None:
        handler = grpc.unary_stream_rpc_method_handler(self._watch)
        service = "modelux.config.v1.SnapshotService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"WatchSnapshot": handler}),))

    async def _watch(self, request: bytes, context: object) -> AsyncIterator[bytes]:
        at = max(len(self._messages) - 1, 0)
        while True:
            while at < len(self._messages):
                yield self._messages[at]
                at += 1
            await self._more.wait()


def snapshot(version: int, base_url: str, policy: object) -> pb.Snapshot:
    """One project with one key, one credential and `@it`."""
    sealed = seal(SEAL, b"sk-sim", organization_id="org", credential_id="pc_1", host=host_of(base_url))
    credential = pb.Credential(
        id="pc_1", organization_id="org", provider="openai", base_url=base_url, sealed_secret=sealed, allow_private=True
    )
    document = pb.RoutingConfigVersion(version=version, policy_json=json.dumps(policy).encode())
    config = pb.RoutingConfig(id="cfg", project_id="proj", slug="it", active_version=version, versions=[document])
    return pb.Snapshot(
        version=version,
        projects=[pb.Project(id="proj", organization_id="org", logging_mode="full")],
        keys=[pb.ProxyKey(id="key", project_id="proj", hash=sha256(KEY.encode()).digest())],
        credentials=[credential],
        routing_configs=[config],
    )


def whole(snapshot: pb.Snapshot) -> bytes:
    return pb.WatchSnapshotResponse(snapshot=snapshot).SerializeToString()


class LoneProxy:
    """`modelux run proxy` on its own ports."""

    def __init__(self, folder: Path, config_url: str) -> None:
        self.port = free_ports()
        self.log = folder / "proxy.log"
        self._health = free_ports()
        self._environment = own_environment(
            MODELUX_CONFIG_URL=config_url,
            MODELUX_BUS_URL="memory://lone-proxy",
            MODELUX_ENCRYPTION_KEY=base64.b64encode(SEAL).decode(),
            MODELUX_HEALTH_PORT=str(self._health),
            MODELUX_PROXY_PORT=str(self.port),
            MODELUX_PROXY_DATA_DIR=str(folder / "proxy"),
        )

    @contextmanager
    def running(self) -> Iterator[LoneProxy]:
        with (
            self.log.open("ab") as log,
            subprocess.Popen([*PROGRAM, "run", "proxy"], env=self._environment, stdout=log, stderr=log) as process,
        ):
            try:
                yield self
                assert process.poll() is None, self.log.read_text()
            finally:
                process.kill()

    def serves(self) -> str:
        """The version of `@it` that answers now; "" where none does."""
        with suppress_unanswered():
            body = {"model": "@it", "messages": [{"role": "user", "content": "Hello!"}]}
            answer = call(f"http://127.0.0.1:{self.port}/v1/chat/completions", body, key=KEY)
            return answer.headers["x-modelux-config-version"] if answer.status == 200 else ""
        return ""

    def refused(self) -> float:
        """How many snapshots it has refused."""
        text = call(f"http://127.0.0.1:{self._health}/metrics").body.decode()
        lines = (line.split() for line in text.splitlines())
        return next(float(words[1]) for words in lines if words and words[0] == "modelux_proxy_snapshots_refused")


async def until(check: object, what: str) -> None:
    """`processes.until` off the event loop, which serves the configuration meanwhile."""
    assert callable(check)
    await asyncio.to_thread(processes.until, check, what)
