"""What runs take: cost, calls, latency, tokens and success per run, and when that is no claim."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from experiment_core.arrays import inner
from experiment_core.rows import Rows
from experiment_core.runs import Metric, replayed
from modelux_replay.summary.shapes import NANO, Json, estimate

DRAWN = (
    "rows are drawn from the window, so no run is whole: only the mean cost per run is told, for unchanged steps; "
    "replay a shorter window whole, or do runs under the candidate"
)
_METRICS: Mapping[str, tuple[str, float]] = {
    "cost_nano": ("cost_usd", NANO),
    "calls": ("calls", 1.0),
    "latency_ms": ("latency_ms", 1.0),
    "latency_p50_ms": ("p50_latency_ms", 1.0),
    "latency_p95_ms": ("p95_latency_ms", 1.0),
    "tokens": ("tokens", 1.0),
    "success": ("success", 1.0),
}
"""Means of a run's sums, percentiles of its summed latency, and the share without a failed call: their names in the
API, and what they are divided by.
"""


def per_run(rows: Rows, seed: int) -> Json | None:
    """Per run where rows belong to runs: calls as they were made. Steps may change under another model.

    Without metrics where rows are drawn from the window, as then no run is whole.
    """
    kept = rows.take(rows.evaluable() & (rows.cluster >= 0))
    runs = len(np.unique(kept.cluster))
    if not runs:
        return None
    costs = (side.cost_nano.astype(np.float64) for side in (kept.baseline, kept.candidate))
    before, after = (inner(kept.weight, each) for each in costs)
    found = replayed(rows, seed) if np.all(rows.weight == 1.0) else None
    return {
        "count": runs,
        "requests": len(kept),
        "baseline_mean_cost_usd": before / runs / NANO,
        "candidate_mean_cost_usd": after / runs / NANO,
        "cost_percent": (after / before - 1) * 100 if before > 0 else None,
        "assumes": "Every run makes the calls that it made; another model may take more or fewer steps.",
        "metrics": {_METRICS[name][0]: _metric(name, each) for name, each in found.metrics.items()} if found else None,
        "refusal": found.refusal if found else DRAWN,
    }


def _metric(name: str, found: Metric) -> Json:
    """One quantity per run on both sides, and what changes."""
    scale = 1 / _METRICS[name][1]
    unit = "percentage_points" if name == "success" else "percent"
    return {
        "baseline": estimate(found.baseline.scaled(scale)),
        "candidate": estimate(found.candidate.scaled(scale)),
        "delta": estimate(found.delta.absolute.scaled(scale)),
        unit: estimate(found.delta.percent),
    }
