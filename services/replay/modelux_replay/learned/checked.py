"""Hold the simulation of rows against what their calls then cost and took: the same rows, projected and measured."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from experiment_core.arrays import Bools, Floats
from experiment_core.intervals import Estimate, proportion
from experiment_core.percentiles import Column
from experiment_core.resampling import Units
from modelux_replay.learned.calibration import Ratios
from modelux_replay.summary.costs import routes_of
from modelux_replay.summary.remaining import Projected, remaining
from modelux_replay.summary.shapes import NANO, Json, estimate
from modelux_replay.summary.table import floats, ints, joined, text


def projection_check(
    simulated: Sequence[bytes], called: Sequence[bytes], history: pa.Table | None, seed: int
) -> Json | None:
    """Arrow streams of the same rows in the same order, with `pool.SUMMARY_COLUMNS`, before and after their calls.

    Over the rows that were projected and then called; None where there are none. A cost's interval is what the tokens
    leave in doubt: of the same rows nothing else differs.
    """
    before, after = joined(simulated), joined(called)
    both = _is(before, "evidence", "projected") & _is(after, "evidence", "observed")
    before, after = (table.filter(pa.array(both)) for table in (before, after))
    if not len(before):
        return None
    worked = [_is(table, "candidate_status", "ok") for table in (before, after)]
    metrics = {"error_rate": _shown(*(proportion(float((~ok).sum()), len(ok)) for ok in worked))}
    columns = [_latency(table, ok) for table, ok in zip((before, after), worked, strict=True)]
    for name, q in {"p50_latency_ms": 0.50, "p95_latency_ms": 0.95}.items():
        metrics[name] = _shown(*(column.estimate(q) for column in columns))
    answered = pa.array(worked[0] & worked[1])
    said, came = before.filter(answered), after.filter(answered)
    if len(said):
        total = remaining(_projected(said), Ratios.of(None, history, seed)).total.nano
        mean = float(ints(came, "candidate_cost_nano").mean()) / NANO
        exact = Estimate(mean, type(total.interval)(mean, mean))
        metrics["mean_cost_usd"] = _shown(total.scaled(1 / NANO / len(said)), exact)
    return {"rows": len(before), "metrics": metrics}


def _projected(table: pa.Table) -> Projected:
    models, baseline, candidate = routes_of(table)
    cost, into, out = (
        ints(table, f"candidate_{name}").astype(np.float64) for name in ("cost_nano", "input_tokens", "output_tokens")
    )
    every = np.ones(len(table))
    return Projected(baseline, candidate, every > 0, cost, into, out, every, models)


def _latency(table: pa.Table, worked: Bools) -> Column:
    values: Floats = np.where(worked, floats(table, "candidate_latency_us") / 1000, np.nan)
    return Column(values, Units.of(len(values)))


def _is(table: pa.Table, name: str, value: str) -> Bools:
    found: Bools = text(table, name).to_numpy(zero_copy_only=False) == value
    return found


def _shown(projected: Estimate, measured: Estimate) -> Json:
    return {"projected": estimate(projected), "measured": estimate(measured)}
