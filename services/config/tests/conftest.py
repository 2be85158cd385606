"""A config service on a Unix socket over a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from config_harness import KEY, Installation, Tenant, migrated

from modelux_config.cursors import cursors
from modelux_config.feed import Feed
from modelux_config.ledger import Ledger
from modelux_config.ledger_recalls import Recalls
from modelux_config.ledger_rpc import LedgerEdge
from modelux_config.rpc import Edge
from modelux_config.scope import Ports
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_providers.vendors import VENDORS
from modelux_runtime.rpc import channel, serving
from modelux_store.database import Database


@pytest.fixture(scope="session")
def database_url(postgres: EmbeddedPostgres) -> str:
    """One migrated database for all tests; each has tenants of its own."""
    return migrated(postgres)


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    opened = await Database.open(database_url)
    yield opened
    await opened.close()


@pytest.fixture
async def installation(database: Database, tmp_path: Path) -> AsyncIterator[Installation]:
    clock = [time.time_ns() // 1_000_000]

    def now_ms() -> int:
        clock[0] += 1
        return clock[0]

    ports = Ports(now_ms, KEY, cursors(KEY), VENDORS, {"models.lan"})
    feed, started = Feed(database), asyncio.Event()
    started.set()
    edge = Edge(database, ports, feed, "", started)
    ledger = LedgerEdge(Ledger(database, Recalls(database)), started)

    def register(server: grpc.aio.Server) -> None:
        edge.register(server)
        ledger.register(server)

    target = f"unix:{tmp_path}/config.sock"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(feed.run())
        async with serving(target, register), channel(target) as connection:
            yield Installation(connection, database, ports, edge, clock)
        running.cancel()


@pytest.fixture
async def acme(installation: Installation) -> Tenant:
    return await installation.tenant("acme")


@pytest.fixture
async def globex(installation: Installation) -> Tenant:
    return await installation.tenant("globex")


@asynccontextmanager
async def _listening(database: Database) -> AsyncIterator[Ledger]:
    recalls = Recalls(database)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(recalls.run())
        await recalls.listening.wait()
        yield Ledger(database, recalls)
        running.cancel()


@pytest.fixture
async def ledger(database: Database) -> AsyncIterator[Ledger]:
    async with _listening(database) as found:
        yield found


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Ledger]:
    """Another config service on the same database."""
    database = await Database.open(database_url)
    async with _listening(database) as found:
        yield found
    await database.close()
