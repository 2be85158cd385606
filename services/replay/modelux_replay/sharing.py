"""Share the run of a large window with other replicas: each does the units that it claims, one of them sums up."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

from modelux.events.v1.experiment_pb2 import ExperimentCommand
from modelux_bus.base import BusUnavailable, Message
from modelux_contracts import codec
from modelux_contracts.ids import new_id
from modelux_contracts.topics import EXPERIMENT_COMMANDS
from modelux_replay import window
from modelux_replay.called.sampling import constants_of, window_of
from modelux_replay.experiments import Experiment
from modelux_replay.plan import Plan
from modelux_replay.pool import Unit, packed, run_left, run_shared, shared, written
from modelux_replay.progress import Progress, Stopped
from modelux_replay.units import Claimed, Shared
from modelux_replay.window import Slice, Window
from modelux_store.errors import Unavailable

if TYPE_CHECKING:
    from modelux_replay.runs import Runs

log = logging.getLogger(__name__)

_LOOK_S = 0.05
"""How often a run looks what others have done."""


@dataclass(frozen=True, slots=True)
class Drawn:
    """What is replayed of a window, in units. `weight`: of how many requests each row stands for."""

    window: Window
    parts: Sequence[Slice]
    weight: float


class Part:
    """What one process does of a shared run. `plan`: the file that its workers read."""

    def __init__(self, runs: Runs, one: Experiment, run: Shared, plan: str) -> None:
        self._runs = runs
        self.one = one
        self.run = run
        self._plan = plan
        self._owner = new_id("own_")

    async def work(self, enough: Callable[[], bool]) -> None:
        """Does units until there are none to claim, or `enough`. Raises `Unavailable`, `BusUnavailable`, and what a
        simulation raises.
        """
        async with asyncio.TaskGroup() as tasks:
            for _ in range(self._runs.pool.workers + 1):  # one that waits for a worker
                tasks.create_task(self._one_by_one(enough))

    async def beat(self) -> None:
        """Says that this process lives, until cancelled. Raises `Stopped` as soon as the run is over."""
        while True:
            await asyncio.sleep(self._runs.beat_s)
            if not await self._runs.units.alive(self.run, self._owner, self._runs.now_us()):
                raise Stopped

    def unit(self, claimed: Claimed) -> Unit:
        """A unit as workers take it."""
        run, runs = self.run, self._runs
        drawn = replace(window_of(self.one), share_ppm=run.share_ppm)
        rows = partial(window.rows_here, runs.analytics.url, drawn, claimed.part)
        constants = constants_of(self.one)
        return Unit(runs.prepare, self._plan, rows, claimed.first_row, run.weight, constants, run.ordered)

    async def _one_by_one(self, enough: Callable[[], bool]) -> None:
        runs, run, owner = self._runs, self.run, self._owner
        while not enough() and (claimed := await runs.units.claim(run, owner, runs.now_us())) is not None:
            done = await runs.pool.run(run_shared, self.unit(claimed))
            await runs.publish(self.one, 2 * claimed.unit, done)
            if not await runs.units.finish(run, owner, claimed.unit, done):
                log.info("unit %d of experiment %s is somebody else's now", claimed.unit, self.one.id)


async def lead(runs: Runs, one: Experiment, plan: Plan, drawn: Drawn, progress: Progress) -> list[bytes]:
    """Shares a run and takes part in it: what the summary reads of every unit's results, packed and in order. Raises
    `Stopped`, and as `Part.work`.
    """
    run = Shared(one.id, one.epoch, drawn.window.share_ppm, drawn.weight, bool(plan.budgets))
    if not await runs.units.put(run, drawn.parts):
        raise Stopped
    with shared(plan) as path:
        part = Part(runs, one, run, path)
        try:
            async with asyncio.TaskGroup() as tasks:
                beside = (part.beat(), _until_cancelled(part), _invite(runs, one, run, plan))
                mine = [tasks.create_task(each) for each in beside]
                summaries = await _gather(runs, part, len(drawn.parts), progress)
                for task in mine:
                    task.cancel()
        except BaseExceptionGroup as group:
            raise _bare(group) from None
    return summaries


async def help_out(runs: Runs, enough: Callable[[], bool]) -> None:
    """Takes part in the run of somebody else, where one has units to claim, until it has none or `enough`."""
    identifier = await runs.units.waiting(runs.now_us())
    one = await runs.experiments.find(identifier) if identifier else None
    if one is None:
        return
    try:
        async with runs.simulating:
            await _take_part(runs, one, enough)
    except Stopped:
        log.info("experiment %s needs no more help", one.id)
    except (Unavailable, BusUnavailable) as error:
        log.warning("units of experiment %s wait: %s", one.id, error)
    except BrokenProcessPool:
        runs.pool.reset()
        log.exception("a worker of experiment %s died", one.id)
    except Exception:  # whoever runs it meets the same, and tells
        log.exception("units of experiment %s failed", one.id)


async def _take_part(runs: Runs, one: Experiment, enough: Callable[[], bool]) -> None:
    found = await runs.units.shared(one)
    if found is None:
        return
    run, plan = found
    log.info("takes part in experiment %s", one.id)
    with written(plan) as path:
        part = Part(runs, one, run, path)
        try:
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(part.beat())
                await part.work(enough)
                beating.cancel()
        except BaseExceptionGroup as group:
            raise _bare(group) from None


async def _invite(runs: Runs, one: Experiment, run: Shared, plan: Plan) -> None:
    """The run itself does not wait for the plan to be kept, and goes on alone where that fails."""
    try:
        await runs.units.invite(run, await asyncio.to_thread(packed, plan))
        await runs.bus.publish(wake_up(one))
    except (Unavailable, BusUnavailable) as error:
        log.warning("nobody is asked to take part in experiment %s: %s", one.id, error)


async def _until_cancelled(part: Part) -> None:
    """Also takes over what others claimed before they fell silent."""
    while True:
        await part.work(lambda: False)
        await asyncio.sleep(_LOOK_S)


async def _gather(runs: Runs, part: Part, units: int, progress: Progress) -> list[bytes]:
    """What the summary reads of all units, in order; what they left is replayed here, each after the one before."""
    summaries, state = [], b""
    for number in range(units):
        while (found := await runs.units.finished(part.run, number)) is None:
            await asyncio.sleep(_LOOK_S)
        summaries.append(found.summary)
        await progress.add(found.rows)
        if found.left:
            done, state = await runs.pool.run(run_left, part.unit(found.claimed), found.left, state)
            summaries.append(done.summary)
            await runs.publish(part.one, 2 * number + 1, done)
            await progress.add(done.rows)
    return summaries


def _bare(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """What ended the work; callers expect it alone."""
    first = group.exceptions[0]
    return _bare(first) if isinstance(first, BaseExceptionGroup) else first


def wake_up(one: Experiment) -> list[Message]:
    """As many as there are partitions, so that they come to more than one replica; the others look now and then."""
    topic, command = EXPERIMENT_COMMANDS, codec.encode(ExperimentCommand(experiment_id=one.id, kind="unit"))
    name, headers = topic.name, codec.headers(topic.name)
    return [
        Message(name, f"{one.id}.{number}".encode(), command, f"{one.id}.{one.epoch}.unit.{number}", headers)
        for number in range(topic.partitions)
    ]
