"""Read off an experiment's results what its success criteria ask for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from experiment_core.criteria import Criteria, Measured, Predicate
from experiment_core.intervals import NOTHING, Estimate, Interval
from experiment_core.judge.summary import Summary as Judgement
from experiment_core.runs import Comparison
from experiment_core.similarity import Agreement
from experiment_core.summary import Summary

UNMEASURED = Measured(NOTHING, 0)


@dataclass(frozen=True, slots=True)
class Results:
    """What is known of one experiment. None: not part of it."""

    summary: Summary
    agreement: Callable[[float], Agreement]
    """Of the scored pairs at a threshold."""
    judgement: Judgement | None = None
    runs: Comparison | None = None


def measured(criteria: Criteria, results: Results) -> dict[Predicate, Measured]:
    """For each predicate its metric with the 95 % interval, in percent or points; without a value where unknown."""
    return {each: _METRICS[each.metric](results, each) for each in criteria.predicates}


def _delta(name: str) -> Callable[[Results, Predicate], Measured]:
    def read(results: Results, predicate: Predicate) -> Measured:
        return Measured(results.summary.deltas[name].percent, results.summary.coverage.evaluable)

    return read


def _similarity(results: Results, predicate: Predicate) -> Measured:
    found = results.agreement(dict(predicate.params)["threshold"])
    return Measured(found.rate.scaled(100), found.scored)


def _judged_worse(results: Results, predicate: Predicate) -> Measured:
    """With pairs that have no verdict counted against the claim on either side: silence passes nobody."""
    found = results.judgement
    if found is None:
        return UNMEASURED
    worse = found.bounds["worse"]
    rates = [each for each in (worse.all_better, worse.complete, worse.all_worse) if each.value is not None]
    lower = min((each.interval.lower or 0.0 for each in rates), default=None)
    upper = max((1.0 if each.interval.upper is None else each.interval.upper for each in rates), default=None)
    return Measured(Estimate(worse.complete.value, Interval(lower, upper)).scaled(100), found.judged_count)


def _run_success(results: Results, predicate: Predicate) -> Measured:
    """Nothing where the figures are no claim about runs under the candidate."""
    found = results.runs
    if found is None or found.refusal is not None:
        return UNMEASURED
    return Measured(found.metrics["success"].delta.percent, min(found.runs))


_METRICS: Mapping[str, Callable[[Results, Predicate], Measured]] = {
    "cost_delta_pct": _delta("cost_nano"),
    "p50_latency_delta_pct": _delta("latency_p50_ms"),
    "p95_latency_delta_pct": _delta("latency_p95_ms"),
    "error_rate_delta_pct": _delta("error_rate"),
    "similarity_pct_above_threshold": _similarity,
    "judge_worse_pct_upper_ci": _judged_worse,
    "run_success_delta_pct": _run_success,
}
