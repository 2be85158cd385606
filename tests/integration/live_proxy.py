"""A real proxy in the test's loop, with a configuration that keeps every version it ever had."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_bus.memory import MemoryBus
from modelux_calling.charge import Spending
from modelux_calling.clock import Clock
from modelux_calling.snapshot import Builder
from modelux_calling.tenants import Tenants
from modelux_contracts.hosts import host_of
from modelux_contracts.topics import REQUEST_COMPLETED
from modelux_ingest.consumer import Writer
from modelux_providers.catalog import Catalog, CredentialFacts, PriceOverride
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_providers.simulator.server import Simulator
from modelux_proxy.chat import Lane
from modelux_proxy.emit import Emitter
from modelux_proxy.http_server import Server
from modelux_proxy.idempotency import Idempotency
from modelux_proxy.metrics import Metrics
from modelux_proxy.proxy import Proxy
from modelux_proxy.rate_limits import RateLimits
from modelux_store.analytics import Analytics
from modelux_store.secrets import seal
from routing_core.config import NamedPolicy, parse_policy
from routing_core.health import Registry
from routing_core.world import Offer

SECRET_KEY = bytes(range(32))
KEYS = {"proj_full": "mlx_sk_full", "proj_lean": "mlx_sk_lean"}
"""Two projects with the same configs: one keeps bodies, the other metadata only."""
CREDENTIALS = {
    "pc_openai_1": ("openai", "/openai1/v1"),
    "pc_openai_2": ("openai", "/openai2/v1"),
    "pc_anthropic": ("anthropic", "/anthropic/v1"),
    "pc_google": ("google", "/google/v1beta"),
    "pc_dead": ("mistral", None),
}
"""Vendor and path at the simulator; the one without a path leads to a port where nobody listens."""
FRIDAY_NS = 1_795_143_600 * 10**9
"""2026-11-20 03:00 UTC."""
DEADLINES = Deadlines(connect_s=1.0, first_byte_s=0.4, idle_s=0.4, total_s=3.0)
Json = Mapping[str, object]


@dataclass
class Archive:
    """What the config service keeps for ever: each version of each policy, and each set of prices."""

    versions: dict[tuple[str, int], bytes] = field(default_factory=dict)
    prices: dict[str, tuple[PriceOverride, ...]] = field(default_factory=dict)

    def policies(self) -> dict[tuple[str, int], NamedPolicy]:
        """Parsed anew from the documents."""
        return {
            (slug, number): NamedPolicy(slug, number, parse_policy(json.loads(text)))
            for (slug, number), text in self.versions.items()
        }

    def offers(self, price_version: str, at_ms: int) -> Mapping[str, tuple[Offer, ...]]:
        facts = [CredentialFacts(name, vendor) for name, (vendor, _) in CREDENTIALS.items()]
        offers = Catalog.load().offers(facts, self.prices[price_version], at_ms)
        assert offers.price_version == price_version
        return offers


class Shifted:
    """Clocks that begin on a Friday at three in the morning, and that a test moves on; timeouts run in real time."""

    def __init__(self) -> None:
        self._ahead_ns = 0
        self._wall_ns = FRIDAY_NS - time.monotonic_ns()

    def advance(self, seconds: float) -> None:
        self._ahead_ns += int(seconds * 1e9)

    def clock(self) -> Clock:

        def steady_ns() -> int:
            return time.monotonic_ns() + self._ahead_ns

        return Clock(lambda: self._wall_ns + steady_ns(), steady_ns)


@dataclass
class Live:
    """The running proxy."""

    port: int
    simulator: Simulator
    archive: Archive
    time: Shifted
    lane: Lane
    server: Server
    budgets: Sequence[pb.Budget]
    _builder: Builder
    _tenants: list[Tenants]
    _dead_port: int

    def publish(self, configs: Mapping[str, object], prices: Sequence[PriceOverride] = ()) -> None:
        """Activates a new version of each config given, and the prices, as one snapshot."""
        documents = {slug: json.dumps(document).encode() for slug, document in configs.items()}
        for slug, document in documents.items():
            self.archive.versions[slug, 1 + max((n for s, n in self.archive.versions if s == slug), default=0)] = (
                document
            )
        now_ms = self.lane.clock.now_ms()
        tenants = self._builder.build(self._snapshot(prices), now_ms)
        self.archive.prices[tenants.projects["proj_full"].price_version] = tuple(prices)
        self._tenants.append(tenants)

    def _snapshot(self, prices: Sequence[PriceOverride]) -> pb.Snapshot:
        slugs = sorted({slug for slug, _ in self.archive.versions})
        return pb.Snapshot(
            version=len(self._tenants) + 1,
            projects=[
                pb.Project(id=project, organization_id="org_1", logging_mode=mode)
                for project, mode in (("proj_full", "full"), ("proj_lean", "metadata_only"))
            ],
            keys=[
                pb.ProxyKey(id=f"key_{project}", project_id=project, hash=sha256(key.encode()).digest())
                for project, key in KEYS.items()
            ],
            credentials=[self._credential(name) for name in CREDENTIALS],
            routing_configs=[self._config(project, slug) for project in KEYS for slug in slugs],
            prices=[
                pb.PriceOverride(
                    id=each.id, organization_id="org_1", provider=each.provider, model=each.model,
                    input=each.input, output=each.output,
                )
                for each in prices
            ],
            budgets=self.budgets,
        )  # fmt: skip

    def _config(self, project: str, slug: str) -> pb.RoutingConfig:
        versions = sorted((number, text) for (name, number), text in self.archive.versions.items() if name == slug)
        return pb.RoutingConfig(
            id=f"cfg_{project}_{slug}",
            project_id=project,
            slug=slug,
            active_version=versions[-1][0],
            versions=[pb.RoutingConfigVersion(version=number, policy_json=text) for number, text in versions],
        )

    def _credential(self, name: str) -> pb.Credential:
        vendor, path = CREDENTIALS[name]
        url = f"http://127.0.0.1:{self._dead_port}/v1" if path is None else self.simulator.url + path
        secret = seal(SECRET_KEY, b"sk-x", organization_id="org_1", credential_id=name, host=host_of(url))
        return pb.Credential(
            id=name, organization_id="org_1", provider=vendor, base_url=url, sealed_secret=secret, allow_private=True
        )

    async def idle(self) -> None:
        """Waits until every request has ended, those too whose caller has left."""
        async with asyncio.timeout(30):
            while self.server.in_flight:
                await asyncio.sleep(0.01)

    async def store(self, analytics: Analytics) -> int:
        """Ships every event of the journal over a bus to the ingest service's writer; how many there were."""
        bus = MemoryBus()
        await bus.ensure({REQUEST_COMPLETED.name: 1})
        while await self.lane.emitter.shipper.some(bus):
            pass
        writer = Writer(analytics, now_us=self.lane.clock.now_us, linger_s=0.0)
        stored = 0
        async with bus.subscribe("test", [REQUEST_COMPLETED.name]) as member:
            while deliveries := await member.fetch(500, 0.0):
                await writer.handle(deliveries)
                stored += len(deliveries)
        return stored


@asynccontextmanager
async def live_proxy(
    folder: Path, simulator: Simulator, *, spending: Spending | None = None, budgets: Sequence[pb.Budget] = ()
) -> AsyncIterator[Live]:
    """A proxy without any configuration yet; see `Live.publish`."""
    dead = socket.socket()
    dead.bind(("127.0.0.1", 0))  # held, and without `listen` every connection is refused
    shifted = Shifted()
    tenants: list[Tenants] = []
    clock = shifted.clock()
    client = Client(Guard())
    emitter = Emitter(folder, 256 * 1024 * 1024)
    lane = Lane(
        client, Registry(), emitter, clock, DEADLINES, 15.0, Idempotency(), RateLimits(), Metrics(), spending
    )  # fmt: skip
    async with asyncio.TaskGroup() as group:
        server = Server(Proxy(lane, lambda: tenants[-1] if tenants else None), group)
        own = socket.create_server(("127.0.0.1", 0))
        await server.listen(own)
        try:
            builder = Builder(SECRET_KEY, Catalog.load())
            yield Live(
                own.getsockname()[1],
                simulator,
                Archive(),
                shifted,
                lane,
                server,
                budgets,
                builder,
                tenants,
                dead.getsockname()[1],
            )
        finally:
            await server.drain(5.0)
            server.close()
            await client.close()
            emitter.close()
            dead.close()
