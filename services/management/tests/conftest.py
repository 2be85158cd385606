"""The REST API over a real config service on a Unix socket, a real PostgreSQL and a real ClickHouse engine."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[2] / "config" / "tests"))

from config_harness import KEY, Installation, migrated
from management_harness import Client, client_of

from modelux_config.cursors import cursors
from modelux_config.feed import Feed
from modelux_config.rpc import Edge
from modelux_config.scope import Ports
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_management.admin import Admin
from modelux_management.app import build
from modelux_management.edge import App
from modelux_providers.vendors import VENDORS
from modelux_runtime.rpc import channel, serving
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.logs import Logs


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

    feed, started = Feed(database), asyncio.Event()
    started.set()
    edge = Edge(database, Ports(now_ms, KEY, cursors(KEY), VENDORS), feed, "", started)
    target = f"unix:{tmp_path}/config.sock"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(feed.run())
        async with serving(target, edge.register), channel(target) as connection:
            yield Installation(connection, database, edge.ports, edge, clock)
        running.cancel()


@pytest.fixture
async def nowhere() -> AsyncIterator[Analytics]:
    """An analytics store that is not there."""
    opened = await Analytics.open("http://nobody:x@127.0.0.1:1/modelux")
    yield opened
    await opened.close()


@pytest.fixture
def app(installation: Installation, nowhere: Analytics) -> App:
    return build(Admin(installation.channel), Logs(nowhere, KEY), {"localhost"})


@pytest.fixture
async def http(app: App) -> AsyncIterator[httpx2.AsyncClient]:
    transport = httpx2.ASGITransport(app=app, raise_app_exceptions=False)  # type: ignore[arg-type]
    async with httpx2.AsyncClient(transport=transport, base_url="http://localhost/manage/v1") as client:
        yield client


@pytest.fixture
async def acme(installation: Installation, http: httpx2.AsyncClient) -> Client:
    return client_of(http, await installation.tenant("acme"))


@pytest.fixture
async def globex(installation: Installation, http: httpx2.AsyncClient) -> Client:
    return client_of(http, await installation.tenant("globex"))
