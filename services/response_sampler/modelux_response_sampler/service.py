"""The response sampler: its settings and its wiring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from modelux_bus.consume import consume
from modelux_calling.caller import Caller
from modelux_calling.charge import Spending
from modelux_calling.clock import Clock
from modelux_calling.config_source import ConfigSource, watch_over
from modelux_calling.haste import Haste
from modelux_calling.snapshot import Builder
from modelux_contracts.ids import new_id
from modelux_contracts.topics import EXPERIMENT_SAMPLES
from modelux_ledger.spending import spending
from modelux_providers.catalog import Catalog
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_response_sampler import metrics
from modelux_response_sampler.consumer import Consumer
from modelux_response_sampler.permission import permission
from modelux_response_sampler.rows import Rows
from modelux_response_sampler.units import Units
from modelux_response_sampler.work import Work
from modelux_runtime.platform import Platform
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_store.migrate import migrate_once_there
from modelux_store.outbox import relay
from modelux_telemetry.meters import exported

log = logging.getLogger(__name__)

GROUP = "response_sampler"
SCHEMAS = ("outbox", "sampler")
_SOURCE = "experiment"
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class SamplerSettings:
    """`MODELUX_RESPONSE_SAMPLER_<FIELD>`."""

    data_dir: str = setting(".modelux/sampler", "Folder of the leases of budgets and the last configuration")
    calls: int = setting(16, "Calls at a time, over all experiments")
    calls_per_credential: int = setting(8, "Most calls at a time with one credential; fewer after a 429")
    timeout_s: float = setting(300.0, "Over one attempt")
    drain_s: float = setting(25.0, "How long calls under way may take at shutdown")
    allow_private: bool = setting(False, "Let every credential reach private addresses, over http too")


@asynccontextmanager
async def serve(settings: SamplerSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Works once there is a configuration and a database. Leaving begins no call and waits for those under way."""
    folder, clock, client = Path(settings.data_dir), Clock(), Client(Guard(settings.allow_private))
    folder.mkdir(parents=True, exist_ok=True)
    builder = Builder(platform.encryption_key, Catalog.load(), allow_private=settings.allow_private)
    source = ConfigSource(builder, folder / "snapshot", clock, _DAY_MS)
    await source.load()
    meters, started = metrics.meters(), asyncio.Event()
    platform.readiness[GROUP] = lambda: _waits_for(source, started)
    deadlines = Deadlines(first_byte_s=settings.timeout_s, total_s=settings.timeout_s)
    async with spending(platform.config, folder / "leases") as spender, asyncio.TaskGroup() as group:
        haste = Haste(settings.calls_per_credential, clock)
        caller = Caller(client, deadlines, Spending(spender), _SOURCE, haste, clock)
        rows = Rows(Units(platform.database), caller, meters)
        work = Work(rows, platform.analytics, source.current, permission(platform.replay), settings.calls)
        with exported(meters):
            working = group.create_task(_run(platform, started, work))
            try:
                yield [source.follow(watch_over(platform.config, new_id("sm_"))), source.rebuild()]
            finally:
                if not await work.stop(settings.drain_s):
                    log.error("calls were still under way after %s s and are given up", settings.drain_s)
                working.cancel()
    await client.close()


async def _run(platform: Platform, started: asyncio.Event, work: Work) -> None:
    await migrate_once_there(platform.database, SCHEMAS)
    started.set()
    consumer = Consumer(work.rows.units, work.asked)
    async with asyncio.TaskGroup() as group:
        group.create_task(relay(platform.database, platform.bus))
        group.create_task(consume(platform.bus, GROUP, {EXPERIMENT_SAMPLES.name: consumer.handle}))
        group.create_task(work.run())
        group.create_task(work.sweep())


def _waits_for(source: ConfigSource, started: asyncio.Event) -> str | None:
    if not started.is_set():
        return "the schema is not there yet"
    return None if source.current() is not None else "waiting for a configuration"


SERVICE = Service(
    GROUP,
    SamplerSettings,
    frozenset({"bus", "database", "analytics", "config", "replay", "encryption_key"}),
    serve,
)
