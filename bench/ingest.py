"""Measure ingest on the real embedded stack: bus on PostgreSQL, ClickHouse engine behind its HTTP endpoint.

Prints one JSON line: `rows_per_s` (a backlog, from the first fetch to the last row that a query sees) of rows of
`row_bytes`, the same for `small` ones, `lag_p95_s` (from publishing to being visible, at a steady rate), `rows`, and
the machine's load, since others may be at work on it. Publishing is not part of the first figures.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from tempfile import TemporaryDirectory

import uvloop

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage
from modelux_bus.base import Bus, Message
from modelux_bus.connect import open_bus
from modelux_bus.consume import consume
from modelux_contracts import codec
from modelux_contracts.ids import new_id
from modelux_contracts.topics import REQUEST_COMPLETED, partitions
from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_embedded.postgres import EmbeddedPostgres
from modelux_ingest.consumer import Writer
from modelux_ingest.schema import prepare
from modelux_ingest.service import OVERLAP
from modelux_store.analytics import Analytics

TOPIC = REQUEST_COMPLETED.name
USUAL = (1000, 4000)
SMALL = (100, 350)
"""Least and most bytes of a body."""
_TRACE = {
    "policy_type": "fallback", "policy_name": "production", "policy_version": 4,
    "candidates": [{"model": f"gpt-4o-mini-{n}:openai", "rank": n, "reason": "cheapest"} for n in range(4)],
    "attempts": [{"number": n, "model": "gpt-4o-mini:openai", "outcome": "ok", "latency_ms": 238.1} for n in (1, 2)],
    "selection_reason": "primary timeout, secondary healthy", "saw": {"price_version": "2026-01-01", "at_ms": 1},
}  # fmt: skip


@cache
def prose() -> bytes:
    """Text that compresses about as well as English does: words of uneven frequency."""
    chance = random.Random(7)
    words = ["".join(chance.choices("etaoinshrdlucmfwyp", k=chance.randint(2, 9))) for _ in range(4000)]
    return " ".join(words[int(4000 * chance.random() ** 3)] for _ in range(100_000)).encode()


def body(chance: random.Random, sizes: tuple[int, int]) -> bytes:
    start, size = chance.randrange(len(prose()) - sizes[1]), chance.randint(*sizes)
    return prose()[start : start + size]


def event(number: int, chance: random.Random, sizes: tuple[int, int]) -> RequestCompleted:
    """A request with two attempts, a trace of 700 bytes and two bodies."""
    usage = Usage(input=chance.randint(50, 4000), output=chance.randint(5, 800))
    now_us = time.time_ns() // 1000
    attempts = [
        AttemptRecord(
            number=n, model="gpt-4o-mini", provider="openai", credential_id="pc_1", kind="ok", status=200,
            latency_us=chance.randint(100_000, 900_000), ttft_us=90_000, usage=usage, cost_nano=2_134_000,
        )
        for n in (1, 2)
    ]  # fmt: skip
    return RequestCompleted(
        request_id=new_id("req_"), organization_id="org_1", project_id=f"proj_{number % 20}", key_id="key_1",
        started_at_us=now_us, endpoint="chat", requested_model="@production", config_slug="production",
        config_version=4, policy_type="fallback", outcome="ok", status=200, model="gpt-4o-mini", provider="openai",
        credential_id="pc_1", tags={"env": "prod", "run_id": f"run_{number % 100}"}, end_user_id=f"user_{number % 500}",
        usage=usage, cost_nano=2_134_000, latency_us=238_000, ttft_us=138_000, overhead_us=300, attempts=attempts,
        trace_json=json.dumps(_TRACE).encode(), request_body=body(chance, sizes), response_body=body(chance, sizes),
        logging_mode="full", price_version="2026-01-01", response_id=f"chatcmpl-{number}",
    )  # fmt: skip


def message(each: RequestCompleted) -> Message:
    name = f"{each.request_id}.completed"
    return Message(TOPIC, each.project_id.encode(), codec.encode(each), name, codec.headers(TOPIC))


def batches(count: int, size: int, sizes: tuple[int, int]) -> Iterator[list[Message]]:
    chance = random.Random(1)
    for start in range(0, count, size):
        yield [message(event(n, chance, sizes)) for n in range(start, min(start + size, count))]


@asynccontextmanager
async def stack() -> AsyncIterator[tuple[Bus, Analytics]]:
    with TemporaryDirectory(prefix="mlx-bench-") as folder:
        os.chmod(folder, 0o711)
        with EmbeddedPostgres(f"{folder}/pg") as postgres, EmbeddedClickHouse(f"{folder}/ch") as clickhouse:
            bus, analytics = open_bus(postgres.url), await Analytics.open(clickhouse.url)
            try:
                await prepare(analytics, retention_days=90)
                await bus.ensure(partitions())
                yield bus, analytics
            finally:
                await analytics.close()
                await bus.close()


async def visible(analytics: Analytics) -> int:
    (row,) = await analytics.rows("SELECT count() AS n FROM requests")
    n = row["n"]
    assert isinstance(n, int)
    return n


async def backlog(bus: Bus, analytics: Analytics, count: int, sizes: tuple[int, int]) -> tuple[int, int]:
    """Rows per second from the first fetch of `count` waiting rows until a query sees them all; bytes of a row."""
    before, size = await visible(analytics), 0
    for batch in batches(count, 1000, sizes):
        size += sum(len(each.value) for each in batch)
        await bus.publish(batch)
    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        running = group.create_task(ingest(bus, analytics))
        while await visible(analytics) < before + count:
            await asyncio.sleep(0.05)
        took = time.perf_counter() - began
        running.cancel()
    return round(count / took), round(size / count)


async def steady(bus: Bus, analytics: Analytics, rate: int, seconds: int) -> Sequence[float]:
    """Seconds from publishing to visible of each row, at `rate` rows per second."""
    before = await visible(analytics)
    published: list[float] = []
    async with asyncio.TaskGroup() as group:
        running = group.create_task(ingest(bus, analytics))
        lags = group.create_task(watch(analytics, before, rate * seconds, published))
        step = 0.05
        began = time.perf_counter()
        for number, batch in enumerate(batches(rate * seconds, max(1, int(rate * step)), USUAL)):
            await asyncio.sleep(began + number * step - time.perf_counter())
            now = time.perf_counter()
            await bus.publish(batch)
            published.extend([now] * len(batch))
        found = await lags
        running.cancel()
    return found


async def watch(analytics: Analytics, before: int, count: int, published: list[float]) -> list[float]:
    lags: list[float] = []
    while len(lags) < count:
        seen = min(await visible(analytics) - before, len(published))
        now = time.perf_counter()
        lags.extend(now - published[n] for n in range(len(lags), seen))
        await asyncio.sleep(0.05)
    return lags


async def ingest(bus: Bus, analytics: Analytics) -> None:
    """What the service runs."""
    writer = Writer(analytics, now_us=lambda: time.time_ns() // 1000)
    await consume(bus, "ingest", {TOPIC: writer.handle}, max_messages=5000, max_wait_s=1.0, overlap=OVERLAP)


async def main(rows: int, rate: int, seconds: int) -> dict[str, float | int]:
    async with stack() as (bus, analytics):
        usual, usual_bytes = await backlog(bus, analytics, rows, USUAL)
        small, small_bytes = await backlog(bus, analytics, rows, SMALL)
        lags = sorted(await steady(bus, analytics, rate, seconds))
    return {
        "rows_per_s": usual,
        "row_bytes": usual_bytes,
        "small_rows_per_s": small,
        "small_row_bytes": small_bytes,
        "lag_p95_s": round(lags[int(len(lags) * 0.95)], 2),
        "rows": rows,
        "steady_rows_per_s": rate,
        "load_average": round(os.getloadavg()[0], 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=50_000)
    parser.add_argument("--rate", type=int, default=1000)
    parser.add_argument("--seconds", type=int, default=10)
    options = parser.parse_args()
    print(json.dumps(uvloop.run(main(options.rows, options.rate, options.seconds))))
    sys.exit(0)
