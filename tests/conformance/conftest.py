"""A real proxy before one simulator that stands for five providers, and a client that shows the bytes on the wire."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI, DefaultAsyncHttpxClient

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_calling.clock import Clock
from modelux_calling.tenants import Key, Project, Tenants
from modelux_providers.client import Client, Deadlines, Origin
from modelux_providers.dialects.base import VendorFacts, auth_headers
from modelux_providers.dialects.table import DIALECTS
from modelux_providers.egress import Guard
from modelux_providers.route import Route
from modelux_providers.simulator.calls import Call
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
from routing_core.config import NamedPolicy, parse_policy
from routing_core.health import Registry
from routing_core.pricing import Price
from routing_core.types import Target
from routing_core.world import Offer

KEY = "mlx_sk_conformance"
DEADLINE_S = 30.0
PRICE = Price(input=150_000_000, output=600_000_000, version="test")
ALL = frozenset({"tools", "vision", "json_schema", "logprobs", "reasoning", "embeddings"})
PROVIDERS: Mapping[str, tuple[VendorFacts, str, tuple[str, ...]]] = {
    "openai": (VendorFacts("openai"), "/v1", ("gpt-4o", "meta/llama-3", "text-embedding-3-small")),
    "spare": (VendorFacts("spare"), "/v1", ("spare",)),
    "plain": (VendorFacts("plain", supports_stream_options=False), "/v1", ("plain",)),
    "anthropic": (
        VendorFacts("anthropic", dialect="anthropic", auth="x-api-key"),
        "/v1",
        ("claude-sonnet-4-5", "claude-3-5-haiku", "claude-opus-4-7"),
    ),
    "google": (
        VendorFacts("google", dialect="google", auth="x-goog-api-key"),
        "/v1beta",
        ("gemini-2.5-flash", "gemini-3-pro", "gemini-embedding-001"),
    ),
}
"""What each provider speaks, below which path, and its models."""
POLICIES: Mapping[str, object] = {
    "production": {
        "strategy": "fallback",
        "attempts": [{"model": "gpt-4o"}, {"model": "spare"}],
        "retry_on": ["429", "5xx", "timeout", "connect", "invalid", "cut"],
    },
    "both": {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": "gpt-4o"}, {"model": "spare"}]},
    "first": {
        "strategy": "ensemble",
        "aggregation": "first_valid",
        "members": [{"model": "gpt-4o"}, {"model": "spare"}],
    },
    "climb": {
        "strategy": "cascade",
        "attempts": [{"model": "gpt-4o", "confidence": {"min_logprob_mean": -0.5}}, {"model": "spare"}],
    },
}


@dataclass
class Answer:
    """One HTTP answer, as it came."""

    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes
    whole: bool
    """The framing was complete: the last chunk came, or all of Content-Length."""

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> dict[str, Any]:
        return self.json()["error"]

    def events(self) -> list[str]:
        """The data of each event; every event must be exactly `data: <one line>` and a blank line."""
        *blocks, rest = self.body.decode("utf-8", "surrogatepass").split("\n\n")
        assert rest == "", f"bytes after the last event: {rest!r}"
        events = [block for block in blocks if not block.startswith(": ")]
        assert all(block.startswith("data: ") and "\n" not in block and "\r" not in block for block in events), events
        return [block[6:] for block in events]

    def chunks(self) -> list[dict[str, Any]]:
        """The events of a whole stream, without [DONE], which must be there."""
        *chunks, done = self.events()
        assert done == "[DONE]", done
        return [json.loads(chunk) for chunk in chunks]

    def deltas(self, index: int = 0) -> list[dict[str, Any]]:
        return [c["delta"] for chunk in self.chunks() for c in chunk["choices"] if c["index"] == index]

    def text(self, index: int = 0) -> str:
        return "".join(delta.get("content") or "" for delta in self.deltas(index))

    def finishes(self, index: int = 0) -> list[str | None]:
        return [c["finish_reason"] for chunk in self.chunks() for c in chunk["choices"] if c["index"] == index]


def parsed(raw: bytes) -> Answer:
    """An answer that ended with its connection."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    whole = True
    if headers.get("transfer-encoding") == "chunked":
        body, whole = dechunked(body)
    elif "content-length" in headers:
        whole = len(body) == int(headers["content-length"])
    return Answer(int(first.split(" ")[1]), headers, body, raw, whole)


def dechunked(data: bytes) -> tuple[bytes, bool]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, data == b"\r\n"
        body, data = body + data[:length], data[length + 2 :]
    return body, False


@dataclass
class Wire:
    """An open connection to the proxy."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def until(self, mark: bytes) -> bytes:
        return await asyncio.wait_for(self.reader.readuntil(mark), DEADLINE_S)

    async def rest(self) -> bytes:
        return await asyncio.wait_for(self.reader.read(), DEADLINE_S)

    def leave(self) -> None:
        """Closes the connection, as a caller does that has lost interest."""
        self.writer.close()


@dataclass
class Rig:
    """A running proxy with its simulator."""

    port: int
    simulator: Simulator
    lane: Lane
    server: Server

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def sdk(self, **options: Any) -> AsyncOpenAI:
        plain = DefaultAsyncHttpxClient(
            verify=False
        )  # Nothing here is encrypted, and reading the trust store takes long.
        options = {"max_retries": 0, "http_client": plain} | options
        return AsyncOpenAI(base_url=f"{self.url}/v1", api_key=KEY, **options)

    async def chat(
        self, prompt: str = "hi", *, model: str = "gpt-4o", headers: Mapping[str, str] | None = None, **fields: Any
    ) -> Answer:
        """A chat completion; `prompt` may hold directives for the simulator."""
        body = {"model": model, "messages": [{"role": "user", "content": prompt}]} | fields
        return await self.post(body, headers=headers)

    async def stream(self, prompt: str = "hi", *, usage: bool = False, **fields: Any) -> Answer:
        options = {"stream_options": {"include_usage": True}} if usage else {}
        return await self.chat(prompt, stream=True, **options, **fields)

    async def post(
        self,
        body: object,
        path: str = "/v1/chat/completions",
        *,
        method: str = "POST",
        headers: Mapping[str, str | None] | None = None,
    ) -> Answer:
        """One request on a connection of its own. A header of None is left out."""
        return parsed(await self.raw(self.request(body, path, method, headers)))

    @staticmethod
    def request(
        body: object,
        path: str = "/v1/chat/completions",
        method: str = "POST",
        headers: Mapping[str, str | None] | None = None,
    ) -> bytes:
        """The bytes of a request that asks for the connection to end behind the answer."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        given: dict[str, str | None] = {"host": "localhost", "authorization": f"Bearer {KEY}", "connection": "close"}
        given |= {"content-type": "application/json", "content-length": str(len(data))} | dict(headers or {})
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items() if value is not None)
        return f"{method} {path} HTTP/1.1\r\n{lines}\r\n".encode() + data

    async def get(self, path: str, *, headers: Mapping[str, str] | None = None) -> Answer:
        return await self.post(b"", path, method="GET", headers=headers)

    async def raw(self, data: bytes, port: int = 0) -> bytes:
        """Sends bytes on a new connection and reads until it closes."""
        reader, writer = await asyncio.open_connection("127.0.0.1", port or self.port)
        writer.write(data)
        try:
            return await asyncio.wait_for(reader.read(), DEADLINE_S)
        finally:
            writer.close()

    @asynccontextmanager
    async def opened(self, body: object, **headers: str) -> AsyncIterator[Wire]:
        """A request that was sent and whose answer is read by hand."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self.request(body, headers=headers))
        try:
            yield Wire(reader, writer)
        finally:
            writer.transport.abort()

    async def directly(self, place: int = -1) -> Answer:
        """What the provider answers to the very request that it got, without the proxy between."""
        call = self.calls()[place]
        assert call.body is not None
        data = self.request(call.body.encode(), call.path)
        return parsed(await self.raw(data, self.simulator.port))

    def calls(self) -> list[Call]:
        return self.simulator.calls()

    def sent(self, place: int = -1) -> Any:
        """The body that a provider got."""
        body = self.calls()[place].body
        assert body is not None
        return json.loads(body)

    def events(self) -> list[RequestCompleted]:
        """What the proxy journalled."""
        found = []
        for frame in self.lane.emitter._journal.recover():
            at = 1 + frame.payload[0] + len("req_") + 26
            found.append(RequestCompleted.FromString(frame.payload[at:]))
        return found

    async def event(self) -> RequestCompleted:
        """The one event there is, when it is there."""
        async with asyncio.timeout(DEADLINE_S):
            while not self.events():
                await asyncio.sleep(0.005)
        (event,) = self.events()
        return event


def project(port: int, policies: Mapping[str, object], ports: Mapping[str, int]) -> Project:
    """Every provider at the simulator's port, unless `ports` sends one elsewhere."""
    routes: dict[str, Route] = {}
    offers: dict[str, tuple[Offer, ...]] = {}
    for name, (vendor, path, models) in PROVIDERS.items():
        credential = f"pc_{name}"
        origin = Origin("http", "127.0.0.1", ports.get(name, port), True, credential)
        auth = auth_headers(vendor.auth, f"sk-{name}-0123456789abcdef")
        routes[credential] = Route(origin, f"/{name}{path}", vendor, DIALECTS[vendor.dialect], auth)
        for model in models:
            offers[model] = (Offer(Target(model, name, credential), PRICE, capabilities=ALL),)
    named = {slug: NamedPolicy(slug, 3, parse_policy(document)) for slug, document in policies.items()}
    named |= {f"{slug}:3": policy for slug, policy in list(named.items())}
    facts = {offer.target: offer for each in offers.values() for offer in each}
    return Project(
        id="proj_1",
        organization_id="org_1",
        full_logging=True,
        default_max_tokens=0,
        policies=named,
        archived=frozenset({"retired"}),
        offers=offers,
        routes=routes,
        facts=facts,
        key=b"proj_1",
    )


@asynccontextmanager
async def unwrapped() -> AsyncIterator[None]:
    """Lets a test's own failure out of the group that the server runs in."""
    try:
        yield
    except ExceptionGroup as group:
        raise (group.exceptions[0] if len(group.exceptions) == 1 else group) from None


Start = Callable[..., AbstractAsyncContextManager[Rig]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """`async with start(rules={"gpt-4o": Behaviour(...)}, deadlines=..., key={...}) as rig`."""

    @asynccontextmanager
    async def running(
        *,
        rules: Mapping[str, Behaviour] | Sequence[Rule] = (),
        policies: Mapping[str, object] = POLICIES,
        deadlines: Deadlines | None = None,
        limits: HttpLimits | None = None,
        keepalive_s: float = 15.0,
        key: Mapping[str, Any] | None = None,
        ports: Mapping[str, int] | None = None,
        clock: Clock | None = None,
    ) -> AsyncIterator[Rig]:
        if isinstance(rules, Mapping):
            rules = [Rule(match=Match(model=model), behaviour=each) for model, each in rules.items()]
        scenario = Scenario(rules=tuple(rules), keep_bodies=True)
        async with Simulator.start(scenario) as simulator, unwrapped(), asyncio.TaskGroup() as group:
            own = project(simulator.port, policies, ports or {})
            caller = replace(Key("key_1", own, 0, 0, 0, frozenset()), **(key or {}))
            tenants = Tenants(7, {sha256(KEY.encode()).digest(): caller}, {own.id: own})
            client = Client(Guard(), ssl_context=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
            emitter = Emitter(tmp_path, 256 * 1024 * 1024)
            lane = Lane(
                client,
                Registry(),
                emitter,
                clock or Clock(),
                deadlines or Deadlines(),
                keepalive_s,
                Idempotency(),
                RateLimits(),
                Metrics(),
            )
            server = Server(Proxy(lane, lambda: tenants), group, limits)
            listener = socket.create_server(("127.0.0.1", 0))
            await server.listen(listener)
            try:
                yield Rig(listener.getsockname()[1], simulator, lane, server)
            finally:
                server.close()
                await client.close()
        emitter.close()

    return running


@pytest.fixture
async def rig(start: Start) -> AsyncIterator[Rig]:
    """A proxy whose providers are healthy unless a prompt's directive says otherwise."""
    async with start() as running:
        yield running
