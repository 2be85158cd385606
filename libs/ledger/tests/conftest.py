"""A ledger in memory behind a socket, and spenders on it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import grpc.aio
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from memory_ledger import MemoryLedger, served

from modelux_ledger.line import Pace
from modelux_ledger.spender import Spender
from modelux_ledger.spending import spending

PACE = Pace(report_s=0.005, backoff_s=0.005, longest_backoff_s=0.01, patience_s=5.0, grant_s=4.0, repeat_after_s=0.0)
Starts = Callable[..., AbstractAsyncContextManager[Spender]]


@pytest.fixture
def ledger() -> MemoryLedger:
    return MemoryLedger({"bud": 1000, "org": 100_000, "soft": 10}, soft=frozenset({"soft"}))


@pytest.fixture
async def starts(ledger: MemoryLedger, tmp_path: Path) -> AsyncIterator[Starts]:
    """Starts a spender with the table `name`."""
    async with served(ledger, tmp_path) as target:

        @asynccontextmanager
        async def start(name: str = "leases", pace: Pace = PACE) -> AsyncIterator[Spender]:
            async with (
                grpc.aio.insecure_channel(target) as channel,
                spending(channel, tmp_path / name, pace=pace) as it,
            ):
                yield it

        yield start
