"""A database with the sampler's schema, one for each test."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[3] / "libs" / "calling" / "tests"))

from engines import NewUrl
from sampler_rig import sampling

from modelux_store.database import Database


@pytest.fixture
async def database(new_database: NewUrl) -> AsyncIterator[Database]:
    opened = await Database.open(await new_database("outbox", "sampler"))
    yield opened
    await opened.close()


@pytest.fixture
def sampler(database: Database, tmp_path: Path) -> Callable[..., object]:
    """`async with sampler(rules, ...) as it`: see `sampler_rig.sampling`."""
    return partial(sampling, database, tmp_path)
