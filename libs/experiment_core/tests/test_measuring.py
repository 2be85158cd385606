"""What success criteria ask for, read off an experiment's results."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import replayed_tables as tables

from experiment_core.criteria import METRICS, Criteria, Outcome, Predicate, evaluate
from experiment_core.judge.summary import JudgedPair
from experiment_core.judge.summary import summarise as summarise_verdicts
from experiment_core.measuring import Results, measured
from experiment_core.rows import Rows
from experiment_core.runs import by_run, executed, replayed
from experiment_core.similarity import agreement
from experiment_core.summary import summarise
from experiment_core.verdicts import Judged, Said

ROWS = 2000
SCORED = (1000, 600, 400)


def table() -> Rows:
    """A candidate at half the price and 1.3 times the latency that fails a bit more, half of it similar."""
    base = tables.side(1, ROWS)
    dearer = replace(
        base,
        cost_nano=base.cost_nano // 2,
        latency_ms=base.latency_ms * 1.3,
        ok=base.ok & (np.arange(ROWS) % 50 > 0),
    )
    rows = tables.table(base, dearer, np.repeat(np.arange(ROWS // 2), 2))
    return replace(rows, similarity=np.where(np.arange(ROWS) % 2 == 0, 0.9, 0.7))


def verdicts(worse: int, unreadable: int, of: int = 100) -> list[JudgedPair]:
    said: list[Said] = ["worse"] * worse + ["unreadable"] * unreadable + ["equivalent"] * (of - worse - unreadable)
    return [JudgedPair(bucket, Judged(each, each), 0.0) for bucket in range(3) for each in said]


def results(worse: int = 5, unreadable: int = 0) -> Results:
    rows = table()
    return Results(
        summarise(rows, 1),
        lambda threshold: agreement(rows.similarity, threshold, rows.units()),
        summarise_verdicts(verdicts(worse, unreadable), SCORED, 1),
        executed(*by_run(rows), 1),
    )


FOUND = results()


def read(metric: str, given: Results = FOUND, params: tuple[tuple[str, float], ...] = ()) -> float | None:
    asked = Predicate(metric, "<=", 0.0, params)
    return measured(Criteria("and", 1, (asked,)), given)[asked].estimate.value


@pytest.mark.parametrize(
    ("metric", "value"),
    [
        ("cost_delta_pct", -50.0),
        ("p50_latency_delta_pct", 30.0),
        ("p95_latency_delta_pct", 30.0),
        ("error_rate_delta_pct", 2.0),
        ("judge_worse_pct_upper_ci", 5.0),
        ("run_success_delta_pct", -4.0),
    ],
)
def test_metrics_are_in_percent_and_points(metric: str, value: float) -> None:
    assert read(metric) == pytest.approx(value, rel=0.1)


@pytest.mark.parametrize(("threshold", "value"), [(0.85, 50.0), (0.6, 100.0), (0.95, 0.0)])
def test_similarity_is_read_at_the_threshold_of_the_predicate(threshold: float, value: float) -> None:
    assert read("similarity_pct_above_threshold", FOUND, (("threshold", threshold),)) == pytest.approx(value)


def test_every_metric_is_read() -> None:
    for name, measure in METRICS.items():
        params = tuple((param, default) for param, (_, _, default) in measure.params.items())
        assert read(name, FOUND, params) is not None


def test_what_an_experiment_has_not_is_not_measured() -> None:
    bare = replace(FOUND, judgement=None, runs=None)
    assert read("judge_worse_pct_upper_ci", bare) is None
    assert read("run_success_delta_pct", bare) is None


def test_runs_that_cannot_be_compared_are_not_measured() -> None:
    steps_may_change = replayed(table(), 1)
    assert steps_may_change.refusal is not None
    assert read("run_success_delta_pct", replace(FOUND, runs=steps_may_change)) is None


@pytest.mark.parametrize(
    ("worse", "unreadable", "verdict"), [(2, 0, "pass"), (2, 30, "inconclusive"), (40, 0, "fail"), (98, 2, "fail")]
)
def test_a_judge_that_cannot_be_read_passes_nobody(worse: int, unreadable: int, verdict: Outcome) -> None:
    asked = Predicate("judge_worse_pct_upper_ci", "<=", 10.0)
    criteria = Criteria("and", 100, (asked,))
    assert evaluate(criteria, measured(criteria, results(worse, unreadable))).verdict == verdict


def test_a_judge_run_without_any_verdict_is_inconclusive() -> None:
    asked = Predicate("judge_worse_pct_upper_ci", "<=", 10.0)
    criteria = Criteria("and", 1, (asked,))
    silent = replace(FOUND, judgement=summarise_verdicts(verdicts(0, 100), SCORED, 1))
    assert evaluate(criteria, measured(criteria, silent)).verdict == "inconclusive"
