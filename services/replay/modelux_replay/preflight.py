"""Estimate what an experiment replays, calls and costs, before anybody pays for it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.arrays import Floats
from experiment_core.power import detectable_change, detectable_rate_change, rows_for_change
from modelux.embedding.v1 import embedding_pb2 as embedding
from modelux.replay.v1 import replay_pb2 as pb
from modelux_providers.catalog import Catalog
from modelux_replay.called.drawing import draw_stream
from modelux_replay.called.embeddings import MOST_CLUSTERED, embedder_of
from modelux_replay.called.population import count_askable, read_population
from modelux_replay.called.sampling import simulate, window_of
from modelux_replay.experiments import Experiment
from modelux_replay.runs import Runs
from modelux_replay.window import Count, Window, count_rows

MOST_SIMULATED = 2_000
"""Of a larger sample so many are looked at."""
FEWEST_ERRORS = 0.01
"""The error rate that the detectable difference is told for where the log has fewer: a rate of 0 would promise all."""
AUTO_CANCEL_RATIO = 1.5
SUGGESTED_FLOOR_NANO = 50_000_000
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of the calls of an experiment. `calls`: of them those of the candidate; nano-USD."""

    calls: int = 0
    cost_nano: int = 0
    embedding_nano: int = 0
    rate_points: float = 0.0
    """The smallest differences that so many rows are likely to show; 0: unknown."""
    cost_percent: float = 0.0
    notes: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """Columns of the rows that were looked at."""

    called: Floats
    """1 where the candidate has to be called."""
    weight: Floats
    cost_nano: Floats
    """Of the candidate."""
    before_nano: Floats
    failed: Floats
    tokens: Floats
    """Of both answers together."""

    def mean(self, values: Floats) -> float:
        return float(self.weight @ values) / float(self.weight.sum())


async def estimate(runs: Runs, catalog: Catalog, one: Experiment, most_cap_nano: int) -> pb.PreflightResponse:
    """What a run of it would come to. `one` is not stored. Raises `Unavailable`."""
    whole = window_of(one)
    found = await count_rows(runs.analytics, whole)
    if one.spec.mode == "routing_only":
        rows = min(found.rows, runs.most_rows)
        told = await _pilot(runs, one, whole) if one.spec.HasField("pilot") else Estimate(notes=(_NOTHING_CALLED,))
        if found.rows > rows:
            note = f"The window holds {found.rows:,} requests; about {rows:,} of them, drawn evenly, are replayed."
            told = replace(told, notes=(*told.notes, note))
    else:
        askable = await count_askable(runs.analytics, whole)
        rows = min(one.spec.sample.size, askable)
        told = await _sample(runs, catalog, one, whole, rows, askable)
        if found.rows > askable:
            note = (
                f"{found.rows - askable:,} requests of the window cannot be asked again: they are no chats, or their "
            )
            told = replace(told, notes=(*told.notes, f"{note}bodies were not kept."))
    suggested = min(max(2 * told.cost_nano, SUGGESTED_FLOOR_NANO), most_cap_nano)
    cap = one.spec.spend_cap_nano if one.spec.HasField("spend_cap_nano") else suggested
    return pb.PreflightResponse(
        rows_in_window=found.rows,
        effective_sample_size=rows,
        estimated_cost_nano=told.cost_nano,
        per_call_nano=math.ceil(told.cost_nano / told.calls) if told.calls else 0,
        embedding_cost_nano=told.embedding_nano,
        spend_cap_nano=most_cap_nano,
        suggested_spend_cap_nano=suggested,
        requires_confirmation=told.cost_nano * AUTO_CANCEL_RATIO > cap,
        auto_cancel_ratio=AUTO_CANCEL_RATIO,
        notes=[*told.notes, *_of_window(found)],
        calls=told.calls,
        detectable_rate_points=told.rate_points,
        detectable_cost_percent=told.cost_percent,
    )


async def _sample(runs: Runs, catalog: Catalog, one: Experiment, whole: Window, rows: int, askable: int) -> Estimate:
    embedder = await embedder_of(runs.embeddings)
    looked = await _look(runs, one, whole, one.spec.sample.method, rows, askable) if rows else None
    if looked is None:
        return Estimate(notes=("No request of the window can be called.",))
    share = looked.mean(looked.called)
    calls = min(round(share * rows), rows)
    again = one.spec.sample.aa_share
    cost = rows * looked.mean(looked.called * (looked.cost_nano + again * looked.before_nano))
    scored = rows * looked.mean(looked.called * looked.tokens) * (1 + again)
    clustered = min(askable, MOST_CLUSTERED) if one.spec.sample.method == "semantic" else 0
    price, note = _scorer(catalog, embedder, runs.now_us() // 1000)
    embedded = (scored + clustered * _PROMPT_TOKENS) * price / _MILLION
    notes = [note]
    if share < 1:
        kept = f"about {rows - calls:,} of {rows:,} rows keep the logged choice and are not called"
        notes.append(f"{kept[0].upper()}{kept[1:]}: their difference is 0. Pass sample.callUnchanged to call them too.")
    rate, percent, too_small = _detectable(looked, rows)
    return Estimate(calls, math.ceil(cost), math.ceil(embedded), rate, percent, (*notes, *too_small))


async def _pilot(runs: Runs, one: Experiment, whole: Window) -> Estimate:
    askable = await count_askable(runs.analytics, whole)
    looked = await _look(runs, one, whole, "random", MOST_SIMULATED, askable) if askable else None
    if looked is None or not looked.called.any():
        return Estimate(notes=("The candidate serves every request as it was: the pilot has nothing to call.",))
    calls = min(one.spec.pilot.size, round(looked.mean(looked.called) * askable))
    mean = looked.mean(looked.called * looked.cost_nano) / looked.mean(looked.called)
    note = f"The pilot calls {calls:,} requests, the costly likelier; all others are replayed without a call."
    # A pilot prefers costly rows: their mean cost is up to that of a draw in proportion to cost.
    square = looked.mean(looked.called * looked.cost_nano**2) / looked.mean(looked.called)
    return Estimate(calls, math.ceil(calls * square / mean) if mean else 0, notes=(note,))


async def _look(runs: Runs, one: Experiment, whole: Window, method: str, size: int, askable: int) -> _Looked | None:
    """Simulates a part of the sample; None where the log has none of it any more."""
    stream = await read_population(runs.analytics, whole, askable, one.spec.sample.tag, 2 * MOST_SIMULATED)
    # Topics are found out by the run alone: a plain draw estimates the same.
    method = "random" if method == "semantic" else method
    size = min(size, MOST_SIMULATED)
    drawn = pa.ipc.open_stream(
        await runs.pool.run(draw_stream, stream, method, size, one.seed, None, askable)
    ).read_all()
    chunks = await simulate(runs, one, whole, drawn, await runs.plan(one, whole))
    if not chunks:
        return None
    table = pa.concat_tables([chunk.outlook() for chunk in chunks]).unify_dictionaries()
    weights = dict(zip(drawn.column("request_id").to_pylist(), drawn.column("weight").to_pylist(), strict=True))
    evidence = table.column("evidence").cast(pa.string()).to_pylist()
    models = table.column("baseline_model").cast(pa.string()).to_pylist()
    every = one.spec.sample.call_unchanged
    called = [
        kind == "projected" or (every and kind == "reused" and bool(model))
        for kind, model in zip(evidence, models, strict=True)
    ]
    return _Looked(
        np.array(called, np.float64),
        np.array([weights[name] for name in table.column("request_id").to_pylist()]),
        _numbers(table, "candidate_cost_nano"),
        _numbers(table, "baseline_cost_nano"),
        pc.equal(table.column("baseline_status").cast(pa.string()), "error").to_numpy().astype(np.float64),
        _numbers(table, "baseline_output_tokens") + _numbers(table, "candidate_output_tokens"),
    )


def _detectable(looked: _Looked, rows: int) -> tuple[float, float, tuple[str, ...]]:
    """Percentage points of a rate, where both sides fail as often as the log did, independently of each other; percent
    of the mean cost, where costs change as projected; and a note where that change takes more rows to show.
    """
    failing = max(looked.mean(looked.failed), FEWEST_ERRORS)
    discordant = looked.mean(looked.called) * 2 * failing * (1 - failing)
    rate = 100 * detectable_rate_change(discordant, rows) if discordant else 0.0
    changes = looked.called * (looked.cost_nano - looked.before_nano)
    change, before = looked.mean(changes), looked.mean(looked.before_nano)
    if not before:
        return rate, 0.0, ()
    deviation, percent = math.sqrt(looked.mean((changes - change) ** 2)), round(100 * change / before, 1)
    needed = rows_for_change(deviation, change) if percent else 0
    note = f"The mean cost is projected to change by {percent:+g} %, which takes about {needed:,} rows to show."
    return rate, 100 * detectable_change(deviation, rows) / before, (note,) if needed > rows else ()


def _scorer(catalog: Catalog, found: embedding.DescribeResponse | None, now_ms: int) -> tuple[float, str]:
    """Nano-USD per million tokens of the embedder, and what is to be said of it."""
    if found is None:
        return (
            0.0,
            "The embedding service cannot be reached now: answers are scored once it can, and what that costs is "
            "not known.",
        )
    if not found.charged_model:
        told = f"Answers are compared by {found.embedder}, on this installation and at no cost."
        if found.embedder.startswith("lexical"):
            told += " It compares words, not meaning."
        return 0.0, told
    price = catalog.price("openai", found.charged_model, now_ms)
    if price is None:
        return 0.0, f"Answers are compared by {found.embedder}, whose price is not known."
    told = (
        f"Answers are compared by {found.embedder}; what that costs is paid at its endpoint, outside of the spend cap."
    )
    return float(price.input), told


def _of_window(found: Count) -> Iterator[str]:
    if not found.rows:
        yield "No request of the log lies in this window and passes its filter."
    if found.excluded:
        yield f"{found.excluded:,} more are left out: the caller left, or nobody knows how they ended."


def _numbers(table: pa.Table, name: str) -> Floats:
    found: Floats = pc.fill_null(table.column(name), 0).to_numpy().astype(np.float64)
    return found


_NOTHING_CALLED = "Nothing is called, so nothing is spent: the decisions are replayed over what was logged."
_PROMPT_TOKENS = 500
"""Of a prompt as it is grouped: 2,000 characters."""
