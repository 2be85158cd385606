"""Guards of a rollout: what a few requests can show, exact bounds, and sudden failures that both arms may share."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_arms import SECOND_US, Traffic

from experiment_core.criteria import parse_criteria
from modelux_replay.rollout.guards import (
    METRICS,
    Arm,
    Arms,
    change,
    chernoff,
    doubt,
    shown_broken,
    shown_to_hold,
    suddenly_broken,
)

ERRORS = {"metric": "error_rate_delta_pct", "op": "<=", "value": 1}
P95 = {"metric": "p95_latency_delta_pct", "op": "<=", "value": 20}
COST = {"metric": "cost_delta_pct", "op": "<=", "value": 10}
DEFAULT = parse_criteria({"predicates": [ERRORS, P95]}, "guards")
FINE, BROKEN = Traffic(), Traffic(errors=1.0)


def arms(current: Traffic, candidate: Traffic, *counts: int, seconds: float = 60.0, seed: int = 1) -> Arms:
    draws = np.random.default_rng(seed)
    return Arms(current.arm(draws, counts[0], seconds), candidate.arm(draws, counts[1], seconds))


@pytest.mark.parametrize(
    ("current", "candidate", "counts", "outcome"),
    [
        pytest.param(FINE, BROKEN, (190, 10), "fail", id="ten failures beside 190 requests"),
        pytest.param(FINE, BROKEN, (190, 9), "inconclusive", id="nine failures may be of one moment"),
        pytest.param(FINE, BROKEN, (0, 50), "inconclusive", id="nothing to compare with"),
        pytest.param(BROKEN, BROKEN, (190, 50), "inconclusive", id="both fail"),
        pytest.param(FINE, Traffic(errors=0.015), (5_000, 5_000), "inconclusive", id="half a point"),
        pytest.param(FINE, Traffic(errors=0.05), (5_000, 5_000), "fail", id="four points"),
        pytest.param(FINE, Traffic(latency_ms=800), (2_000, 500), "fail", id="twice as slow"),
        pytest.param(FINE, FINE, (0, 0), "inconclusive", id="no requests"),
    ],
)
def test_what_is_broken_beyond_doubt(
    current: Traffic, candidate: Traffic, counts: tuple[int, ...], outcome: str
) -> None:
    assert shown_broken(DEFAULT, arms(current, candidate, *counts), 0.001).outcome == outcome


@pytest.mark.parametrize(
    ("candidate", "counts", "outcome"),
    [
        pytest.param(FINE, (2_000, 2_000), "pass", id="equal"),
        pytest.param(FINE, (2_000, 60), "inconclusive", id="fewer than min_sample_size"),
        pytest.param(FINE, (120, 120), "inconclusive", id="too few to tell"),
        pytest.param(Traffic(errors=0.02), (2_000, 2_000), "inconclusive", id="at the margin"),
        pytest.param(Traffic(latency_ms=480), (2_000, 2_000), "inconclusive", id="at the margin of latency"),
    ],
)
def test_what_is_shown_to_hold(candidate: Traffic, counts: tuple[int, ...], outcome: str) -> None:
    assert shown_to_hold(DEFAULT, arms(FINE, candidate, *counts), 0.03).outcome == outcome


def test_reasons_tell_the_figures() -> None:
    found = shown_broken(DEFAULT, arms(Traffic(errors=0.0), BROKEN, 190, 30), 0.001)
    assert found.reason.startswith("error_rate_delta_pct <= 1 is broken: 100 [")
    assert found.reason.endswith("30 of 30 failed against 0 of 190")
    slow = shown_broken(DEFAULT, arms(FINE, Traffic(latency_ms=900), 2_000, 900), 0.001)
    assert "p95_latency_delta_pct <= 20 is broken" in slow.reason
    assert " ms against " in slow.reason


def test_any_of_several_guards_may_hold() -> None:
    either = parse_criteria({"logic": "or", "predicates": [ERRORS, COST]}, "guards")
    dear = Traffic(cost_nano=2_000_000)
    assert shown_broken(either, arms(FINE, dear, 2_000, 2_000), 0.01).outcome == "inconclusive"
    assert shown_to_hold(either, arms(FINE, dear, 4_000, 4_000), 0.01).outcome == "pass"
    assert shown_broken(either, arms(FINE, replace(dear, errors=0.3), 2_000, 2_000), 0.01).outcome == "fail"


def test_a_late_break_is_seen_in_the_newest_requests_alone() -> None:
    late = arms(FINE, Traffic(breaks_s=3_596), 36_000, 36_000, seconds=3_600)
    assert shown_broken(DEFAULT, late, 0.001).outcome == "inconclusive"
    found = suddenly_broken(DEFAULT, late, 1e-9)
    assert found.outcome == "fail"
    assert found.reason.startswith("of the newest 64 requests, error_rate_delta_pct <= 1 is broken")


def test_an_outage_of_both_breaks_nothing() -> None:
    gone = Traffic(breaks_s=3_590)
    assert suddenly_broken(DEFAULT, arms(gone, gone, 36_000, 36_000, seconds=3_600), 0.01).outcome == "inconclusive"


def test_only_guards_of_errors_look_at_the_newest() -> None:
    latency = parse_criteria({"predicates": [P95]}, "guards")
    assert suddenly_broken(latency, arms(FINE, BROKEN, 190, 50), 0.01).outcome == "inconclusive"


@given(st.integers(1, 2_000), st.data(), st.floats(1e-12, 0.2))
def test_bounds_of_a_rate_are_no_narrower_than_the_exact_ones(n: int, data: st.DataObject, alpha: float) -> None:
    hits = data.draw(st.integers(0, n))
    found = chernoff(hits, n, alpha)
    assert found.lower is not None
    assert found.upper is not None
    assert 0 <= found.lower <= hits / n <= found.upper <= 1
    assert at_most(hits, n, found.upper) <= alpha / 2 * (1 + 1e-3)
    assert at_most(n - hits, n, 1 - found.lower) <= alpha / 2 * (1 + 1e-3)


def at_most(hits: int, n: int, p: float) -> float:
    """The chance of so few; 0 where the bound is the end of the scale."""
    if p in (0.0, 1.0):
        return 0.0
    logs = [
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) + k * math.log(p) + (n - k) * math.log1p(-p)
        for k in range(hits + 1)
    ]
    return math.fsum(math.exp(each) for each in logs)


@given(st.integers(0, 300), st.integers(0, 300), st.sampled_from(METRICS), st.booleans(), st.integers(0, 50))
def test_a_change_lies_within_its_bounds(one: int, other: int, metric: str, exact: bool, seed: int) -> None:
    found = change(metric, arms(FINE, Traffic(errors=0.3), one, other, seed=seed), 0.01, exact=exact)
    assert (found.value is None) <= (found.interval.lower is None)
    if found.value is not None:
        assert found.interval.lower is None or found.interval.lower <= found.value
        assert found.interval.upper is None or found.interval.upper >= found.value


@given(st.integers(1, 12), st.integers(1, 12), st.floats(0.01, 0.6), st.floats(0, 0.3), st.floats(1e-4, 0.5))
def test_doubt_bounds_the_chance_of_what_is_seen(
    one: int, other: int, rate: float, margin: float, level: float
) -> None:
    """Summed over all outcomes, at rates that are just at the margin."""
    chance = 0.0
    for mine in range(one + 1):
        for theirs in range(other + 1):
            if doubt(counted(mine, one, theirs, other), margin) <= level:
                chance += exactly(mine, one, min(rate + margin, 1.0)) * exactly(theirs, other, rate)
    assert chance <= level * (1 + 1e-9)


def counted(mine: int, one: int, theirs: int, other: int) -> Arms:
    sides = [(theirs, other), (mine, one)]
    none = [np.zeros(n, np.int64) for _, n in sides]
    made = [Arm(zeros, np.arange(n) >= hits, zeros, zeros) for (hits, n), zeros in zip(sides, none, strict=True)]
    return Arms(*made)


def exactly(hits: int, n: int, p: float) -> float:
    return math.comb(n, hits) * p**hits * (1 - p) ** (n - hits)


def test_an_arm_is_cut_by_time_and_by_count() -> None:
    arm = Arm(np.arange(10) * SECOND_US, np.ones(10, np.bool_), np.ones(10, np.int64), np.ones(10, np.int64))
    assert (arm.since(7 * SECOND_US).requests, arm.last(4).requests, arm.last(99).requests) == (3, 4, 10)
    assert arm.errors == 0
