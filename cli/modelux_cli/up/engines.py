"""The two database engines of one machine: started together, started again whenever one ends, stopped last."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_embedded.errors import EngineError
from modelux_embedded.postgres import EmbeddedPostgres

RETRY_BASE_S = 1.0
RETRY_MAX_S = 30.0
Engine = EmbeddedPostgres | EmbeddedClickHouse


@dataclass(frozen=True, slots=True)
class Urls:
    """Where the engines listen."""

    database: str
    clickhouse: str


@asynccontextmanager
async def engines(data_dir: Path, tell: Callable[[str], None]) -> AsyncIterator[Urls]:
    """Runs both for as long as the block does. Raises `EngineError` where one cannot start."""
    postgres = EmbeddedPostgres(data_dir / "postgres", exit_with_parent=True)
    clickhouse = EmbeddedClickHouse(data_dir / "analytics")
    both: dict[str, Engine] = {"postgres": postgres, "analytics": clickhouse}
    try:
        async with asyncio.TaskGroup() as starting:
            for engine in both.values():
                starting.create_task(asyncio.to_thread(engine.start))
        async with asyncio.TaskGroup() as group:
            keepers = [group.create_task(_keep(name, engine, tell)) for name, engine in both.items()]
            yield Urls(postgres.url, clickhouse.url)
            for keeper in keepers:
                keeper.cancel()
    finally:
        for engine in both.values():
            await asyncio.to_thread(engine.stop)


async def _keep(name: str, engine: Engine, tell: Callable[[str], None]) -> None:
    while True:
        status = await engine.wait()
        tell(f"{name} ended with status {status}; starting it again")
        await _restart(name, engine, tell)


async def _restart(name: str, engine: Engine, tell: Callable[[str], None]) -> None:
    """Tries until it runs: the proxy serves without it meanwhile, so giving up would only make things worse."""
    delay_s = RETRY_BASE_S
    while True:
        try:
            await asyncio.to_thread(engine.start)
            return
        except EngineError as error:
            tell(f"{name}: {error}; trying again in {delay_s:.0f} s")
        await asyncio.sleep(delay_s)
        delay_s = min(delay_s * 2, RETRY_MAX_S)
