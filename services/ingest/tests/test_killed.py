"""The service as a real process on the real bus and engine, killed without warning: every request is there, once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.base import Message
from modelux_bus.connect import open_bus
from modelux_contracts import codec
from modelux_contracts.topics import REQUEST_COMPLETED, partitions
from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_embedded.postgres import temporary_postgres
from modelux_runtime.settings import child_environment
from modelux_store.analytics import Analytics, Unavailable

EventMaker = Callable[..., RequestCompleted]
TOPIC = REQUEST_COMPLETED.name
REQUESTS = 600


@contextmanager
def service(bus_url: str, clickhouse_url: str, log: Path) -> Iterator[subprocess.Popen[bytes]]:
    settings = {
        "MODELUX_INGEST_BATCH_ROWS": "50",
        "MODELUX_INGEST_LINGER_MS": "50",
        "MODELUX_INGEST_RETENTION_DAYS": "0",
    }
    environment = child_environment({"MODELUX_BUS_URL": bus_url, "MODELUX_CLICKHOUSE_URL": clickhouse_url, **settings})
    argv = [sys.executable, "-m", "modelux_cli.main", "run", "ingest"]
    with log.open("ab") as output, subprocess.Popen(argv, env=environment, stdout=output, stderr=output) as process:
        try:
            yield process
        finally:
            process.kill()


async def written(analytics: Analytics, table: str = "requests_once") -> int:
    try:
        (row,) = await analytics.rows(f"SELECT count() AS n FROM {table}")  # noqa: S608  # a table of ours
    except Unavailable:
        return 0
    return int(str(row["n"]))


async def until(analytics: Analytics, rows: int, process: subprocess.Popen[bytes]) -> None:
    async with asyncio.timeout(60):
        while await written(analytics) < rows:
            assert process.poll() is None, "the service ended by itself"
            await asyncio.sleep(0.01)


async def test_every_request_is_there_once_after_kill_9(clickhouse: EmbeddedClickHouse, make_event: EventMaker) -> None:
    url = clickhouse.url.rpartition("/")[0] + "/killed"
    analytics = await Analytics.open(url)
    with temporary_postgres() as postgres, tempfile.TemporaryDirectory() as folder:
        bus = open_bus(postgres.url)
        await bus.ensure(partitions())
        events = [make_event(n, project_id=f"proj_{n % 5}") for n in range(REQUESTS)]
        await bus.publish(
            [Message(TOPIC, e.project_id.encode(), codec.encode(e), e.request_id, codec.headers(TOPIC)) for e in events]
        )
        log = Path(folder) / "log"
        for goal in (1, 200, REQUESTS):
            with service(postgres.url, url, log) as process:
                await until(analytics, goal, process)
        assert await written(analytics) == REQUESTS
        assert await written(analytics, "attempts_once") == 2 * REQUESTS
        assert "Traceback" not in log.read_text()
        await bus.close()
    await analytics.close()
