"""Every test has a database of its own in the shared engines."""

from __future__ import annotations

from collections.abc import AsyncIterator
from itertools import count

import pytest

from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_store.analytics import Analytics
from modelux_store.database import Database

_numbers = count(1)


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    opened = await Database.open(postgres.create_database(f"store{next(_numbers)}"))
    yield opened
    await opened.close()


@pytest.fixture
async def analytics(clickhouse: EmbeddedClickHouse) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(clickhouse.url.rpartition("/")[0] + f"/store{next(_numbers)}")
    await opened.create_database()
    yield opened
    await opened.close()
