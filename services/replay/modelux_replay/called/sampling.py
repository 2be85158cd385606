"""Draw the rows that an experiment calls, see by simulation which of them change, and make units of those."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core import selection
from experiment_core.arrays import Ints
from modelux.events.v1.experiment_pb2 import SampledRow
from modelux_replay.called.calling import UNIT_ROWS
from modelux_replay.called.drawing import DRAWN, again, draw_stream
from modelux_replay.called.embeddings import MOST_CLUSTERED
from modelux_replay.called.population import population_of, read_drawn, read_population, read_prompts
from modelux_replay.experiments import Experiment
from modelux_replay.plan import Plan
from modelux_replay.pool import Done, Unit, run_unit, shared, stream_of
from modelux_replay.window import Window

if TYPE_CHECKING:
    from modelux_replay.runs import Runs

_CHUNK_ROWS = 2_000
_LOGGED = ("request_id", "model", "provider", "credential_id", "outcome", "needs", "tags")
"""What of the log it takes to have a logged model asked again, and to tell kinds of requests apart."""


@dataclass(frozen=True, slots=True, eq=False)
class Chunk:
    """Some drawn rows, simulated. `log` has the columns `_LOGGED` of the same rows in the same order."""

    log: pa.Table = field(repr=False)
    done: Done = field(repr=False)

    def outlook(self) -> pa.Table:
        """What the simulation says of the rows, with the columns that summaries read and `request_id`."""
        found = pa.ipc.open_stream(self.done.summary).read_all()
        return found.append_column("request_id", self.log.column("request_id"))


def window_of(one: Experiment) -> Window:
    return Window(one.organization_id, one.project_id, one.window_start_us, one.window_end_us, one.spec.filter)


def constants_of(one: Experiment) -> Mapping[str, str]:
    """The columns that every result row gets."""
    return {"experiment_id": one.id, "organization_id": one.organization_id, "project_id": one.project_id}


def read_stream(stream: bytes) -> pa.Table:
    """The rows of a unit that come with it."""
    return pa.ipc.open_stream(stream).read_all()


async def draw_rows(runs: Runs, one: Experiment, whole: Window, askable: int) -> pa.Table:
    """The sample of an experiment out of what can be asked again: a table of `DRAWN`. Raises `Unavailable`,
    `ProblemError`.
    """
    sample = one.spec.sample
    stream = await read_population(runs.analytics, whole, askable, sample.tag)
    topics = await _topics(runs, one, whole, stream) if sample.method == "semantic" else None
    drawn = await runs.pool.run(draw_stream, stream, sample.method, sample.size, one.seed, topics, askable)
    return pa.ipc.open_stream(drawn).read_all()


async def simulate(runs: Runs, one: Experiment, whole: Window, drawn: pa.Table, plan: Plan) -> list[Chunk]:
    """What the candidate would do with each drawn row, as far as the log still has it. Raises `Unavailable`.

    Runs take turns with this, by `simulating`.
    """
    chunks: list[Chunk] = []
    running: deque[tuple[pa.Table, asyncio.Task[Done]]] = deque()

    async def finish() -> None:
        log, task = running.popleft()
        chunks.append(Chunk(log, await task))

    try:
        async with asyncio.TaskGroup() as tasks:
            with shared(plan) as path:
                async for rows in _in_chunks(read_drawn(runs.analytics, whole, drawn)):
                    unit = Unit(runs.prepare, path, partial(read_stream, stream_of(rows)), 0, 1.0, constants_of(one))
                    running.append((rows.select(_LOGGED), tasks.create_task(runs.pool.run(run_unit, unit))))
                    while len(running) > 2 * runs.pool.workers:
                        await finish()
                while running:
                    await finish()
    except BaseExceptionGroup as group:
        # What ended the work; callers expect it bare.
        raise group.exceptions[0] from None
    return chunks


def marked(drawn: pa.Table, chunks: Iterable[Chunk], one: Experiment) -> pa.Table:
    """The drawn rows, with those marked that are to be called: rows that the candidate would serve otherwise than they
    were, or with `call_unchanged` all that a model was asked. Where nobody knows a price nothing is called.
    """
    sample = one.spec.sample
    asked: dict[str, bool] = {}
    again_of = []
    for chunk in chunks:
        outlook, log = chunk.outlook(), chunk.log
        evidence = outlook.column("evidence").to_pylist()
        for name, kind, model, outcome in zip(
            *(evidence if each == "evidence" else log.column(each).to_pylist() for each in _MARKS), strict=True
        ):
            asked[name] = kind == "projected" or (kind == "reused" and sample.call_unchanged and bool(model))
            if asked[name] and outcome == "ok" and model:
                again_of.append(name)
    repeated = {again_of[place] for place in again(again_of, sample.aa_share, one.seed)}
    ids = drawn.column("request_id").to_pylist()
    flags = {"asked": [asked.get(name, False) for name in ids], "repeated": [name in repeated for name in ids]}
    for name, values in flags.items():
        drawn = drawn.set_column(DRAWN.get_field_index(name), DRAWN.field(name), pa.array(values, pa.bool_()))
    return drawn


_MARKS = ("request_id", "evidence", "model", "outcome")


def units_of(drawn: pa.Table, chunks: Iterable[Chunk]) -> list[list[SampledRow]]:
    """The rows to call, 20 in a unit, in the order of their keys: what is called first is a random part of all."""
    told = {row["request_id"]: row for chunk in chunks for row in chunk.log.to_pylist()}
    asked = drawn.filter(drawn.column("asked")).sort_by("key")
    asked = asked.append_column("started_us", pc.cast(asked.column("started_at"), pa.int64())).to_pylist()
    ready = [each for each in asked if each["request_id"] in told]
    units = []
    for start in range(0, len(ready), UNIT_ROWS):
        unit = []
        for each in ready[start : start + UNIT_ROWS]:
            unit.append(_sampled(each, "candidate"))
            if each["repeated"]:
                logged = told[each["request_id"]]
                repeat = _sampled(each, "baseline")
                repeat.model, repeat.provider = logged["model"], logged["provider"]
                repeat.credential_id = logged["credential_id"]
                unit.append(repeat)
        units.append(unit)
    return units


def _sampled(row: Mapping[str, Any], side: str) -> SampledRow:
    return SampledRow(row=row["row"], request_id=row["request_id"], started_at_us=row["started_us"], side=side)


async def _in_chunks(tables: AsyncIterator[pa.Table]) -> AsyncIterator[pa.Table]:
    """Small tables put together to some of about `_CHUNK_ROWS` rows."""
    held: list[pa.Table] = []
    async for table in tables:
        held.append(table)
        if sum(map(len, held)) >= _CHUNK_ROWS:
            yield pa.concat_tables(held)
            held = []
    if any(map(len, held)):
        yield pa.concat_tables(held)


async def _topics(runs: Runs, one: Experiment, whole: Window, stream: bytes) -> Ints:
    """The topic of each row's prompt. Of a large population the first rows in the order of the sample are grouped, the
    others have -1. Rows without text are a topic of their own.
    """
    population = population_of(stream)
    ids = population.column("request_id").to_pylist()
    grouped = np.sort(selection.random(selection.keys(ids, str(one.seed)), MOST_CLUSTERED).rows)
    prompts = await read_prompts(runs.analytics, whole, population.take(pa.array(grouped)))
    places = [place for place in grouped.tolist() if ids[place] in prompts]
    topics = np.full(len(ids), -1, np.int64)
    topics[grouped] = 0
    if places:
        found = await runs.embeddings.topics([prompts[ids[place]] for place in places], one.spec.sample.size, one.seed)
        topics[places] = np.array(found, np.int64) + 1
    return topics
