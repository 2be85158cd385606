"""Compare whole agent runs: per run what it costs, calls, takes and reaches, and when that cannot be known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.intervals import Estimate, proportion
from experiment_core.percentiles import Column, change
from experiment_core.resampling import Resampler, Units, paired_share
from experiment_core.rows import REUSED, Rows, Side
from experiment_core.summary import Delta

FEWEST_RUNS = 30
METRICS = ("cost_nano", "calls", "latency_ms", "tokens")


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """One side's runs, a column each."""

    cost_nano: Floats
    calls: Floats
    latency_ms: Floats
    """Summed over the calls of the run."""
    tokens: Floats
    """Input and output."""
    success: Bools

    def __len__(self) -> int:
        return len(self.success)


@dataclass(frozen=True, slots=True)
class Metric:
    """One quantity per run."""

    baseline: Estimate
    candidate: Estimate
    delta: Delta


@dataclass(frozen=True, slots=True)
class Comparison:
    """Runs side by side."""

    runs: tuple[int, int]
    """Of the baseline and of the candidate."""
    calls: int
    """Of the baseline."""
    metrics: dict[str, Metric]
    """Means per run: cost_nano, calls, latency_ms, tokens. The share success. Of replayed runs also latency_p50_ms and
    latency_p95_ms."""
    refusal: str | None
    """Why these figures are no claim about runs under the candidate. None: they are one."""


def by_run(rows: Rows) -> tuple[Runs, Runs]:
    """Both sides of the rows that belong to a run, added up by run. A run succeeds when each of its calls does."""
    mine = rows.take((rows.cluster >= 0) & rows.evaluable())
    _, run = np.unique(mine.cluster, return_inverse=True)
    return _add_up(mine.baseline, run), _add_up(mine.candidate, run)


def replayed(rows: Rows, seed: int) -> Comparison:
    """Compare runs from a replay of their calls, run by run; the rows of a run must be in time order.

    A replay answers the calls that were made. Another model, or another answer, takes other steps next: projected that
    way, real runs came out wrong by -73 % to +55 %. So where a call is rerouted that was not its run's last, the
    figures are given for the same steps, and a refusal says that they hold for no other.
    """
    baseline, candidate = by_run(rows)
    known = rows.take((rows.cluster >= 0) & rows.evaluable())
    units = Units.of(len(baseline))
    resampler = Resampler(units, seed)
    metrics = {name: _paired(resampler, getattr(baseline, name), getattr(candidate, name)) for name in METRICS}
    metrics["success"] = _success(baseline, candidate, paired_share(baseline.success, candidate.success, units))
    columns = Column(baseline.latency_ms, units), Column(candidate.latency_ms, units)
    for name, q in {"latency_p50_ms": 0.5, "latency_p95_ms": 0.95}.items():
        moved = change(*columns, units, q, seed)
        metrics[name] = Metric(moved.baseline, moved.candidate, Delta(moved.absolute, moved.relative.scaled(100)))
    return Comparison((len(baseline), len(candidate)), len(known), metrics, _steps_refusal(rows))


def _add_up(side: Side, run: Ints) -> Runs:
    count = int(run.max()) + 1 if len(run) else 0

    def per_run(values: Floats | Ints | Bools) -> Floats:
        return np.bincount(run, weights=values.astype(np.float64), minlength=count).astype(np.float64)

    return Runs(
        per_run(side.cost_nano),
        per_run(np.ones(len(run))),
        per_run(side.latency_ms),
        per_run(side.input_tokens + side.output_tokens),
        per_run(~side.ok) == 0,
    )


def _paired(resampler: Resampler, before: Floats, after: Floats) -> Metric:
    """Over the runs of which both sides are known."""
    known = (~np.isnan(before + after)).astype(np.float64)
    before, after = np.nan_to_num(before) * known, np.nan_to_num(after) * known
    delta = Delta(resampler.ratio(after - before, known), resampler.ratio(after, before).scaled(100, -100))
    return Metric(resampler.ratio(before, known), resampler.ratio(after, known), delta)


def _success(baseline: Runs, candidate: Runs, found: Estimate) -> Metric:
    before, after = (proportion(float(side.success.sum()), len(side)) for side in (baseline, candidate))
    return Metric(before, after, Delta(found, found.scaled(100)))


def _steps_refusal(rows: Rows) -> str | None:
    """Rerouted, or answered anew, anywhere but in a run's last call: what follows is not what would have followed."""
    codes, last = np.unique(rows.cluster[::-1], return_index=True)
    final = np.zeros(len(rows), dtype=np.bool_)
    final[len(rows) - 1 - last] = True
    changing = (rows.cluster >= 0) & ~final & (rows.rerouted() | (rows.evidence != REUSED))
    affected, total = len(np.unique(rows.cluster[changing])), int(np.count_nonzero(codes >= 0))
    if not affected:
        return None
    return (
        f"{affected} of {total} runs go on after a call that the candidate answers: their later steps would change, so "
        f"these figures hold for unchanged steps only; to compare runs, do at least {FEWEST_RUNS} under the candidate"
    )
