"""Run an experiment with responses: draw rows, have those called that change, and write what came of all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.called.observed import Gathering, gather
from modelux_replay.called.population import count_askable
from modelux_replay.called.sampling import Chunk, constants_of, draw_rows, marked, simulate, units_of, window_of
from modelux_replay.experiments import Experiment
from modelux_replay.learned.checked import projection_check
from modelux_replay.plan import Plan
from modelux_replay.pool import SUMMARY_COLUMNS, Done, stream_of
from modelux_replay.progress import Found, Progress
from modelux_replay.summary.criteria import thresholds
from modelux_replay.summary.summaries import Outcome, Told
from modelux_replay.window import Count, count_rows

if TYPE_CHECKING:
    from modelux_replay.runs import Runs


async def with_responses(runs: Runs, one: Experiment, progress: Progress) -> Found:
    """From the draw to the summary. After a crash all but the draw and the calls is done again, and ends alike.

    Raises `Stopped`, `Unavailable`, `BusUnavailable`, `ProblemError`.
    """
    whole = window_of(one)
    found = await count_rows(runs.analytics, whole)
    askable = await count_askable(runs.analytics, whole)
    before = await runs.pairs.draw(one.id)
    drawn = await draw_rows(runs, one, whole, askable) if before is None else before
    progress.total = len(drawn)
    await progress.tell()
    plan = await runs.plan(one, whole)
    async with runs.simulating:
        chunks = await simulate(runs, one, whole, drawn, plan)
    if before is None:
        drawn = await runs.pairs.keep_draw(one.id, marked(drawn, chunks, one))
    unchanged = len(drawn) - sum(drawn.column("asked").to_pylist())

    def tell(answered: int, spent_nano: int) -> None:
        progress.done, progress.spent_nano = unchanged + answered, spent_nano

    reason = await runs.calling.through(one, units_of(drawn, chunks), tell)
    await progress.tell()
    stopped = f"{reason} after {progress.done:,} of {len(drawn):,} rows." if reason else ""
    return await _written(runs, one, chunks, drawn, _Window(found, askable, stopped, plan), progress)


@dataclass(frozen=True, slots=True)
class _Window:
    """What is known of the window and of the end. `stopped`: why it came early, in a sentence."""

    found: Count
    askable: int
    stopped: str
    plan: Plan


async def _written(
    runs: Runs, one: Experiment, chunks: Sequence[Chunk], drawn: pa.Table, known: _Window, progress: Progress
) -> Found:
    """Publishes the rows with what came of them, and sums up."""
    summaries, rows = [], 0
    for number, chunk in enumerate(chunks):
        done = await _gathered(runs, one, chunk, drawn)
        await runs.publish(one, number, done)
        summaries.append(done.summary)
        rows += done.rows
    embedder = " and ".join(await runs.pairs.embedders(one.id))
    levels = thresholds(one.spec.criteria_json)
    told = Told(with_responses=True, stopped=known.stopped, embedder=embedder, levels=levels)
    outcome = await runs.sum_up(one, summaries, known.found, told)
    await runs.shown(one, rows, progress)
    await runs.calls_logged(one, progress)
    sampling = {
        "method": one.spec.sample.method,
        "size": one.spec.sample.size,
        "drawn": len(drawn),
        "askable": known.askable,
        "not_askable": known.found.rows - known.askable,
    }
    outcome = with_member(outcome, "sampling", sampling)
    check = await _checked(runs, one, chunks, summaries, known.plan)
    return Found(rows, with_member(outcome, "projection_check", check) if check else outcome, known.stopped)


async def _checked(
    runs: Runs, one: Experiment, chunks: Sequence[Chunk], summaries: Sequence[bytes], plan: Plan
) -> Mapping[str, object] | None:
    """How near the simulation of the rows came to their calls."""
    if not chunks:
        return None
    said = [stream_of(chunk.outlook().select(SUMMARY_COLUMNS)) for chunk in chunks]
    return await runs.pool.run(projection_check, said, summaries, plan.history, one.seed)


def with_member(outcome: Outcome, name: str, value: Mapping[str, object]) -> Outcome:
    """The outcome with one member more in its document."""
    document = json.loads(outcome.summary_json) | {name: value}
    return replace(outcome, summary_json=json.dumps(document, separators=(",", ":"), allow_nan=False))


async def _gathered(runs: Runs, one: Experiment, chunk: Chunk, drawn: pa.Table) -> Done:
    part = drawn.filter(pc.is_in(drawn.column("request_id"), chunk.log.column("request_id").combine_chunks()))
    ends = pc.min_max(part.column("row")).as_py()
    scores = await runs.pairs.scores(one.id, ends["min"], ends["max"])
    return await runs.pool.run(gather, Gathering(results_of(chunk), stream_of(part), scores, constants_of(one)))


def results_of(chunk: Chunk) -> bytes:
    """Arrow stream of all that was simulated of a chunk."""
    parts = [pa.ipc.open_stream(each).read_all() for _, each in chunk.done.streams]
    return stream_of(pa.concat_tables(parts).unify_dictionaries())
