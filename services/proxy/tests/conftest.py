"""A whole proxy in the test loop: real HTTP on loopback, the provider simulator behind it, a journal in a folder."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from budget_rig import capped_proxy
from simulated_project import project

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.journal import Journal
from modelux_calling.charge import Spending
from modelux_calling.clock import Clock
from modelux_calling.tenants import Key, Tenants
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario
from modelux_providers.simulator.server import Simulator
from modelux_proxy.chat import Lane
from modelux_proxy.emit import Emitter
from modelux_proxy.http_server import Server
from modelux_proxy.idempotency import Idempotency
from modelux_proxy.limits import HttpLimits
from modelux_proxy.metrics import Metrics
from modelux_proxy.proxy import Proxy
from modelux_proxy.rate_limits import RateLimits
from routing_core.health import Registry

KEY = "mlx_sk_test"


@dataclass
class Rig:
    """A running proxy. `events()` reads what it journalled."""

    proxy_port: int
    folder: Path
    lane: Lane
    server: Server
    simulator: Simulator
    tenants: Tenants
    key: str = KEY
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.proxy_port}"

    def events(self) -> list[RequestCompleted]:
        journal: Journal = self.lane.emitter._journal
        found = []
        for frame in journal.recover():
            at = 1 + frame.payload[0] + 30
            found.append(RequestCompleted.FromString(frame.payload[at:]))
        return found

    async def request(
        self,
        path: str = "/v1/chat/completions",
        body: bytes = b"",
        *,
        method: str = "POST",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """One request on its own connection, read to its end."""
        given = {"host": "localhost", "authorization": f"Bearer {self.key}", "content-type": "application/json"}
        given |= {"connection": "close", "content-length": str(len(body))} | dict(headers or {})
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value)
        raw = await self.raw(f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
        return parse(raw)

    async def raw(self, data: bytes) -> bytes:
        """Sends bytes on a new connection and reads until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.proxy_port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), 30)
        finally:
            writer.close()


def parse(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer that ends with its connection."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    if headers.get("transfer-encoding") == "chunked":
        body = dechunk(body)
    return int(first.split()[1]), headers, body


def dechunk(body: bytes) -> bytes:
    out = b""
    while body:
        size, _, body = body.partition(b"\r\n")
        length = int(size, 16)
        out += body[:length]
        body = body[length + 2 :]
        if not length:
            break
    return out


POLICIES: Mapping[str, object] = {
    "production": {
        "strategy": "fallback",
        "attempts": [{"model": "a", "timeout_ms": 2000}, {"model": "b", "timeout_ms": 2000}],
    },
    "both": {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": "a"}, {"model": "b"}]},
}


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., object]:
    """`async with start(policies=..., key=Key-changes) as rig`."""

    @asynccontextmanager
    async def running(
        policies: Mapping[str, object] = POLICIES,
        *,
        limits: HttpLimits | None = None,
        deadlines: Deadlines | None = None,
        keepalive_s: float = 15.0,
        full_logging: bool = True,
        rules: Mapping[str, Behaviour] | None = None,
        journal_bytes: int = 64 * 1024 * 1024,
        spending: Spending | None = None,
        **key_changes: object,
    ) -> AsyncIterator[Rig]:
        behaviours = tuple(Rule(match=Match(model=m), behaviour=b) for m, b in (rules or {}).items())
        scenario = Scenario(rules=behaviours, keep_bodies=spending is not None)
        async with Simulator.start(scenario) as simulator, asyncio.TaskGroup() as group:
            own = project(simulator.port, policies, full_logging=full_logging)
            key = replace(Key("key_1", own, 0, 0, 0, frozenset()), **key_changes)  # type: ignore[arg-type]
            tenants = Tenants(7, {sha256(KEY.encode()).digest(): key}, {own.id: own})
            client = Client(Guard())
            emitter = Emitter(tmp_path, journal_bytes)
            lane = Lane(
                client,
                Registry(),
                emitter,
                Clock(),
                deadlines or Deadlines(),
                keepalive_s,
                Idempotency(),
                RateLimits(),
                Metrics(),
                spending,
            )
            server = Server(Proxy(lane, lambda: tenants), group, limits)
            sock = socket.create_server(("127.0.0.1", 0))
            await server.listen(sock)
            try:
                yield Rig(sock.getsockname()[1], tmp_path, lane, server, simulator, tenants)
            finally:
                server.close()
                await client.close()
                emitter.close()

    return running


@pytest.fixture
def capped(start: Callable[..., object], tmp_path: Path) -> Callable[..., object]:
    """`async with capped(rule(...), ...) as it`: see `budget_rig.capped_proxy`."""
    return partial(capped_proxy, start, tmp_path)


Wait = Callable[[Callable[[], object]], Awaitable[None]]


@pytest.fixture
def until() -> Wait:
    """Waits until a condition holds, at most five seconds."""

    async def wait(condition: Callable[[], object]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)

    return wait
