"""How far the candidate's cost may be off: by how many calls escalate, and for want of its tokens."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from experiment_core.arrays import Ints, inner
from experiment_core.rows import PROJECTED
from experiment_core.summary import Summary
from modelux_replay.learned.calibration import Ratios
from modelux_replay.summary.remaining import Projected, Routed, percent_of, remaining
from modelux_replay.summary.shapes import NANO, Json, estimate
from modelux_replay.summary.table import Read, ints, text


def bounds(table: pa.Table, found: Read) -> Json | None:
    """What the candidate costs at the least and at the most, where it may or may not escalate."""
    if not found.rows.evaluable().any():
        return None
    costs = (ints(table, f"candidate_cost_{name}_nano").astype(np.float64) for name in ("low", "high"))
    low, high = (inner(found.rows.weight, each) for each in costs)
    if low == high:
        return None
    return {"lowest_total_cost_usd": low / NANO, "highest_total_cost_usd": high / NANO}


def projection(table: pa.Table, found: Read, summary: Summary, ratios: Ratios) -> Json | None:
    """How far the candidate's cost may be off beyond what the intervals of the deltas tell; None: nothing is
    projected.
    """
    if not summary.coverage.evidence["projected"]:
        return None
    known = found.rows.evaluable()
    models, baseline, candidate = routes_of(table.select(["baseline_model", "candidate_model"]).filter(pa.array(known)))
    weight = found.rows.weight[known]
    costs, before = (ints(table, f"{side}_cost_nano")[known] * weight for side in ("candidate", "baseline"))
    into, out = (ints(table, f"candidate_{kind}_tokens")[known] * weight for kind in ("input", "output"))
    projected = found.rows.evidence[known] == PROJECTED
    left = remaining(Projected(baseline, candidate, projected, costs, into, out, weight, models), ratios)
    return {
        "evidence": left.evidence,
        "rows": left.rows,
        "naive_rows": sum(each.rows for each in left.routes if each.learned is None),
        "pairs": left.pairs,
        "total_cost_usd": estimate(left.total.nano.scaled(1 / NANO)),
        "cost_percent": estimate(percent_of(left.total, float(before.sum()))),
        "remaining_error": left.total.remaining_error,
        "assumes": left.assumes,
        "routes": [_route(each) for each in left.routes],
    }


def routes_of(table: pa.Table) -> tuple[list[str], Ints, Ints]:
    """Names of models, and for each row the places of the baseline's and of the candidate's among them."""
    names = pa.concat_arrays([text(table, f"{side}_model") for side in ("baseline", "candidate")]).dictionary_encode()
    baseline, candidate = np.split(names.indices.to_numpy().astype(np.int64), 2)
    return names.dictionary.to_pylist(), baseline, candidate


def _route(found: Routed) -> Json:
    baseline, candidate = found.route
    learned = found.learned
    return {
        "baseline": baseline,
        "candidate": candidate,
        "rows": found.rows,
        "evidence": learned.source if learned else "naive",
        "pairs": len(learned.model.pairs) if learned else 0,
        "input_ratio": learned.input_ratio if learned else 1.0,
        "output_ratio": learned.output_ratio if learned else 1.0,
    }
