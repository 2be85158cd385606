"""Whoever is cancelled while waiting for a connection ends, also where the connection came in that very moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from modelux_bus.postgres import PostgresBus, Settings
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_store.database import Database

ROUNDS = 60
CALLERS = 6
DEADLINE_S = 10.0

Call = Callable[[], Awaitable[object]]


@asynccontextmanager
async def the_bus(url: str) -> AsyncIterator[Call]:
    bus = PostgresBus(url, Settings(max_connections=2))
    await bus.ensure({"t": 1})
    yield lambda: bus.lag("g", ["t"])
    await bus.close()


@asynccontextmanager
async def the_store(url: str) -> AsyncIterator[Call]:
    async def call() -> object:
        async with database.transaction() as tx:
            return await tx.fetch_all("SELECT 1")

    database = await Database.open(url, max_size=2)
    yield call
    await database.close()


async def deaf_callers(call: Call, moment: int) -> int:
    """Lets callers go on for ever and cancels each once, in the midst of a call; how many did not end by that."""

    async def for_ever() -> None:
        while True:
            await call()
            called.set()

    called = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        callers = [group.create_task(for_ever()) for _ in range(CALLERS)]
        await called.wait()
        for _ in range(moment):
            await asyncio.sleep(0)
        for caller in callers:
            caller.cancel()
        _, running = await asyncio.wait(callers, timeout=DEADLINE_S)
        deaf = len(running)
        while running:
            for caller in running:
                caller.cancel()
            _, running = await asyncio.wait(running, timeout=0.1)
    return deaf


@pytest.mark.parametrize("place", [the_bus, the_store])
async def test_no_cancellation_is_lost(
    place: Callable[[str], AbstractAsyncContextManager[Call]], postgres_server: EmbeddedPostgres
) -> None:
    async with place(postgres_server.create_database(f"bus_{uuid.uuid4().hex[:10]}")) as call:
        for round_ in range(ROUNDS):
            assert await deaf_callers(call, round_ % 20) == 0
