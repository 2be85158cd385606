"""Call some rows before a replay, to learn how many tokens the candidate takes: the pilot of an experiment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.called import drawing
from modelux_replay.called.drawing import DRAWN, draw_stream
from modelux_replay.called.observed import pilot_pairs
from modelux_replay.called.population import count_askable, read_population
from modelux_replay.called.sampled import results_of
from modelux_replay.called.sampling import Chunk, simulate, units_of, window_of
from modelux_replay.experiments import Experiment
from modelux_replay.learned.calibration import with_strata
from modelux_replay.plan import PAIRS, Plan
from modelux_replay.pool import stream_of
from modelux_replay.progress import Progress

if TYPE_CHECKING:
    from modelux_replay.runs import Runs

LOOKED_AT = 40
"""For each row of a pilot, so many are looked at: it calls those that say most, and only such as change."""
MOST_LOOKED_AT = 5_000


@dataclass(frozen=True, slots=True, eq=False)
class Piloted:
    """What a pilot brought. `asked`: the rows that it was to call; `stopped`: why it ended early, or empty."""

    pairs: pa.Table
    asked: int
    stopped: str

    def summary(self) -> dict[str, object]:
        """For the experiment's outcome."""
        return {"asked": self.asked, "answered": len(self.pairs), "stopped_early": self.stopped or None}


async def pilot(runs: Runs, one: Experiment, plan: Plan, progress: Progress) -> Piloted:
    """Calls the candidate and answers a table of `plan.PAIRS`. Raises `Stopped`, `Unavailable`, `BusUnavailable`."""
    whole = window_of(one)
    before = await runs.pairs.draw(one.id)
    drawn = await _looked_at(runs, one) if before is None else before
    async with runs.simulating:
        chunks = await simulate(runs, one, whole, drawn, plan)
    if before is None:
        drawn = await runs.pairs.keep_draw(one.id, chosen(drawn, chunks, one.spec.pilot.size, one.seed))
    progress.total = len(drawn)

    def tell(answered: int, spent_nano: int) -> None:
        progress.done, progress.spent_nano = answered, spent_nano

    stopped = await runs.calling.through(one, units_of(drawn, chunks), tell)
    progress.total = progress.done = 0
    pairs = await _learned(runs, one, chunks, drawn, plan.stratum_tag)
    return Piloted(pairs, len(drawn), stopped)


def chosen(drawn: pa.Table, chunks: Sequence[Chunk], size: int, seed: int) -> pa.Table:
    """Of drawn rows those that a pilot calls, all of them `asked`: rows whose candidate has to be called, the costly
    likelier.
    """
    outlooks = pa.concat_tables([chunk.outlook() for chunk in chunks]).unify_dictionaries() if chunks else None
    if outlooks is None:
        return drawn.slice(0, 0)
    outlooks = outlooks.filter(pc.equal(outlooks.column("evidence").cast(pa.string()), "projected"))
    ids = outlooks.column("request_id").to_pylist()
    models = outlooks.column("baseline_model").cast(pa.string()).to_pylist()
    cost = pc.fill_null(outlooks.column("candidate_cost_nano"), 0).to_numpy().astype(np.float64)
    found = drawing.pilot(ids, models, cost, size, seed)
    chance = {ids[row]: share for row, share in zip(found.rows.tolist(), found.chance.tolist(), strict=True)}
    kept = drawn.filter(pc.is_in(drawn.column("request_id"), pa.array(list(chance), pa.string())))
    weights = [
        weight / chance[name]
        for name, weight in zip(kept.column("request_id").to_pylist(), kept.column("weight").to_pylist(), strict=True)
    ]
    columns = {"weight": pa.array(weights, pa.float64()), "asked": pa.array([True] * len(kept), pa.bool_())}
    for name, values in columns.items():
        kept = kept.set_column(DRAWN.get_field_index(name), DRAWN.field(name), values)
    return kept


async def _looked_at(runs: Runs, one: Experiment) -> pa.Table:
    whole = window_of(one)
    askable = await count_askable(runs.analytics, whole)
    stream = await read_population(runs.analytics, whole, askable, "")
    size = min(LOOKED_AT * one.spec.pilot.size, MOST_LOOKED_AT)
    return pa.ipc.open_stream(
        await runs.pool.run(draw_stream, stream, "random", size, one.seed, None, askable)
    ).read_all()


async def _learned(runs: Runs, one: Experiment, chunks: Sequence[Chunk], drawn: pa.Table, stratum_tag: str) -> pa.Table:
    found = []
    for chunk in chunks:
        part = drawn.filter(pc.is_in(drawn.column("request_id"), chunk.log.column("request_id").combine_chunks()))
        if len(part):
            ends = pc.min_max(part.column("row")).as_py()
            scores = await runs.pairs.scores(one.id, ends["min"], ends["max"])
            pairs = await runs.pool.run(pilot_pairs, results_of(chunk), stream_of(part), scores)
            found.append(with_strata(pa.ipc.open_stream(pairs).read_all(), chunk.log, stratum_tag))
    return pa.concat_tables(found) if found else PAIRS.empty_table()
