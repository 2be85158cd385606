"""The real engines, one of each for all tests of this library; every test has a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count

import pytest

from modelux_embedded.clickhouse import EmbeddedClickHouse, temporary_clickhouse
from modelux_embedded.postgres import EmbeddedPostgres, temporary_postgres
from modelux_store.analytics import Analytics
from modelux_store.database import Database

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def clickhouse() -> Iterator[EmbeddedClickHouse]:
    with temporary_clickhouse() as server:
        yield server


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    opened = await Database.open(postgres.create_database(f"test{next(_numbers)}"))
    yield opened
    await opened.close()


@pytest.fixture
async def analytics(clickhouse: EmbeddedClickHouse) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(clickhouse.url.rpartition("/")[0] + f"/test{next(_numbers)}")
    await opened.create_database()
    yield opened
    await opened.close()
