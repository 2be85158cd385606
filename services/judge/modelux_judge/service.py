"""The judge service: its settings and its wiring."""

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
from modelux_contracts.sources import JUDGE
from modelux_contracts.topics import JUDGE_COMMANDS
from modelux_judge.calls import Calls
from modelux_judge.consumer import Consumer
from modelux_judge.desk import Desk
from modelux_judge.ending import Ending
from modelux_judge.label_desk import LabelDesk
from modelux_judge.neighbours import Channels
from modelux_judge.records import JudgeRuns
from modelux_judge.rpc import operations
from modelux_judge.runs import Runs
from modelux_ledger.spending import spending
from modelux_providers.catalog import Catalog
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import serving
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_runtime.spend_caps import SpendCaps
from modelux_store.migrate import migrate_once_there
from modelux_store.outbox import relay

log = logging.getLogger(__name__)

GROUP = "judge"
SCHEMAS = ("outbox", "judge")
_DAY_MS = 24 * 3600 * 1000


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """`MODELUX_JUDGE_<FIELD>`."""

    listen: str = setting("", "gRPC address to serve at; left out: MODELUX_JUDGE_URL, where that is a Unix socket")
    data_dir: str = setting(".modelux/judge", "Folder of the leases of budgets and the last configuration")
    runs: int = setting(4, "Judge runs at a time in this process")
    pairs: int = setting(8, "Pairs at a time of each run")
    calls_per_credential: int = setting(8, "Most calls at a time with one credential; fewer after a 429")
    timeout_s: float = setting(120.0, "Over one attempt")
    drain_s: float = setting(25.0, "How long calls under way may take at shutdown")
    most_at_work: int = setting(10, "Judge runs of one organization that wait or run at a time")
    allow_private: bool = setting(False, "Let every credential reach private addresses, over http too")


@asynccontextmanager
async def serve(settings: JudgeSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Serves gRPC at once; calls wait for the schema. Leaving begins no call and waits for those under way."""
    folder, clock, client = Path(settings.data_dir), Clock(), Client(Guard(settings.allow_private))
    folder.mkdir(parents=True, exist_ok=True)
    builder = Builder(platform.encryption_key, Catalog.load(), allow_private=settings.allow_private)
    source = ConfigSource(builder, folder / "snapshot", clock, _DAY_MS)
    await source.load()
    started, stopping = asyncio.Event(), asyncio.Event()
    platform.readiness[GROUP] = lambda: None if started.is_set() else "the schema is not there yet"
    deadlines = Deadlines(first_byte_s=settings.timeout_s, total_s=settings.timeout_s)
    records, calls = JudgeRuns(platform.database), Calls(platform.database)
    caps = SpendCaps(platform.config, "judge_run")
    ending = Ending(records, calls, platform.analytics, caps, clock.now_us)
    around = Channels(platform.replay, platform.config)
    most = settings.most_at_work
    desk = Desk(records, calls, platform.analytics, around, caps, source.current, most, clock.now_us)
    edge = operations(desk, LabelDesk(records, ending, clock.now_us), started)
    target = settings.listen or platform.settings.judge_url
    async with spending(platform.config, folder / "leases") as spender, asyncio.TaskGroup() as group:
        haste = Haste(settings.calls_per_credential, clock)
        caller = Caller(client, deadlines, Spending(spender, lowers=False), JUDGE, haste, clock)
        runs = Runs(records, calls, platform.analytics, caller, source.current, ending, settings.pairs, stopping.is_set)
        consumer = Consumer(runs)
        async with serving(target, edge.register):
            if target.startswith("unix:"):
                Path(target.removeprefix("unix:")).chmod(0o600)
            working = group.create_task(_run(platform, started, consumer, settings.runs))
            yield [source.follow(watch_over(platform.config, new_id("jg_"))), source.rebuild()]
            stopping.set()
            if not await consumer.drained(settings.drain_s):
                log.error("calls were still under way after %s s and are given up", settings.drain_s)
            working.cancel()
    await client.close()


async def _run(platform: Platform, started: asyncio.Event, consumer: Consumer, at_a_time: int) -> None:
    await migrate_once_there(platform.database, SCHEMAS)
    started.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(relay(platform.database, platform.bus))
        group.create_task(consume(platform.bus, GROUP, {JUDGE_COMMANDS.name: consumer.handle}))
        group.create_task(consumer.work(at_a_time))


SERVICE = Service(
    GROUP,
    JudgeSettings,
    frozenset({"bus", "database", "analytics", "config", "replay", "encryption_key"}),
    serve,
)
