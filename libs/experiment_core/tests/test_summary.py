"""The summary of a table: exact cases, known effects, evidence, runs, weights."""

from __future__ import annotations

import time
from dataclasses import asdict, replace

import numpy as np
import pytest
import replayed_tables as tables

from experiment_core.intervals import Estimate, Interval
from experiment_core.rows import NOT_EVALUABLE, OBSERVED, REUSED, Rows
from experiment_core.summary import summarise

ZERO = Estimate(0.0, Interval(0.0, 0.0))


def width(found: Estimate) -> float:
    assert found.interval.lower is not None
    assert found.interval.upper is not None
    return found.interval.upper - found.interval.lower


def test_an_unchanged_policy_changes_nothing_at_all() -> None:
    found = summarise(tables.unchanged(tables.side(1, 2000)), seed=1)
    assert set(found.deltas) == {
        "cost_nano",
        "latency_p50_ms",
        "latency_p95_ms",
        "latency_p99_ms",
        "error_rate",
        "input_tokens",
        "output_tokens",
    }
    assert all(delta.absolute == ZERO and delta.percent == ZERO for delta in found.deltas.values())
    assert found.baseline == found.candidate
    assert found.coverage.rerouted.value == 0.0
    assert [route.change for route in found.routes] == [ZERO]


def test_a_cheaper_candidate_is_found_with_its_share() -> None:
    strong = tables.side(1, 3000)
    found = summarise(tables.table(strong, replace(strong, cost_nano=strong.cost_nano * 43 // 100)), seed=1)
    percent = found.deltas["cost_nano"].percent
    assert percent.value == pytest.approx(-57, abs=0.01)
    assert width(percent) < 0.01
    assert found.baseline.cost_nano == int(strong.cost_nano.sum())
    assert found.candidate.mean_cost_nano.value == pytest.approx(found.candidate.cost_nano / 3000)
    assert found.deltas["cost_nano"].absolute.value == pytest.approx(
        (found.candidate.cost_nano - found.baseline.cost_nano) / 3000
    )


def test_the_same_rows_and_seed_give_the_same_summary() -> None:
    rows = tables.table(tables.side(1, 500), tables.side(2, 500))
    assert summarise(rows, seed=3) == summarise(rows, seed=3)
    assert summarise(rows, seed=3) != summarise(rows, seed=4)


def test_a_summary_holds_plain_values_alone() -> None:
    rows = tables.table(tables.side(1, 500), tables.side(2, 500), np.arange(500) // 4, 0.9)
    kinds: set[type] = set()

    def walk(value: object) -> None:
        if isinstance(value, dict):
            walk(list(value.values()))
        elif isinstance(value, (list, tuple)):
            for item in value:
                walk(item)
        else:
            kinds.add(type(value))

    walk(asdict(summarise(replace(rows, weight=np.linspace(1, 2, 500)), seed=1)))
    assert kinds <= {int, float, str, type(None)}


def test_failures_show_in_the_error_rate_and_never_as_quick_answers() -> None:
    steady = tables.side(1, 4000, errors=0.0)
    failing = replace(steady, ok=np.arange(4000) % 10 != 0)
    failing = replace(failing, latency_ms=np.where(failing.ok, failing.latency_ms, 5.0))
    found = summarise(tables.table(steady, failing), seed=1)
    assert found.deltas["error_rate"].absolute.value == pytest.approx(0.1)
    assert found.deltas["error_rate"].percent.interval.lower == pytest.approx(9.1, abs=0.2)
    assert not found.deltas["latency_p50_ms"].absolute.interval.excludes(0)
    assert found.candidate.time_to_success_ms["p95"] is None
    assert found.baseline.time_to_success_ms["p95"] == pytest.approx(found.baseline.latency_ms["p95"].value)
    assert (found.candidate.time_to_success_ms["p50"] or 0.0) > (found.baseline.time_to_success_ms["p50"] or 0.0)


def test_rows_that_cannot_be_evaluated_are_counted_and_left_out() -> None:
    rows = tables.table(tables.side(1, 1000), tables.side(2, 1000))
    evidence = np.repeat([OBSERVED, REUSED, NOT_EVALUABLE], [500, 300, 200]).astype(np.int8)
    found = summarise(replace(rows, evidence=evidence), seed=1)
    cost = rows.baseline.cost_nano
    assert (found.coverage.rows, found.coverage.evaluable) == (1000, 800)
    assert found.coverage.evidence == {"observed": 500, "reused": 300, "projected": 0, "not_evaluable": 200}
    assert found.coverage.cost_weighted == pytest.approx(cost[:800].sum() / cost.sum())
    assert found.baseline.requests == 800
    assert found.baseline.cost_nano == int(cost[:800].sum())


def test_an_empty_table_has_a_summary_of_nothing() -> None:
    found = summarise(tables.table(tables.side(1, 0), tables.side(2, 0)), seed=1)
    assert found.deltas["cost_nano"].percent.value is None
    assert found.deltas["error_rate"].absolute.value is None
    assert found.baseline.error_rate == Estimate(None, Interval(0.0, 1.0))
    assert found.baseline.time_to_success_ms == {"p50": None, "p95": None, "p99": None}
    assert found.coverage.cost_weighted == 1.0
    assert found.routes == ()


def test_free_calls_have_no_share_to_change_by() -> None:
    free = tables.side(1, 100, price=0.0)
    found = summarise(tables.table(free, tables.side(1, 100)), seed=1)
    assert found.deltas["cost_nano"].percent.value is None
    assert found.deltas["cost_nano"].absolute.interval.excludes(0)


def test_routes_tell_which_share_of_the_traffic_moved() -> None:
    strong = tables.side(1, 1000)
    moved = replace(strong, model=np.repeat([1, -1, 0], [300, 10, 690]))
    found = summarise(tables.table(strong, moved), seed=1)
    assert [(route.model, route.baseline_share, route.candidate_share) for route in found.routes] == [
        ("strong", 1.0, 0.69),
        ("quick", 0.0, 0.3),
    ]
    assert found.routes[1].change.value == pytest.approx(0.3)
    assert found.coverage.rerouted.value == pytest.approx(0.31)


def test_calls_of_one_run_widen_every_interval() -> None:
    runs = np.repeat(np.arange(100), 10)
    rng = np.random.default_rng(1)
    base, level = tables.side(1, 1000, errors=0.0), np.repeat(rng.lognormal(0, 0.8, 100), 10)
    other = replace(
        base,
        cost_nano=np.rint(base.cost_nano * level).astype(np.int64),
        latency_ms=base.latency_ms * level,
        ok=np.repeat(rng.random(100) > 0.1, 10),
    )
    single, clustered = (summarise(tables.table(base, other, cluster), seed=1) for cluster in (None, runs))
    assert (single.coverage.units, clustered.coverage.units) == (1000, 100)
    for metric in ("cost_nano", "latency_p50_ms", "error_rate"):
        assert width(clustered.deltas[metric].absolute) > 1.3 * width(single.deltas[metric].absolute)
        assert clustered.deltas[metric].absolute.value == single.deltas[metric].absolute.value


def test_a_weighted_sample_stands_for_its_window() -> None:
    rows = tables.table(tables.side(1, 400), tables.side(2, 400, price=0.5))
    weight = np.repeat([1.0, 9.0], 200)
    found = summarise(replace(rows, weight=weight), seed=1)
    assert found.baseline.cost_nano == round(float(weight @ rows.baseline.cost_nano))
    expected = 100 * float(weight @ rows.candidate.cost_nano) / float(weight @ rows.baseline.cost_nano) - 100
    assert found.deltas["cost_nano"].percent.value == pytest.approx(expected)


def test_a_heavy_tail_is_named_and_cut_in_a_line_of_its_own() -> None:
    base = tables.side(1, 1000)
    cost = base.cost_nano.copy()
    cost[:5] = cost.sum()
    rows = tables.table(replace(base, cost_nano=cost), replace(base, cost_nano=base.cost_nano // 2))
    found = summarise(rows, seed=1)
    assert found.tail.top_share > 0.8
    assert found.deltas["cost_nano"].percent.value == pytest.approx(-91.7, abs=0.1)
    assert found.tail.winsorised_percent.value == pytest.approx(-51, abs=3)


def test_similarity_is_of_the_scored_pairs_alone() -> None:
    rows = tables.table(tables.side(1, 200), tables.side(2, 200))
    similarity = np.concatenate([np.full(90, 0.95), np.full(10, 0.45), np.full(100, np.nan)])
    found = summarise(replace(rows, similarity=similarity), seed=1)
    assert found.similarity.value == pytest.approx(0.9)
    assert found.similarity_histogram == (0, 0, 0, 0, 10, 0, 0, 0, 0, 90)
    assert found.agreement.rate.value == pytest.approx(0.9)
    assert (found.agreement.scored, found.agreement.unscored) == (100, 100)


def test_columns_of_different_length_are_an_error() -> None:
    rows = tables.table(tables.side(1, 3), tables.side(2, 3))
    with pytest.raises(ValueError, match="one length"):
        replace(rows, similarity=np.zeros(2))


def test_fifty_thousand_rows_are_quick() -> None:
    rows = tables.table(tables.side(1, 50_000), tables.side(2, 50_000), np.arange(50_000) // 12)
    started = time.process_time()
    summarise(rows, seed=1)
    assert time.process_time() - started < 5.0


def one_experiment(rng: np.random.Generator, trial: int) -> Rows:
    """300 rows whose candidate costs 70 % and takes 80 % in expectation, and fails on 3 % more of them."""
    size = 300
    noise = rng.standard_normal((4, size))
    base = tables.side(trial, size, errors=0.0)
    before, after = np.exp(noise[0]), 0.7 * np.exp(0.8 * noise[0] + 0.6 * noise[1])
    return tables.table(
        replace(base, cost_nano=np.rint(1e6 * before).astype(np.int64), latency_ms=np.exp(0.6 * noise[2])),
        replace(
            base,
            cost_nano=np.rint(1e6 * after).astype(np.int64),
            latency_ms=0.8 * np.exp(0.6 * (0.6 * noise[2] + 0.8 * noise[3])),
            ok=rng.random(size) >= 0.03,
        ),
    )


@pytest.mark.nightly
def test_the_intervals_of_a_summary_cover() -> None:
    rng = np.random.default_rng(1)
    truth = {"cost_nano": -30.0, "latency_p50_ms": -20.0, "latency_p95_ms": -20.0, "error_rate": 3.0}
    held = dict.fromkeys(truth, 0)
    for trial in range(600):
        found = summarise(one_experiment(rng, trial), seed=trial)
        for metric, value in truth.items():
            held[metric] += not found.deltas[metric].percent.interval.excludes(value)
    assert all(0.92 <= count / 600 <= 0.985 for count in held.values()), held
