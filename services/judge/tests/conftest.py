"""A database and a log for each test, and the judge service over them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[3] / "libs" / "calling" / "tests"))

from judge_rig import judging

from modelux_embedded.clickhouse import EmbeddedClickHouse, temporary_clickhouse
from modelux_embedded.postgres import EmbeddedPostgres, temporary_postgres
from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.migrate import migrate_clickhouse, migrate_postgres

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
    opened = await Database.open(postgres.create_database(f"judge{next(_numbers)}"))
    for schema in ("outbox", "judge"):
        await migrate_postgres(opened, schema)
    yield opened
    await opened.close()


@pytest.fixture
async def analytics(clickhouse: EmbeddedClickHouse) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(clickhouse.url.rpartition("/")[0] + f"/judge{next(_numbers)}")
    await migrate_clickhouse(opened)
    yield opened
    await opened.close()


@pytest.fixture
def judge(database: Database, analytics: Analytics, tmp_path: Path) -> Callable[..., object]:
    """`async with judge(rules, ...) as it`: see `judge_rig.judging`."""
    return partial(judging, database, analytics, tmp_path)
