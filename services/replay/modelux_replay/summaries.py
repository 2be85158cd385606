"""Sum results up: both sides, what changes with its interval, in numbers for programs and in one sentence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from experiment_core.arrays import Floats, Ints
from experiment_core.intervals import Estimate, proportion
from experiment_core.rows import EVIDENCE, Rows, Side
from experiment_core.runs import Metric, replayed
from experiment_core.sentence import METRICS, change_in_words, sentence
from experiment_core.summary import Delta, SideSummary, Summary, summarise
from modelux.events.v1.experiment_pb2 import ExperimentCompleted
from modelux_replay.remaining import ASSUMES, Projected, percent_of, remaining

Json = dict[str, object]
NANO = 1e9
_UNITS: Mapping[str, tuple[str, float]] = {
    "cost_nano": ("cost_usd", NANO),
    "latency_p50_ms": ("p50_latency_ms", 1.0),
    "latency_p95_ms": ("p95_latency_ms", 1.0),
    "latency_p99_ms": ("p99_latency_ms", 1.0),
    "error_rate": ("error_rate", 1.0),
    "input_tokens": ("input_tokens", 1.0),
    "output_tokens": ("output_tokens", 1.0),
}
"""How a metric of the summary is named in the API, and what it is divided by."""
_OF_RUNS: Mapping[str, tuple[str, float]] = {
    "cost_nano": ("cost_usd", NANO),
    "calls": ("calls", 1.0),
    "latency_ms": ("latency_ms", 1.0),
    "latency_p50_ms": ("p50_latency_ms", 1.0),
    "latency_p95_ms": ("p95_latency_ms", 1.0),
    "tokens": ("tokens", 1.0),
    "success": ("success", 1.0),
}
"""The same for runs: means of a run's sums, percentiles of its summed latency, and the share without a failed call."""


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


def sum_up(stream: bytes, seed: int, rows_in_window: int, excluded: int = 0) -> Outcome:
    """`stream` is an Arrow stream with `pool.SUMMARY_COLUMNS`; empty where there were no rows.

    `excluded`: requests of the window that cannot be compared.
    """
    table = pa.ipc.open_stream(stream).read_all() if stream else None
    rows = _rows(table) if table is not None else _no_rows()
    found = summarise(rows, seed)
    words = sentence(found)
    coverage = found.coverage
    share = coverage.evaluable / coverage.rows if coverage.rows else 0.0
    document: Json = {
        "sentence": words,
        "baseline_summary": _side(found.baseline, {route.model: route.baseline_share for route in found.routes}),
        "candidate_summary": _side(found.candidate, {route.model: route.candidate_share for route in found.routes}),
        "deltas": {_UNITS[name][0]: _delta(name, delta) for name, delta in found.deltas.items()},
        "coverage": {
            "rows_in_window": rows_in_window,
            "excluded": excluded,
            "rows": coverage.rows,
            "evaluable": coverage.evaluable,
            "share": share,
            "cost_weighted": coverage.cost_weighted,
            "evidence": coverage.evidence,
            "rerouted": _estimate(coverage.rerouted),
            "independent_units": coverage.units,
        },
        "self_check": _self_check(table),
        "runs": _per_run(rows, seed),
        "cost_bounds": _bounds(table, found),
        "projection": _projection(table, found),
        "routes": [
            {
                "model": route.model,
                "baseline_share": route.baseline_share,
                "candidate_share": route.candidate_share,
                "change": _estimate(route.change),
            }
            for route in found.routes
        ],
        "similarity": _similarity(found),
        "tail": {
            "top_1_percent_cost_share": found.tail.top_share,
            "cost_percent_winsorised": _estimate(found.tail.winsorised_percent),
        },
    }
    percents = {name: delta.percent.value for name, delta in found.deltas.items()}
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return Outcome(text, percents, share, coverage.cost_weighted, words)


def _rows(table: pa.Table) -> Rows:
    names = pc.unique(pa.concat_arrays([_names(table, "baseline"), _names(table, "candidate")]))
    models = tuple(name for name in sorted(names.to_pylist()) if name)
    coded = pa.array(models, pa.string())
    cluster = _text(table, "cluster")
    known = pa.array([name for name in pc.unique(cluster).to_pylist() if name], pa.string())
    return Rows(
        _side_of(table, "baseline", coded),
        _side_of(table, "candidate", coded),
        models,
        _codes(_text(table, "evidence"), pa.array(EVIDENCE, pa.string())).astype(np.int8),
        _floats(table, "similarity"),
        _codes(cluster, known),
        _floats(table, "weight"),
    )


def _no_rows() -> Rows:
    nothing, none, never = np.zeros(0), np.zeros(0, np.int64), np.zeros(0, np.bool_)
    side = Side(none, nothing, never, none, none, none)
    return Rows(side, side, (), none.astype(np.int8), nothing, none, nothing)


def _side_of(table: pa.Table, side: str, models: pa.Array) -> Side:
    return Side(
        _ints(table, f"{side}_cost_nano"),
        _floats(table, f"{side}_latency_us") / 1000,
        pc.equal(_text(table, f"{side}_status"), "ok").to_numpy(zero_copy_only=False),
        _ints(table, f"{side}_input_tokens"),
        _ints(table, f"{side}_output_tokens"),
        _codes(_names(table, side), models),
    )


def _names(table: pa.Table, side: str) -> pa.Array:
    """`model:provider`; empty where no model was reached."""
    model, provider = _text(table, f"{side}_model"), _text(table, f"{side}_provider")
    joined = pc.binary_join_element_wise(model, provider, ":")
    return pc.if_else(pc.equal(model, ""), "", joined)


def _text(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    thin = pa.types.is_dictionary(column.type)
    return pc.fill_null((column.cast(column.type.value_type) if thin else column).combine_chunks(), "")


def _codes(values: pa.Array, known: pa.Array) -> Ints:
    """The place of each value among the known ones; -1 where it is none of them."""
    found: Ints = pc.fill_null(pc.index_in(values, known), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _ints(table: pa.Table, name: str) -> Ints:
    found: Ints = pc.fill_null(table.column(name).combine_chunks(), 0).to_numpy(zero_copy_only=False).astype(np.int64)
    return found


def _floats(table: pa.Table, name: str) -> Floats:
    """Null as NaN."""
    values = pc.cast(table.column(name).combine_chunks(), pa.float64())
    found: Floats = np.asarray(values.to_numpy(zero_copy_only=False), np.float64)
    return found


def _side(side: SideSummary, routes: Mapping[str, float]) -> Json:
    cost = side.mean_cost_nano.scaled(1 / NANO)
    return {
        "requests": side.requests,
        "total_cost_usd": side.cost_nano / NANO,
        "mean_cost_usd": cost.value,
        "p50_latency_ms": side.latency_ms["p50"].value,
        "p95_latency_ms": side.latency_ms["p95"].value,
        "p99_latency_ms": side.latency_ms["p99"].value,
        "error_rate": side.error_rate.value,
        "mean_input_tokens": side.mean_input_tokens.value,
        "mean_output_tokens": side.mean_output_tokens.value,
        "time_to_success_ms": side.time_to_success_ms,
        "route_distribution": {model: share for model, share in routes.items() if share > 0},
        "ci_95": {
            "mean_cost_usd": _interval(cost),
            **{f"{name}_latency_ms": _interval(found) for name, found in side.latency_ms.items()},
            "error_rate": _interval(side.error_rate),
            "mean_input_tokens": _interval(side.mean_input_tokens),
            "mean_output_tokens": _interval(side.mean_output_tokens),
        },
    }


def _delta(name: str, delta: Delta) -> Json:
    words = METRICS.get(name)
    unit = "percentage_points" if name == "error_rate" else "percent"
    return {
        **_estimate(delta.absolute.scaled(1 / _UNITS[name][1])),
        unit: _estimate(delta.percent),
        "sentence": change_in_words(delta.percent, words) if words else None,
    }


def _estimate(found: Estimate) -> Json:
    return {"value": found.value, **_interval(found)}


def _interval(found: Estimate) -> Json:
    return {"lower": found.interval.lower, "upper": found.interval.upper}


def _self_check(table: pa.Table | None) -> Json:
    """How often the unchanged logged version decided as it did then."""
    reproduced = table.column("reproduced").combine_chunks() if table is not None else pa.array([], pa.bool_())
    checked = len(reproduced) - reproduced.null_count
    same = pc.sum(pc.cast(reproduced, pa.int64())).as_py() or 0
    found = proportion(same, checked)
    words = f"{same:,} of {checked:,} logged decisions reproduced" if checked else "no row has a decision trace"
    return {"checked": checked, "reproduced": same, "share": found.value, "sentence": words}


def _per_run(rows: Rows, seed: int) -> Json | None:
    """Per run where rows belong to runs: calls as they were made. Steps may change under another model.

    Without metrics where the window is drawn from, as then no run is whole.
    """
    kept = rows.take(rows.evaluable() & (rows.cluster >= 0))
    runs = len(np.unique(kept.cluster))
    if not runs:
        return None
    before, after = (float(kept.weight @ side.cost_nano) for side in (kept.baseline, kept.candidate))
    found = replayed(rows, seed) if np.all(rows.weight == 1.0) else None
    return {
        "count": runs,
        "requests": len(kept),
        "baseline_mean_cost_usd": before / runs / NANO,
        "candidate_mean_cost_usd": after / runs / NANO,
        "cost_percent": (after / before - 1) * 100 if before > 0 else None,
        "assumes": "Every run makes the calls that it made; another model may take more or fewer steps.",
        "metrics": {_OF_RUNS[name][0]: _metric(name, each) for name, each in found.metrics.items()} if found else None,
        "refusal": found.refusal if found else None,
    }


def _metric(name: str, found: Metric) -> Json:
    """One quantity per run on both sides, and what changes."""
    scale = 1 / _OF_RUNS[name][1]
    unit = "percentage_points" if name == "success" else "percent"
    return {
        "baseline": _estimate(found.baseline.scaled(scale)),
        "candidate": _estimate(found.candidate.scaled(scale)),
        "delta": _estimate(found.delta.absolute.scaled(scale)),
        unit: _estimate(found.delta.percent),
    }


def _bounds(table: pa.Table | None, found: Summary) -> Json | None:
    """What the candidate costs at the least and at the most, where it may or may not escalate."""
    if table is None or not found.coverage.evaluable:
        return None
    weight = _floats(table, "weight")
    low, high = (float(weight @ _ints(table, f"candidate_cost_{name}_nano")) for name in ("low", "high"))
    if low == high:
        return None
    return {"lowest_total_cost_usd": low / NANO, "highest_total_cost_usd": high / NANO}


def _projection(table: pa.Table | None, found: Summary) -> Json | None:
    """How far the candidate's cost may be off beyond what the intervals of the deltas tell; None: nothing is
    projected.
    """
    if table is None or not found.coverage.evidence["projected"]:
        return None
    evidence = _text(table, "evidence").to_numpy(zero_copy_only=False)
    known = evidence != "not_evaluable"
    names = [_text(table, f"{side}_model").to_numpy(zero_copy_only=False)[known] for side in ("baseline", "candidate")]
    _, codes = np.unique(np.concatenate(names).astype(np.str_), return_inverse=True)
    baseline, candidate = np.split(codes.astype(np.int64), 2)
    weight = _floats(table, "weight")[known]
    costs, before = (_ints(table, f"{side}_cost_nano")[known] * weight for side in ("candidate", "baseline"))
    tokens = (_ints(table, f"candidate_{kind}_tokens")[known] * weight for kind in ("input", "output"))
    total = remaining(Projected(baseline, candidate, evidence[known] == "projected", costs, *tokens))
    return {
        "rows": total.naive_rows,
        "total_cost_usd": _estimate(total.nano.scaled(1 / NANO)),
        "cost_percent": _estimate(percent_of(total, float(before.sum()))),
        "remaining_error": total.remaining_error,
        "assumes": ASSUMES,
    }


def _similarity(found: Summary) -> Json | None:
    agreement = found.agreement
    if not agreement.scored:
        return None
    return {
        "mean": _estimate(found.similarity),
        "scored": agreement.scored,
        "unscored": agreement.unscored,
        "threshold": agreement.threshold,
        "agreement": _estimate(agreement.rate),
        "histogram": list(found.similarity_histogram),
    }
