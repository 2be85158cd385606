"""Runs side by side, and what a replay may claim of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import replayed_tables as tables

from experiment_core.intervals import Estimate, Interval
from experiment_core.rows import OBSERVED, REUSED, Rows
from experiment_core.runs import by_run, replayed

RUN = np.repeat(np.arange(40), 5)
ZERO = Estimate(0.0, Interval(0.0, 0.0))


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
