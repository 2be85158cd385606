"""The replay service over a real config service and real stores, with a simulator of the tests' own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "config" / "tests"))

import plain_simulator
from config_harness import KEY, Installation, Tenant
from engines import NewUrl
from played import PlayedEmbedder
from replay_harness import NOW, Clock, Replay, micros

from modelux_bus.consume import consume
from modelux_bus.memory import MemoryBus
from modelux_config.cursors import cursors
from modelux_config.feed import Feed
from modelux_config.rpc import Edge as ConfigEdge
from modelux_config.scope import Ports
from modelux_contracts.topics import EXPERIMENT_COMMANDS, EXPERIMENT_RESULTS, EXPERIMENT_SCORES, partitions
from modelux_ingest.experiments import ResultsWriter
from modelux_providers.catalog import Catalog
from modelux_providers.vendors import VENDORS
from modelux_replay.called.calling import Pace
from modelux_replay.called.embeddings import Embeddings
from modelux_replay.caps import Caps
from modelux_replay.consumer import Consumer, Scores
from modelux_replay.desk import Desk, Limits
from modelux_replay.experiments import Experiments
from modelux_replay.pool import Pool
from modelux_replay.promote import Promoter
from modelux_replay.rollout.desk import RolloutDesk
from modelux_replay.rollout.rollouts import Rollouts
from modelux_replay.rollout.stepper import Stepper
from modelux_replay.rpc import Edge
from modelux_replay.runs import Runs
from modelux_replay.scheduling.desk import ScheduleDesk
from modelux_replay.scheduling.firing import Firer
from modelux_replay.scheduling.schedules import Schedules
from modelux_runtime.rpc import channel, serving
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.outbox import relay

MOST_ROWS = 5_000


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    """One pool for all tests: workers take a second to start."""
    opened = Pool(1)
    yield opened
    opened.close()


@pytest.fixture
async def database(new_database: NewUrl) -> AsyncIterator[Database]:
    opened = await Database.open(await new_database("outbox", "config", "ledger", "replay"))
    yield opened
    await opened.close()


@pytest.fixture
async def analytics(new_analytics: NewUrl) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(await new_analytics())
    yield opened
    await opened.close()


@pytest.fixture
async def installation(database: Database, tmp_path: Path) -> AsyncIterator[Installation]:
    clock = [micros(NOW) // 1000]
    feed, started = Feed(database), asyncio.Event()
    started.set()
    edge = ConfigEdge(database, Ports(lambda: clock[0], KEY, cursors(KEY), VENDORS), feed, "", started)
    target = f"unix:{tmp_path}/config.sock"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(feed.run())
        async with serving(target, edge.register), channel(target) as connection:
            yield Installation(connection, database, edge.ports, edge, clock)
        running.cancel()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def embedder(tmp_path: Path) -> AsyncIterator[PlayedEmbedder]:
    """An embedding service of the tests' own."""
    played = PlayedEmbedder(f"unix:{tmp_path}/embedding.sock")
    async with serving(played.target, played.register):
        yield played


@pytest.fixture
async def runs(
    database: Database,
    analytics: Analytics,
    pool: Pool,
    clock: Clock,
    installation: Installation,
    embedder: PlayedEmbedder,
) -> AsyncIterator[Runs]:
    async with channel(embedder.target) as embedding:
        yield Runs(
            Experiments(database),
            analytics,
            MemoryBus(),
            pool,
            plain_simulator.prepare,
            MOST_ROWS,
            clock,
            Caps(installation.channel, "experiment"),
            Embeddings(embedding),
            pace=Pace(look_s=0.02, spent_s=0.0, settle_s=1.0, logged_s=0.0),
        )


@pytest.fixture
def firer(installation: Installation, runs: Runs) -> Firer:
    """Fires when it is told to look."""
    desk = Desk(runs, installation.channel, Catalog.load(), Limits(90))
    return Firer(Schedules(runs.experiments.database), desk)


@pytest.fixture
def stepper(installation: Installation, runs: Runs, clock: Clock) -> Stepper:
    """Steps rollouts when it is told to look."""
    return Stepper(Rollouts(runs.experiments.database), runs.analytics, installation.channel, clock)


@pytest.fixture
async def service(
    installation: Installation, runs: Runs, clock: Clock, firer: Firer, stepper: Stepper, tmp_path: Path
) -> AsyncIterator[str]:
    """Where the service listens. Nothing runs what it creates."""
    started = asyncio.Event()
    started.set()
    promoter = Promoter(runs.experiments, installation.channel, clock)
    scheduling = ScheduleDesk(firer.schedules, firer.desk, firer)
    edge = Edge(firer.desk, promoter, started, scheduling, RolloutDesk(runs.experiments, stepper))
    target = f"unix:{tmp_path}/replay.sock"
    async with serving(target, edge.register):
        yield target


@pytest.fixture
async def at_work(service: str, runs: Runs) -> AsyncIterator[None]:
    """Runs what is created, and writes its results."""
    bus = runs.bus
    await bus.ensure(partitions())
    consumer = Consumer(runs)
    handlers = {EXPERIMENT_COMMANDS.name: consumer.handle, EXPERIMENT_SCORES.name: Scores(runs.pairs).handle}
    writer = ResultsWriter(runs.analytics)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(relay(runs.experiments.database, bus, poll_s=0.01)),
            group.create_task(consume(bus, "replay", handlers, max_wait_s=0.05)),
            group.create_task(consume(bus, "ingest", {EXPERIMENT_RESULTS.name: writer.handle}, max_wait_s=0.05)),
            group.create_task(consumer.work()),
            group.create_task(consumer.tidy()),
        ]
        yield
        for task in tasks:
            task.cancel()


async def tenant_of(installation: Installation, name: str) -> Tenant:
    """With an OpenAI credential, and @production on gpt-4o."""
    tenant = await installation.tenant(name)
    await tenant("CreateCredential", name="openai", provider="openai", secret="sk-test-1234567890")
    await tenant.config("production", {"strategy": "single", "model": "gpt-4o"})
    return tenant


@pytest.fixture
async def acme(installation: Installation, service: str) -> AsyncIterator[Replay]:
    async with channel(service) as connection:
        yield Replay(connection, await tenant_of(installation, "acme"))


@pytest.fixture
async def globex(installation: Installation, service: str) -> AsyncIterator[Replay]:
    async with channel(service) as connection:
        yield Replay(connection, await tenant_of(installation, "globex"))
