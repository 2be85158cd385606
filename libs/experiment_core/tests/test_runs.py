"""Runs side by side: what a replay may claim, what runs that were executed show."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import replayed_tables as tables

from experiment_core.intervals import Estimate, Interval
from experiment_core.rows import OBSERVED, REUSED, Rows
from experiment_core.runs import Runs, by_run, executed, replayed

RUN = np.repeat(np.arange(40), 5)
ZERO = Estimate(0.0, Interval(0.0, 0.0))


def runs(seed: int, count: int, level: float = 1.0, success: float = 0.8, censored: bool = False) -> Runs:
    rng = np.random.default_rng(seed)
    calls = rng.poisson(12 * level, count) + 1.0
    cost = calls * rng.lognormal(10, 0.5, count)
    cut = np.zeros(count, dtype=np.bool_)
    cut[0] = censored
    return Runs(cost, calls, calls * 900.0, calls * 2000.0, rng.random(count) < success, cut)


def rerouted(which: np.ndarray) -> Rows:
    """40 runs of five calls whose marked calls another, cheaper model answers."""
    base = tables.side(1, 200, errors=0.0)
    cost = np.where(which, base.cost_nano // 2, base.cost_nano)
    rows = tables.table(base, replace(base, cost_nano=cost, model=np.where(which, 1, 0)), RUN)
    return replace(rows, evidence=np.where(which, OBSERVED, REUSED).astype(np.int8))


def test_calls_add_up_by_run_and_lone_calls_stay_out() -> None:
    rows = tables.table(tables.side(1, 4), tables.side(2, 4), np.array([8, -1, 8, 3]))
    baseline, candidate = by_run(rows)
    cost = rows.baseline.cost_nano
    assert baseline.cost_nano.tolist() == [cost[3], cost[0] + cost[2]]
    assert baseline.calls.tolist() == candidate.calls.tolist() == [1, 2]
    tokens = rows.candidate.input_tokens + rows.candidate.output_tokens
    assert candidate.tokens.tolist() == [tokens[3], tokens[0] + tokens[2]]


def test_a_run_succeeds_when_each_call_does() -> None:
    side = replace(tables.side(1, 4), ok=np.array([True, True, False, True]))
    assert by_run(tables.table(side, side, np.array([1, 1, 2, 2])))[0].success.tolist() == [True, False]


def test_an_unchanged_policy_claims_and_changes_nothing() -> None:
    found = replayed(tables.unchanged(tables.side(1, 200, errors=0.0), RUN), seed=1)
    assert found.refusal is None
    assert found.runs == (40, 40)
    assert found.calls == 200
    for name in ("cost_nano", "calls", "latency_ms", "tokens", "latency_p50_ms"):
        assert found.metrics[name].delta.absolute == ZERO


def test_rerouting_the_last_call_of_a_run_is_a_claim() -> None:
    found = replayed(rerouted(np.arange(200) % 5 == 4), seed=1)
    assert found.refusal is None
    assert found.metrics["cost_nano"].delta.percent.interval.excludes(0)


def test_rerouting_an_earlier_call_is_refused_as_a_claim() -> None:
    found = replayed(rerouted((np.arange(200) % 5 == 0) & (RUN < 10)), seed=1)
    assert found.refusal is not None
    assert found.refusal.startswith("10 of 40 runs go on after a call that the candidate answers")
    assert found.metrics["cost_nano"].delta.percent.value is not None


def test_calls_outside_runs_do_not_matter_to_the_claim() -> None:
    rows = rerouted(np.ones(200, dtype=np.bool_))
    assert replayed(replace(rows, cluster=np.full(200, -1)), seed=1).refusal is None
    assert replayed(rows, seed=1).refusal is not None


def test_runs_of_unknown_latency_leave_the_latency_of_the_others() -> None:
    rows = tables.unchanged(tables.side(1, 200), RUN)
    latency = rows.baseline.latency_ms.copy()
    latency[0] = np.nan
    rows = replace(rows, baseline=replace(rows.baseline, latency_ms=latency))
    known = by_run(rows)[0].latency_ms
    assert replayed(rows, seed=1).metrics["latency_ms"].baseline.value == pytest.approx(np.nanmean(known))


def test_executed_runs_show_that_steps_change() -> None:
    found = executed(runs(1, 200), runs(2, 200, level=2.0, success=0.5), seed=1)
    assert found.refusal is None
    calls = found.metrics["calls"].delta
    assert calls.absolute.interval.excludes(0)
    assert calls.percent.interval.lower is not None
    assert calls.percent.interval.lower < 92 < (calls.percent.interval.upper or 0.0)
    assert found.metrics["success"].delta.absolute.interval.excludes(0)


def test_few_executed_runs_are_no_claim() -> None:
    found = executed(runs(1, 200), runs(2, 10), seed=1)
    assert found.refusal is not None
    assert found.refusal.startswith("10 runs of the candidate are too few")
    assert executed(runs(1, 29), runs(2, 40), seed=1).refusal is not None


def test_runs_cut_off_by_a_budget_leave_their_bound_open() -> None:
    for candidate in (False, True):
        found = executed(runs(1, 50, censored=not candidate), runs(2, 50, censored=candidate), seed=1)
        interval = found.metrics["cost_nano"].delta.percent.interval
        assert (interval.upper is None, interval.lower is None) == (candidate, not candidate)


def test_single_and_free_runs_have_no_interval_or_share() -> None:
    assert executed(runs(1, 1), runs(2, 50), seed=1).metrics["cost_nano"].delta.absolute.value is None
    free = replace(runs(1, 50), cost_nano=np.zeros(50))
    metric = executed(free, runs(2, 50), seed=1).metrics["cost_nano"].delta
    assert metric.percent.value is None
    assert metric.absolute.interval.excludes(0)


def test_a_baseline_that_may_be_nothing_bounds_no_share() -> None:
    wild = replace(runs(1, 50), cost_nano=np.concatenate([np.full(25, 3.0), np.full(25, -2.0)]))
    percent = executed(wild, runs(2, 50), seed=1).metrics["cost_nano"].delta.percent
    assert percent.value is not None
    assert percent.interval.upper is None


@pytest.mark.nightly
def test_the_intervals_of_executed_runs_cover() -> None:
    held = {"calls": 0, "cost_nano": 0}
    for trial in range(600):
        found = executed(runs(2 * trial, 40), runs(2 * trial + 1, 40, level=1.5), seed=trial)
        for name in held:
            held[name] += not found.metrics[name].delta.percent.interval.excludes(100 * (19 / 13 - 1))
    assert all(0.92 <= count / 600 <= 0.98 for count in held.values()), held
