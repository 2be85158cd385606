"""The ingest service: its settings and its wiring."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modelux_bus.consume import consume
from modelux_contracts.topics import (
    EXPERIMENT_CALLS,
    EXPERIMENT_RESULTS,
    JUDGE_CALLS,
    JUDGE_VERDICTS,
    LOG_IMPORTED,
    REQUEST_COMPLETED,
)
from modelux_ingest import metrics
from modelux_ingest.consumer import Writer
from modelux_ingest.experiments import ResultsWriter
from modelux_ingest.schema import prepare
from modelux_ingest.verdicts import VerdictsWriter
from modelux_runtime.platform import Platform
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_telemetry.meters import exported

GROUP = "ingest"
OVERLAP = 2
"""Batches under way at a time: one is turned into columns while ClickHouse writes the other."""


@dataclass(frozen=True, slots=True)
class IngestSettings:
    """`MODELUX_INGEST_<FIELD>`."""

    batch_rows: int = setting(5000, "Most requests written to ClickHouse at once")
    linger_ms: int = setting(500, "Least time between two writes of fewer than 1,000 requests")
    retention_days: int = setting(90, "How long requests, and rows of experiments, are kept; 0 keeps them for ever")


@asynccontextmanager
async def serve(settings: IngestSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Reads requests, served, imported or made by ourselves, results and verdicts of experiments; writes ClickHouse."""
    prepared = asyncio.Event()
    platform.readiness[GROUP] = lambda: None if prepared.is_set() else "waiting for ClickHouse"
    counted = metrics.meters()
    linger_s = settings.linger_ms / 1000
    writer = Writer(platform.analytics, now_us=lambda: time.time_ns() // 1000, linger_s=linger_s, meters=counted)

    handlers = {
        REQUEST_COMPLETED.name: writer.handle,
        LOG_IMPORTED.name: writer.handle_imported,
        EXPERIMENT_CALLS.name: writer.handle_made,
        JUDGE_CALLS.name: writer.handle_made,
        EXPERIMENT_RESULTS.name: ResultsWriter(platform.analytics).handle,
        JUDGE_VERDICTS.name: VerdictsWriter(platform.analytics).handle,
    }

    async def run() -> None:
        await prepare(platform.analytics, settings.retention_days)
        prepared.set()
        await consume(
            platform.bus,
            GROUP,
            handlers,
            max_messages=settings.batch_rows,
            max_wait_s=1.0,
            overlap=OVERLAP,
            idle=writer.idle,
        )

    with exported(counted):
        yield [run()]


SERVICE = Service("ingest", IngestSettings, frozenset({"bus", "analytics"}), serve)
