"""A replica that fires what is due, and dies by SIGKILL when it is about to hand over the command of what it made."""

from __future__ import annotations

import asyncio
import os
import signal
import sys

import plain_simulator

from modelux_bus.memory import MemoryBus
from modelux_providers.catalog import Catalog
from modelux_replay import experiments as module
from modelux_replay.called.embeddings import Embeddings
from modelux_replay.caps import Caps
from modelux_replay.desk import Desk, Limits
from modelux_replay.experiments import Experiments
from modelux_replay.pool import Pool
from modelux_replay.runs import Runs
from modelux_replay.scheduling.firing import Firer
from modelux_replay.scheduling.schedules import Schedules
from modelux_runtime.rpc import channel
from modelux_store.analytics import Analytics
from modelux_store.database import Database


async def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


async def main(database_url: str, analytics_url: str, config: str, now_us: int) -> None:
    database, analytics = await Database.open(database_url), await Analytics.open(analytics_url)
    async with channel(config) as connection:
        runs = Runs(
            Experiments(database),
            analytics,
            MemoryBus(),
            Pool(1),
            plain_simulator.prepare,
            1_000,
            lambda: now_us,
            Caps(connection, "experiment"),
            Embeddings(connection),
        )
        module.outbox.append = die  # type: ignore[assignment]  # this is what it is for
        await Firer(Schedules(database), Desk(runs, connection, Catalog.load(), Limits(90))).look()


asyncio.run(main(*sys.argv[1:4], int(sys.argv[4])))
