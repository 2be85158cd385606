"""Run an experiment from its claim to its end: read the window, simulate it in units, publish, sum up."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import partial

import pyarrow as pa

from modelux.config.v1.snapshot_pb2 import Snapshot
from modelux.events.v1.experiment_pb2 import ExperimentResults
from modelux_bus.base import Bus, BusUnavailable, Message
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_RESULTS
from modelux_replay import configuration, window
from modelux_replay.candidates import documents
from modelux_replay.experiments import Changed, Experiment, Experiments, Status, completed_event
from modelux_replay.plan import Document, Plan, Prepare
from modelux_replay.pool import Done, Pool, Unit, run_unit, shared, stream_of
from modelux_replay.summaries import Outcome, sum_up
from modelux_replay.window import Count, Slice, Window
from modelux_store.analytics import Analytics
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LIMIT_S = 30 * 60
_BEAT_S = 1.0
_LOOK_S = 0.05
_SHOWN_S = 60.0
"""How long to wait for ingest before an experiment counts as completed all the same."""


class Stopped(Exception):
    """The run was cancelled, or another process has taken it over."""


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
    beat_s: float = 3.0
    """How often a run says that it lives, whatever it waits for, and hears whether it may go on."""

    async def run(self, identifier: str) -> None:
        """Runs one experiment, unless another process does. While a store or the bus is away it is left for later."""
        one = await self.experiments.claim(identifier, self.now_us())
        if one is None:
            return
        log.info("experiment %s runs", one.id)
        left_s = LIMIT_S - (self.now_us() - one.started_at_us) / 1e6
        try:
            async with asyncio.timeout(max(left_s, 0.0)):
                rows, outcome = await self._living(one)
            await self._end(one, "completed", rows=rows, outcome=outcome)
        except Stopped:
            log.info("experiment %s was stopped", one.id)
        except TimeoutError:
            await self._end(one, "failed", reason=f"It took longer than {LIMIT_S // 60} minutes.")
        except (Unavailable, BusUnavailable) as error:
            log.warning("experiment %s waits: %s", one.id, error)
        except BrokenProcessPool:
            self.pool.reset()
            log.exception("a worker of experiment %s died", one.id)
            await self._end(one, "failed", reason="A worker process died; it may have had too little memory.")
        except Exception:
            log.exception("experiment %s failed", one.id)
            await self._end(one, "failed", reason="Something broke here; the log of the replay service tells what.")

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

    async def _living(self, one: Experiment) -> tuple[int, Outcome]:
        progress = _Progress(self, one)
        try:
            async with asyncio.TaskGroup() as tasks:
                beating = tasks.create_task(progress.beat(self.beat_s))
                found = await self._replay(one, progress)
                beating.cancel()
        except BaseExceptionGroup as group:
            # What ended the run; callers expect it bare.
            raise group.exceptions[0] from None
        return found

    async def _replay(self, one: Experiment, progress: _Progress) -> tuple[int, Outcome]:
        whole = Window(one.organization_id, one.project_id, one.window_start_us, one.window_end_us, one.spec.filter)
        found = await window.count_rows(self.analytics, whole)
        drawn = Window(
            whole.organization_id,
            whole.project_id,
            whole.start_us,
            whole.end_us,
            whole.filter,
            window.share_for(found.rows, self.most_rows),
        )
        parts = await window.read_slices(self.analytics, drawn)
        total = sum(each.rows for each in parts)
        progress.total = total
        await progress.tell()
        plan = plan_of(one, await window.read_calls(self.analytics, whole))
        weight = found.rows / total if drawn.share_ppm < 1_000_000 and total else 1.0
        with shared(plan) as path:
            columns = await _Work(self, one, path, weight, progress).through(drawn, parts)
        outcome = await self._sum_up(one, columns, found)
        await self._shown(one, progress)
        return progress.done, outcome

    async def _sum_up(self, one: Experiment, columns: Sequence[pa.Table], found: Count) -> Outcome:
        table = stream_of(pa.concat_tables(columns).unify_dictionaries()) if columns else b""
        return await self.pool.run(sum_up, table, one.seed, found.rows, found.excluded)

    async def _shown(self, one: Experiment, progress: _Progress) -> None:
        """Waits until the log shows every row: whoever sees `completed` can read the results."""
        deadline_us = self.now_us() + round(_SHOWN_S * 1e6)
        query = "SELECT uniqExact(row) AS rows FROM experiment_rows WHERE experiment_id = {id:String}"
        while progress.done:
            (row,) = await self.analytics.rows(query, {"id": one.id})
            if row["rows"] == progress.done:
                return
            if self.now_us() > deadline_us:
                log.warning("not all rows of experiment %s are in ClickHouse yet", one.id)
                return
            await progress.add(0)
            await asyncio.sleep(_LOOK_S)


class _Work:
    """The units of a run, one for each slice of the window: they are published in order."""

    def __init__(self, runs: Runs, one: Experiment, plan: str, weight: float, progress: _Progress) -> None:
        self._runs = runs
        self._one = one
        self._plan = plan
        self._weight = weight
        self._progress = progress
        self._running: deque[asyncio.Task[Done]] = deque()
        self._units = 0
        self._columns: list[pa.Table] = []

    async def through(self, drawn: Window, parts: Sequence[Slice]) -> list[pa.Table]:
        """The columns of every unit's results that the summary reads."""
        runs, one, first_row = self._runs, self._one, 0
        constants = {"experiment_id": one.id, "organization_id": one.organization_id, "project_id": one.project_id}
        try:
            async with asyncio.TaskGroup() as tasks:
                for part in parts:
                    rows = partial(window.rows_here, runs.analytics.url, drawn, part)
                    unit = Unit(runs.prepare, self._plan, rows, first_row, self._weight, constants)
                    self._running.append(tasks.create_task(runs.pool.run(run_unit, unit)))
                    first_row += part.rows
                    while len(self._running) > 2 * runs.pool.workers:
                        await self._finish()
                while self._running:
                    await self._finish()
        except BaseExceptionGroup as group:
            # What ended the work; callers expect it bare.
            raise group.exceptions[0] from None
        return self._columns

    async def _finish(self) -> None:
        done = await self._running.popleft()
        await self._runs.bus.publish(_messages(self._one, self._units, done))
        self._units += 1
        self._columns.append(pa.ipc.open_stream(done.summary).read_all())
        await self._progress.add(done.rows)


class _Progress:
    """Tells the database now and then how far a run is, which also says whether it may go on."""

    def __init__(self, runs: Runs, one: Experiment) -> None:
        self.total = self.done = 0
        self._runs = runs
        self._one = one
        self._told_us = 0

    async def add(self, rows: int) -> None:
        """Raises `Stopped`."""
        self.done += rows
        if self._runs.now_us() - self._told_us > _BEAT_S * 1e6 or (rows and self.done >= self.total):
            await self.tell()

    async def tell(self) -> None:
        """Raises `Stopped`."""
        self._told_us = self._runs.now_us()
        may_go_on = await self._runs.experiments.progress(
            self._one, rows_total=max(self.total, self.done), rows_done=self.done, now_us=self._told_us
        )
        if not may_go_on:
            raise Stopped

    async def beat(self, every_s: float) -> None:
        """Tells for as long as the run lasts. Raises `Stopped`."""
        while True:
            await asyncio.sleep(every_s)
            await self.tell()


def plan_of(one: Experiment, calls: pa.Table) -> Plan:
    """What the simulation of an experiment knows beside the rows, from what was stored when it was created."""
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
        calls=calls,
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
