"""The replay service: its settings and its wiring."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from modelux_bus.consume import consume
from modelux_contracts.topics import EXPERIMENT_COMMANDS, EXPERIMENT_SCORES
from modelux_providers.catalog import Catalog
from modelux_replay.called.embeddings import Embeddings
from modelux_replay.caps import Caps
from modelux_replay.consumer import Consumer, Scores
from modelux_replay.desk import Desk, Limits
from modelux_replay.experiments import Experiments
from modelux_replay.pool import Pool
from modelux_replay.promote import Promoter
from modelux_replay.rollout.desk import RolloutDesk
from modelux_replay.rollout.rollouts import Rollouts
from modelux_replay.rollout.stepper import Stepper
from modelux_replay.rpc import Edge
from modelux_replay.runs import Runs
from modelux_replay.scheduling.desk import ScheduleDesk
from modelux_replay.scheduling.firing import Firer
from modelux_replay.scheduling.judging import Judging
from modelux_replay.scheduling.schedules import Schedules
from modelux_replay.simulation.simulate import prepare
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import serving
from modelux_runtime.service import Need, Service, Tasks
from modelux_runtime.settings import setting
from modelux_store.migrate import migrate_once_there
from modelux_store.outbox import relay
from modelux_telemetry.meters import exported

log = logging.getLogger(__name__)

GROUP = "replay"
SCHEMAS = ("outbox", "replay")


@dataclass(frozen=True, slots=True)
class ReplaySettings:
    """`MODELUX_REPLAY_<FIELD>`."""

    listen: str = setting("", "gRPC address to serve at; left out: MODELUX_REPLAY_URL, where that is a Unix socket")
    workers: int = setting(0, "Processes that simulate; 0: one for each core")
    max_rows: int = setting(50_000, "Most requests replayed by one experiment; of more so many are drawn evenly")
    max_window_days: int = setting(90, "Longest window of an experiment; no longer than ingest keeps requests")
    max_at_work: int = setting(20, "Most experiments of an organization that wait or run at a time")


@asynccontextmanager
async def serve(settings: ReplaySettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Serves gRPC at once; calls wait for the schema. Neither config nor ClickHouse need to be up."""
    experiments, started = Experiments(platform.database), asyncio.Event()
    platform.readiness[GROUP] = lambda: None if started.is_set() else "the schema is not there yet"
    pool = Pool(settings.workers)
    runs = Runs(
        experiments,
        platform.analytics,
        platform.bus,
        pool,
        prepare,
        settings.max_rows,
        _now_us,
        Caps(platform.config, "experiment"),
        Embeddings(platform.embedding),
    )
    desk = Desk(runs, platform.config, Catalog.load(), Limits(settings.max_window_days, settings.max_at_work))
    schedules = Schedules(platform.database)
    firer = Firer(schedules, desk)
    scheduling = ScheduleDesk(schedules, desk, firer)
    stepper = Stepper(Rollouts(platform.database), platform.analytics, platform.config, _now_us, firer.meters)
    promoter, rolling = Promoter(experiments, platform.config, _now_us), RolloutDesk(experiments, stepper)
    edge = Edge(desk, promoter, started, scheduling, rolling)
    target = settings.listen or platform.settings.replay_url
    try:
        async with serving(target, edge.register):
            if target.startswith("unix:"):
                Path(target.removeprefix("unix:")).chmod(0o600)
            with exported(firer.meters):
                judging = Judging(experiments, platform.judge, _now_us)
                yield [_run(platform, started, Consumer(runs), (firer, judging, stepper))]
    finally:
        pool.close()


async def _run(
    platform: Platform, started: asyncio.Event, consumer: Consumer, workers: Sequence[Firer | Judging | Stepper]
) -> None:
    await migrate_once_there(platform.database, SCHEMAS)
    started.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(relay(platform.database, platform.bus))
        handlers = {
            EXPERIMENT_COMMANDS.name: consumer.handle,
            EXPERIMENT_SCORES.name: Scores(consumer.runs.pairs).handle,
        }
        group.create_task(consume(platform.bus, GROUP, handlers))
        group.create_task(consumer.work())
        group.create_task(consumer.tidy())
        for worker in workers:
            group.create_task(worker.work())


def _now_us() -> int:
    return time.time_ns() // 1000


_NEEDS: frozenset[Need] = frozenset({"database", "bus", "analytics", "config", "embedding", "judge"})
SERVICE = Service("replay", ReplaySettings, needs=_NEEDS, serve=serve)
