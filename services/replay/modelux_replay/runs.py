"""Run an experiment from its claim to its end: read the window, simulate it in units, publish, sum up."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, field, replace
from functools import partial

from modelux.config.v1.snapshot_pb2 import Snapshot
from modelux.events.v1.experiment_pb2 import ExperimentResults
from modelux_bus.base import Bus, BusUnavailable, Message
from modelux_contracts import codec
from modelux_contracts.errors import ProblemError
from modelux_contracts.topics import EXPERIMENT_RESULTS
from modelux_replay import configuration, window
from modelux_replay.called.calling import Calling, Pace
from modelux_replay.called.embeddings import Embeddings
from modelux_replay.called.pairs import Pairs
from modelux_replay.called.piloting import pilot
from modelux_replay.called.sampled import with_member, with_responses
from modelux_replay.candidates import documents
from modelux_replay.caps import Caps
from modelux_replay.experiments import Changed, Experiment, Experiments, Status, completed_event
from modelux_replay.learned.history import Asking, read_history, splits_of
from modelux_replay.plan import CALLS, Document, Plan, Prepare
from modelux_replay.pool import Done, Pool, Unit, run_left, run_unit, shared
from modelux_replay.progress import Found, Progress, Stopped
from modelux_replay.sharing import Drawn, lead
from modelux_replay.spec import calls
from modelux_replay.statements import sql
from modelux_replay.summary.summaries import ROUTING_ONLY, Outcome, Told, sum_up
from modelux_replay.units import Units
from modelux_replay.window import Count, Slice, Window
from modelux_store.analytics import Analytics
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LIMIT_S = 30 * 60
_ENDING_S = 120.0
"""What an experiment that calls its candidate always has to write what came."""
_TRIES = 3
"""How often an experiment that calls its candidate is run, where worker processes die under it."""
_LOOK_S = 0.05
ALONE_ROWS = 20_000
"""Two replicas with a worker each took 1.6 s where one took 1.8 for 10,000 rows, 2.8 where 3.4 for 25,000, and
4.6 where 6.7 for 50,000. With nobody else there, sharing made no difference that can be measured.
"""
_LOOK_CALLS_S = 0.2
_SKEW_US = 60_000_000
"""How far the clocks of machines may differ."""
_SHOWN_S = 60.0
"""How long to wait for ingest before an experiment counts as completed all the same."""


@dataclass(frozen=True, slots=True)
class Runs:
    """What a run works with. `most_rows`: of a larger window so many are drawn."""

    experiments: Experiments
    analytics: Analytics
    bus: Bus
    pool: Pool
    prepare: Prepare
    most_rows: int
    now_us: Callable[[], int]
    caps: Caps
    embeddings: Embeddings
    beat_s: float = 3.0
    """How often a run says that it lives, whatever it waits for, and hears whether it may go on."""
    pace: Pace = field(default_factory=Pace)
    simulating: asyncio.Lock = field(default_factory=asyncio.Lock)
    """Workers hold one plan at a time: runs take turns."""
    alone_rows: int = ALONE_ROWS
    """Runs of more rows are shared with other replicas."""

    @property
    def pairs(self) -> Pairs:
        return Pairs(self.experiments.database)

    @property
    def units(self) -> Units:
        return Units(self.experiments.database)

    @property
    def calling(self) -> Calling:
        return Calling(self.experiments, self.pairs, self.bus, self.caps, self.now_us, self.pace)

    async def run(self, identifier: str) -> None:
        """Runs one experiment, unless another process does. While a store or the bus is away it is left for later."""
        one = await self.experiments.claim(identifier, self.now_us())
        if one is None:
            return
        log.info("experiment %s runs", one.id)
        left_s = LIMIT_S - (self.now_us() - one.started_at_us) / 1e6
        try:
            async with asyncio.timeout(max(left_s, _ENDING_S if calls(one.spec) else 0.0)):
                found = await self._living(one)
            status: Status = "cancelled" if found.stopped else "completed"
            await self._end(one, status, reason=found.stopped, rows=found.rows, outcome=found.outcome)
        except Stopped:
            log.info("experiment %s was stopped", one.id)
        except TimeoutError:
            await self._end(one, "failed", reason=f"It took longer than {LIMIT_S // 60} minutes.")
        except (Unavailable, BusUnavailable) as error:
            log.warning("experiment %s waits: %s", one.id, error)
        except ProblemError as error:
            await self._refused(one, error)
        except BrokenProcessPool:
            self.pool.reset()
            log.exception("a worker of experiment %s died", one.id)
            if not calls(one.spec) or one.epoch >= _TRIES:  # else it is taken up again: its calls are paid for
                await self._end(one, "failed", reason="A worker process died; it may have had too little memory.")
        except Exception:
            log.exception("experiment %s failed", one.id)
            await self._end(one, "failed", reason="Something broke here; the log of the replay service tells what.")

    async def _refused(self, one: Experiment, error: ProblemError) -> None:
        """Another service refuses what the run needs; while it is away the run is left for later."""
        problem = error.problem
        log.warning("experiment %s: %s", one.id, problem.detail)
        if problem.status != 503:
            await self._end(one, "failed", reason=f"{problem.detail} {problem.hint}".strip())

    async def _end(
        self, one: Experiment, status: Status, *, reason: str = "", rows: int = 0, outcome: Outcome | None = None
    ) -> None:
        now_us = self.now_us()
        event = completed_event(one, status, reason, now_us)
        event.rows = rows
        if outcome is not None:
            outcome.tell(event)
        summary = outcome.summary_json if outcome else ""
        try:
            await self.experiments.end(one, status, now_us, completed=event, summary=summary)
            log.info("experiment %s is %s", one.id, status)
        except Changed:
            log.info("experiment %s was ended by somebody else", one.id)

    async def _living(self, one: Experiment) -> Found:
        progress = Progress(self.experiments, one, self.now_us)
        run = with_responses if one.spec.mode == "with_responses" else routing_only
        try:
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(progress.beat(self.beat_s))
                found = await run(self, one, progress)
                beating.cancel()
        except BaseExceptionGroup as group:
            # What ended the run; callers expect it bare.
            raise group.exceptions[0] from None
        return found

    async def plan(self, one: Experiment, whole: Window) -> Plan:
        """What the simulation of an experiment knows beside the rows. Raises `Unavailable`."""
        plan = plan_of(one)
        asking = Asking(one.id, one.created_at_us, plan.stratum_tag, splits_of(plan.versions))
        calls, history = await asyncio.gather(
            window.read_calls(self.analytics, whole), read_history(self.analytics, whole, asking)
        )
        return replace(plan, calls=calls, history=history)

    async def publish(self, one: Experiment, number: int, done: Done) -> None:
        """Tells the rows of a unit. Raises `BusUnavailable`."""
        await self.bus.publish(_messages(one, number, done))

    async def sum_up(
        self, one: Experiment, summaries: Sequence[bytes], found: Count, told: Told = ROUTING_ONLY
    ) -> Outcome:
        """The summary of results, given `Done.summary` of every unit."""
        return await self.pool.run(sum_up, summaries, one.seed, found.rows, found.excluded, told)

    async def shown(self, one: Experiment, rows: int, progress: Progress) -> None:
        """Waits until the log shows every row: whoever sees `completed` can read the results. Raises `Stopped`."""
        deadline_us = self.now_us() + round(_SHOWN_S * 1e6)
        query = "SELECT uniqExact(row) AS rows FROM experiment_rows WHERE experiment_id = {id:String}"
        while rows:
            (row,) = await self.analytics.rows(query, {"id": one.id})
            if row["rows"] == rows:
                return
            if self.now_us() > deadline_us:
                log.warning("not all rows of experiment %s are in ClickHouse yet", one.id)
                return
            await progress.add(0)
            await asyncio.sleep(_LOOK_S)

    async def calls_logged(self, one: Experiment, progress: Progress) -> None:
        """Waits until the log has every call that the rows name, which comes by a way of its own: whoever sees
        `completed` can read both answers, and a judge can. Raises `Stopped`.
        """
        values = {"id": one.id, "project_id": one.project_id, "since_us": one.created_at_us - _SKEW_US}
        for _ in range(round(self.pace.logged_s / _LOOK_CALLS_S)):
            (row,) = await self.analytics.rows(sql("window", "calls_missing"), values)
            if not row["missing"]:
                return
            await progress.add(0)
            await asyncio.sleep(_LOOK_CALLS_S)
        log.warning("not all calls of experiment %s are in the log yet", one.id)


async def routing_only(runs: Runs, one: Experiment, progress: Progress) -> Found:
    """Replays every row of the window; a pilot calls some of them first. Raises as `with_responses`."""
    whole = Window(one.organization_id, one.project_id, one.window_start_us, one.window_end_us, one.spec.filter)
    (found, drawn, parts), plan = await asyncio.gather(_cut(runs, whole), runs.plan(one, whole))
    piloted = await pilot(runs, one, plan, progress) if one.spec.HasField("pilot") else None
    if piloted is not None:
        plan = replace(plan, pilot=piloted.pairs)
    total = sum(each.rows for each in parts)
    progress.total = total
    await progress.tell()
    weight = found.rows / total if drawn.share_ppm < 1_000_000 and total else 1.0
    async with runs.simulating:
        if total > runs.alone_rows:
            summaries = await lead(runs, one, plan, Drawn(drawn, parts, weight), progress)
        else:
            with shared(plan) as path:
                work = _Work(runs, one, path, weight, progress, ordered=bool(plan.budgets))
                summaries = await work.through(drawn, parts)
    summing = runs.sum_up(one, summaries, found, Told(pilot=plan.pilot, history=plan.history))
    outcome, _ = await asyncio.gather(summing, runs.shown(one, progress.done, progress))
    return Found(progress.done, with_member(outcome, "pilot", piloted.summary()) if piloted else outcome)


async def _cut(runs: Runs, whole: Window) -> tuple[Count, Window, list[Slice]]:
    """How many rows a window holds, which of them are drawn, and the units of those."""
    found = await window.count_rows(runs.analytics, whole)
    drawn = replace(whole, share_ppm=window.share_for(found.rows, runs.most_rows))
    return found, drawn, await window.read_slices(runs.analytics, drawn)


class _Work:
    """The units of a run, one for each slice of the window: they are published in order. Rows that must be replayed in
    order are left by their units, and follow each other.
    """

    def __init__(
        self, runs: Runs, one: Experiment, plan: str, weight: float, progress: Progress, *, ordered: bool
    ) -> None:
        self._runs = runs
        self._one = one
        self._plan = plan
        self._weight = weight
        self._progress = progress
        self._ordered = ordered
        self._running: deque[tuple[Unit, asyncio.Task[Done]]] = deque()
        self._left: asyncio.Task[bytes] | None = None
        self._units = 0
        self._summaries: dict[int, bytes] = {}

    async def through(self, drawn: Window, parts: Sequence[Slice]) -> list[bytes]:
        """What the summary reads of every unit's results, packed."""
        runs, one, first_row = self._runs, self._one, 0
        constants = {"experiment_id": one.id, "organization_id": one.organization_id, "project_id": one.project_id}
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in parts:
                    rows = partial(window.rows_here, runs.analytics.url, drawn, part)
                    unit = Unit(runs.prepare, self._plan, rows, first_row, self._weight, constants, self._ordered)
                    self._running.append((unit, tasks.create_task(runs.pool.run(run_unit, unit))))
                    first_row += part.rows
                    while len(self._running) > 2 * runs.pool.workers:
                        await self._finish(tasks)
                while self._running:
                    await self._finish(tasks)
        except BaseExceptionGroup as group:
            # What ended the work; callers expect it bare.
            raise group.exceptions[0] from None
        return [self._summaries[number] for number in sorted(self._summaries)]

    async def _finish(self, tasks: asyncio.TaskGroup) -> None:
        unit, task = self._running.popleft()
        number, self._units = self._units, self._units + 2
        done = await task
        await self._publish(number, done)
        if done.left:
            # One at a time, so that no more than two units' rows wait here.
            state = await self._left if self._left is not None else b""
            self._left = tasks.create_task(self._follow(number + 1, unit, done.left, state))

    async def _follow(self, number: int, unit: Unit, left: bytes, state: bytes) -> bytes:
        done, state = await self._runs.pool.run(run_left, unit, left, state)
        await self._publish(number, done)
        return state

    async def _publish(self, number: int, done: Done) -> None:
        self._summaries[number] = done.summary
        await self._runs.publish(self._one, number, done)
        await self._progress.add(done.rows)


def plan_of(one: Experiment) -> Plan:
    """What the simulation of an experiment knows beside the rows, as far as it was stored when it was created: without
    calls.
    """
    snapshot = Snapshot.FromString(one.configuration)
    slug, _, version = one.candidate_reference.removeprefix("@").rpartition(":")
    return Plan(
        project_id=one.project_id,
        seed=one.seed,
        candidate=Document(slug, int(version or 0), one.policy.encode()),
        versions=documents(snapshot),
        active=configuration.active_versions(snapshot),
        credentials=configuration.credentials(snapshot),
        prices=configuration.prices(snapshot),
        budgets=tuple(budget.SerializeToString(deterministic=True) for budget in snapshot.budgets),
        calls=CALLS.empty_table(),
        run_tag=one.spec.run_tag,
    )


def _messages(one: Experiment, number: int, done: Done) -> list[Message]:
    topic, found = EXPERIMENT_RESULTS.name, []
    for part, (rows, stream) in enumerate(done.streams):
        event = ExperimentResults(
            experiment_id=one.id,
            organization_id=one.organization_id,
            project_id=one.project_id,
            unit=number,
            part=part,
            rows=rows,
            arrow=stream,
        )
        identity = f"{one.id}.{number}.{part}"
        found.append(Message(topic, one.id.encode(), codec.encode(event), identity, codec.headers(topic)))
    return found
