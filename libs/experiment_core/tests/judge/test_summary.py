"""A run's summary: the guide's figures, the traffic's beside them, and what has no verdict counted."""

from __future__ import annotations

import math

import pytest

from experiment_core.judge.summary import JudgedPair, Summary, strata, summarise
from experiment_core.verdicts import Judged, Said

SCORED = (8000, 1500, 500)
GUIDE = {"high": (20, 75, 5), "mild": (45, 40, 15), "major": (55, 10, 35)}


def pairs(bucket: int, said: Said, count: int, log_ratio: float = 0.0) -> list[JudgedPair]:
    return [JudgedPair(bucket, Judged(said, said), log_ratio)] * count


def guide() -> list[JudgedPair]:
    found = []
    for bucket, counts in enumerate(GUIDE.values()):
        for said, count in zip(("better", "equivalent", "worse"), counts, strict=True):
            found += pairs(bucket, said, count)
    return found


@pytest.fixture(scope="module")
def summary() -> Summary:
    return summarise([*guide(), *pairs(2, "unreadable", 4), *pairs(0, "steered", 2)], SCORED, 2_128_000_000)


def test_the_documented_figures(summary: Summary) -> None:
    assert (summary.judged_count, summary.parse_errors, summary.steered) == (300, 4, 2)
    assert {name: each.value for name, each in summary.sample.verdicts.items()} == pytest.approx(
        {"better": 0.4, "equivalent": 125 / 300, "worse": 55 / 300}
    )
    assert {name: each.n for name, each in summary.by_bucket.items()} == {"high": 100, "mild": 100, "major": 100}
    assert summary.by_bucket["major"].verdicts["worse"].value == 0.35


def test_the_headline_is_the_traffics_rate(summary: Summary) -> None:
    assert {name: each.value for name, each in summary.traffic.items()} == pytest.approx(
        {"better": 0.255, "equivalent": 0.665, "worse": 0.08}
    )
    assert summary.worse_minus_better.value == pytest.approx(-0.175)
    assert summary.discordance.difference.value == pytest.approx((55 - 120) / 300)


def test_pairs_without_a_verdict_widen_the_bounds_and_cost_what_they_cost(summary: Summary) -> None:
    worse = summary.bounds["worse"]
    assert worse.complete == summary.traffic["worse"]
    assert (worse.all_better.value or 0) < (worse.complete.value or 0) < (worse.all_worse.value or 0)
    assert summary.cost_per_pair_nano == pytest.approx(7_000_000)
    assert summary.orders.consistency.value == 1.0


def test_inconsistent_pairs_follow_the_rule_for_ties() -> None:
    split = [JudgedPair(0, Judged("equivalent", "worse"), 0.0)] * 3
    assert strata(split, (10,))[0].equivalent == 3
    assert strata(split, (10,), "win")[0].worse == 3


def test_an_empty_run_says_nothing() -> None:
    found = summarise([], SCORED, 0)
    assert (found.judged_count, found.cost_per_pair_nano) == (0, None)
    assert found.traffic["worse"].value is None
    assert (found.traffic["worse"].interval.lower, found.traffic["worse"].interval.upper) == (0.0, 1.0)


def test_lengths_are_controlled_where_they_are_known() -> None:
    long_wins = [*pairs(0, "better", 60, 1.0), *pairs(0, "better", 20, -1.0)]
    long_wins += [*pairs(0, "worse", 20, 1.0), *pairs(0, "worse", 60, -1.0), *pairs(0, "worse", 9, math.nan)]
    found = summarise(long_wins, (1000, 0, 0), 1).length_controlled
    assert found["better"].rate.value == pytest.approx(0.5, abs=0.01)
    assert (found["better"].slope.value or 0) > 1
    assert (found["worse"].slope.value or 0) < -1
