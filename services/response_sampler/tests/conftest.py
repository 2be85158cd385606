"""A database with the sampler's schema, one for each test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[3] / "libs" / "calling" / "tests"))

from sampler_rig import sampling

from modelux_embedded.postgres import EmbeddedPostgres, temporary_postgres
from modelux_store.database import Database
from modelux_store.migrate import migrate_postgres

_numbers = count(1)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    with temporary_postgres() as server:
        yield server


@pytest.fixture
async def database(postgres: EmbeddedPostgres) -> AsyncIterator[Database]:
    opened = await Database.open(postgres.create_database(f"sampler{next(_numbers)}"))
    for schema in ("outbox", "sampler"):
        await migrate_postgres(opened, schema)
    yield opened
    await opened.close()


@pytest.fixture
def sampler(database: Database, tmp_path: Path) -> Callable[..., object]:
    """`async with sampler(rules, ...) as it`: see `sampler_rig.sampling`."""
    return partial(sampling, database, tmp_path)
