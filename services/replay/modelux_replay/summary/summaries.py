"""Sum results up: both sides, what changes with its interval, in numbers for programs and in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.answers import compare_answers
from experiment_core.intervals import proportion
from experiment_core.resampling import Resampler
from experiment_core.sentence import sentence
from experiment_core.similarity import THRESHOLD, agreement
from experiment_core.stopping import anytime
from experiment_core.summary import Summary, summarise
from modelux.events.v1.experiment_pb2 import ExperimentCompleted
from modelux_replay.learned.calibration import Ratios
from modelux_replay.summary import shapes as shapes
from modelux_replay.summary.answers import similarity
from modelux_replay.summary.costs import bounds, projection
from modelux_replay.summary.off_policy import from_splits
from modelux_replay.summary.per_run import per_run
from modelux_replay.summary.shapes import UNITS, Json
from modelux_replay.summary.table import Read, joined, nothing, read


@dataclass(frozen=True, slots=True)
class Told:
    """What is known of an experiment beside its rows."""

    with_responses: bool = False
    stopped: str = ""
    """Why it ended early; empty: it did not. Rows to call that it did not reach are among its rows, not evaluable."""
    threshold: float = THRESHOLD
    """From where on two answers agree."""
    embedder: str = ""
    """What made the similarities."""
    levels: tuple[float, ...] = ()
    """Further thresholds, which success criteria ask for."""
    pilot: pa.Table | None = field(default=None, repr=False)
    """As the plan had it."""
    history: pa.Table | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an experiment found: `summary_json` for the API, and the numbers that its event carries."""

    summary_json: str = field(repr=False)
    percents: Mapping[str, float | None]
    coverage: float
    cost_weighted: float
    sentence: str

    def tell(self, event: ExperimentCompleted) -> None:
        """Writes the numbers into the event."""
        named = {
            "cost_nano": "cost_delta_percent",
            "latency_p50_ms": "latency_p50_delta_percent",
            "latency_p95_ms": "latency_p95_delta_percent",
            "error_rate": "error_rate_delta_points",
        }
        for metric, name in named.items():
            value = self.percents[metric]
            if value is not None:
                setattr(event, name, value)
        event.coverage, event.cost_weighted_coverage, event.sentence = self.coverage, self.cost_weighted, self.sentence


ROUTING_ONLY = Told()


def sum_up(
    streams: Sequence[bytes], seed: int, rows_in_window: int, excluded: int = 0, told: Told = ROUTING_ONLY
) -> Outcome:
    """`streams` are Arrow streams with `pool.SUMMARY_COLUMNS`; none where there were no rows.

    `excluded`: requests of the window that cannot be compared. Where the run was stopped, every interval is one of a
    confidence sequence.
    """
    table = joined(streams) if streams else None
    found = nothing() if table is None else read(table, with_responses=told.with_responses)
    confidence = anytime(found.called, found.to_call) if told.stopped else 0.95
    ratios = Ratios.of(told.pilot, told.history, seed)
    summary = summarise(found.rows, seed, told.threshold, confidence)
    units = found.rows.take(found.rows.evaluable()).units()
    answers = compare_answers(found.pairs(), Resampler(units, seed, confidence), told.threshold)
    levels = [agreement(found.pairs().similarity, level, units, confidence) for level in told.levels]
    words = sentence(summary, answers)
    if told.stopped:
        words += f"; stopped early after {found.called:,} of {found.to_call:,} calls"
    coverage = summary.coverage
    share = coverage.evaluable / coverage.rows if coverage.rows else 0.0
    document: Json = {
        "sentence": words,
        "baseline_summary": shapes.side(summary.baseline, {each.model: each.baseline_share for each in summary.routes}),
        "candidate_summary": shapes.side(
            summary.candidate, {each.model: each.candidate_share for each in summary.routes}
        ),
        "deltas": {UNITS[name][0]: shapes.delta(name, delta) for name, delta in summary.deltas.items()},
        "coverage": {"rows_in_window": rows_in_window, "excluded": excluded, **_coverage(found, summary, told)},
        "stopped_early": _stopped(found, told, confidence),
        "self_check": _self_check(table),
        "runs": per_run(found.rows, seed),
        "cost_bounds": None if table is None else bounds(table, found),
        "projection": None if table is None else projection(table, found, summary, ratios),
        "routes": [shapes.route(each) for each in summary.routes],
        "off_policy": from_splits(found.rows, found.splits),
        "similarity": similarity(answers, found, told.embedder, levels),
        "tail": {
            "top_1_percent_cost_share": summary.tail.top_share,
            "cost_percent_winsorised": shapes.estimate(summary.tail.winsorised_percent),
        },
    }
    percents = {name: delta.percent.value for name, delta in summary.deltas.items()}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return Outcome(text, percents, share, coverage.cost_weighted, words)


def _coverage(found: Read, summary: Summary, told: Told) -> Json:
    """How much could be compared, on what evidence; with responses also what was called and what the sample weighs."""
    coverage = summary.coverage
    known: Json = {
        "rows": coverage.rows,
        "evaluable": coverage.evaluable,
        "share": coverage.evaluable / coverage.rows if coverage.rows else 0.0,
        "cost_weighted": coverage.cost_weighted,
        "evidence": coverage.evidence,
        "rerouted": shapes.estimate(coverage.rerouted),
        "independent_units": coverage.units,
    }
    if not told.with_responses:
        return known
    weight, reused = found.rows.weight[found.rows.evaluable()], coverage.evidence["reused"]
    effective = float(weight.sum()) ** 2 / float((weight**2).sum()) if weight.any() else 0.0
    words = (
        f"{found.called:,} of {coverage.rows:,} sampled rows were called; {reused:,} keep the logged choice, so that "
        "their answer stands and nothing changes by construction"
    )
    sample = {"weight": float(weight.sum()), "effective_rows": effective}
    return {**known, "called": found.called, "to_call": found.to_call, "sample": sample, "sentence": words}


def _stopped(found: Read, told: Told, confidence: float) -> Json | None:
    if not told.stopped:
        return None
    return {
        "reason": told.stopped,
        "called": found.called,
        "to_call": found.to_call,
        "intervals": "confidence_sequence",
        "pointwise_confidence": confidence,
        "sentence": (
            f"Stopped after {found.called:,} of {found.to_call:,} calls, made in random order: those made stand for "
            "the others, and intervals are wider, so that they hold wherever a run stops."
        ),
    }


def _self_check(table: pa.Table | None) -> Json:
    """How often the unchanged logged version decided as it did then."""
    reproduced = table.column("reproduced").combine_chunks() if table is not None else pa.array([], pa.bool_())
    checked = len(reproduced) - reproduced.null_count
    same = pc.sum(pc.cast(reproduced, pa.int64())).as_py() or 0
    found = proportion(same, checked)
    words = f"{same:,} of {checked:,} logged decisions reproduced" if checked else "no row has a decision trace"
    return {"checked": checked, "reproduced": same, "share": found.value, "sentence": words}
