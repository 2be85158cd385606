"""Work on units: take one, deal with its rows side by side, leave it; as many at a time as this process may."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from modelux.events.v1.experiment_pb2 import SampledRow
from modelux_calling.tenants import Tenants
from modelux_response_sampler import logged, spend
from modelux_response_sampler.hold import Hold, MayCall
from modelux_response_sampler.rows import Job, Rows
from modelux_response_sampler.units import Unit
from modelux_store.analytics import Analytics
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often an idle process looks for work that nobody does."""
SWEEP_S = 3600.0
_ROWS_AHEAD = 8
"""Calls at a time per unit worked on: units are taken up ahead, so that the last call of one holds up nobody."""


@dataclass(slots=True)
class Work:
    """All work of one process. `calls`: rows at a time, over all its units."""

    rows: Rows
    analytics: Analytics
    tenants: Callable[[], Tenants | None]
    may_call: MayCall
    calls: int
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    _room: asyncio.Semaphore = field(init=False)
    _stopping: asyncio.Event = field(default_factory=asyncio.Event)
    _idle: asyncio.Event = field(default_factory=asyncio.Event)
    _working: int = 0

    def __post_init__(self) -> None:
        self._room = asyncio.Semaphore(self.calls)
        self._idle.set()

    async def run(self) -> None:
        """Works until `stop`, or cancelled: then what is under way is found interrupted by the next process."""
        async with asyncio.TaskGroup() as group:
            for _ in range(1 + self.calls // _ROWS_AHEAD):
                group.create_task(self._worker())

    async def stop(self, drain_s: float) -> bool:
        """No call begins any more; waits for those under way. False where some were after `drain_s` seconds."""
        self._stopping.set()
        self.asked.set()
        try:
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def sweep(self) -> None:
        """Forgets old units now and then, until cancelled."""
        while True:
            try:
                await self.rows.units.sweep(self.rows.caller.clock.now_us())
            except Unavailable as error:
                log.warning("old units are not swept: %s", error)
            await asyncio.sleep(SWEEP_S)

    async def _worker(self) -> None:
        while not self._stopping.is_set():
            try:
                unit = await self.rows.units.claim() if self.tenants() is not None else None
                if unit is not None:
                    await self._work_on(unit)
                    continue
            except Unavailable as error:
                log.warning("work waits: %s", error)
            await self._rest()

    async def _rest(self) -> None:
        self.asked.clear()
        if not self._stopping.is_set():
            try:
                async with asyncio.timeout(LOOK_S):
                    await self.asked.wait()
            except TimeoutError:
                pass

    async def _work_on(self, unit: Unit) -> None:
        self._busy(1)
        try:
            done = False
            try:
                done = await self._through(unit)
            finally:
                await self.rows.units.leave(unit, done=done)
            if not done:
                await self._rest()
        finally:
            self._busy(-1)

    async def _through(self, unit: Unit) -> bool:
        """Whether every row of it is told. Raises `Unavailable`."""
        clock = self.rows.caller.clock
        hold = Hold(self.rows.units, unit, self.may_call, clock, self._stopping.is_set)
        if not await hold.look():
            return False
        job = await self._job(unit, hold)
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(hold.keep())
                dealing = [group.create_task(self._row(job, row)) for row in unit.samples.rows]
                await asyncio.wait(dealing)
                keeping.cancel()
        except BaseExceptionGroup as ended:
            raise ended.exceptions[0] from None
        return all(task.result() for task in dealing)

    async def _job(self, unit: Unit, hold: Hold) -> Job:
        samples = unit.samples
        tenants = self.tenants()
        project = tenants.projects.get(samples.project_id) if tenants is not None else None
        if project is not None and project.organization_id != samples.organization_id:
            project = None
        found = await logged.read(self.analytics, samples)
        known = await self.rows.units.known(unit)
        if unit.again:
            await self.rows.units.tell_again(each.pair for each in known.values() if each.pair is not None)
        return Job(unit, hold, project, found, known, spend.cap(samples), spend.candidate(samples))

    async def _row(self, job: Job, row: SampledRow) -> bool:
        """An outage is no reason to give up the calls of other rows."""
        async with self._room:
            try:
                return await self.rows.deal(job, row)
            except Unavailable as error:
                log.warning("row %s of experiment %s is left: %s", row.row, job.samples.experiment_id, error)
                return False

    def _busy(self, change: int) -> None:
        self._working += change
        self.rows.meters.set("units_working", self._working)
        if self._working:
            self._idle.clear()
        else:
            self._idle.set()
