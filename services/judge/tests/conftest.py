"""A database and a log for each test, and the judge service over them."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[3] / "libs" / "calling" / "tests"))

from engines import NewUrl
from judge_rig import judging

from modelux_store.analytics import Analytics
from modelux_store.database import Database


@pytest.fixture
async def database(new_database: NewUrl) -> AsyncIterator[Database]:
    opened = await Database.open(await new_database("outbox", "judge"))
    yield opened
    await opened.close()


@pytest.fixture
async def analytics(new_analytics: NewUrl) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(await new_analytics())
    yield opened
    await opened.close()


@pytest.fixture
def judge(database: Database, analytics: Analytics, tmp_path: Path) -> Callable[..., object]:
    """`async with judge(rules, ...) as it`: see `judge_rig.judging`."""
    return partial(judging, database, analytics, tmp_path)
