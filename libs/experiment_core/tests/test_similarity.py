"""Histogram, agreement and buckets at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.intervals import Interval, wilson
from experiment_core.resampling import Units
from experiment_core.similarity import BUCKETS, agreement, buckets, excess_disagreement, histogram


def scores(hits: int, misses: int) -> np.ndarray:
    return np.concatenate([np.full(hits, 0.9), np.full(misses, 0.2)])


@pytest.mark.parametrize(
    ("score", "bucket"),
    [(0.0, 0), (0.1, 1), (0.3, 3), (0.6, 6), (0.7, 7), (0.8999, 8), (0.9, 9), (1.0, 9), (-0.2, 0), (1.1, 9)],
)
def test_a_bucket_holds_its_lower_edge(score: float, bucket: int) -> None:
    assert histogram(np.array([score])).index(1) == bucket


@given(st.lists(st.one_of(st.floats(-1, 1), st.just(float("nan"))), max_size=50))
def test_the_histogram_counts_each_scored_pair_once(values: list[float]) -> None:
    found = histogram(np.array(values))
    assert len(found) == 10
    assert sum(found) == np.count_nonzero(~np.isnan(np.array(values)))


def test_agreement_counts_the_threshold_in_and_leaves_unscored_pairs_out() -> None:
    found = agreement(np.array([0.85, 0.9, 0.849, np.nan]))
    assert (found.scored, found.unscored, found.threshold) == (3, 1, 0.85)
    assert found.rate.value == pytest.approx(2 / 3)
    assert found.rate.interval == wilson(2, 3)


def test_agreement_without_scores_is_unknown() -> None:
    found = agreement(np.array([np.nan, np.nan]))
    assert found.rate.value is None
    assert found.rate.interval == Interval(0.0, 1.0)


def test_full_agreement_ends_exactly_at_one_also_by_runs_and_weights() -> None:
    units = Units.of(40, np.arange(40) // 4, np.linspace(1, 3, 40))
    found = agreement(np.ones(40), 0.85, units)
    assert found.rate.value == 1.0
    assert found.rate.interval.upper == 1.0
    assert found.effective < 10.5


def test_disagreement_is_told_beyond_that_of_the_baseline_with_itself() -> None:
    found = excess_disagreement(agreement(scores(30, 70)), agreement(scores(90, 10)))
    assert found.value == pytest.approx(0.6)
    assert found.interval.excludes(0)
    alike = excess_disagreement(agreement(scores(88, 12)), agreement(scores(90, 10)))
    assert not alike.interval.excludes(0)


def test_agreements_at_two_thresholds_do_not_compare() -> None:
    with pytest.raises(ValueError, match="use one threshold"):
        excess_disagreement(agreement(scores(1, 1), 0.8), agreement(scores(1, 1)))


@pytest.mark.parametrize(
    ("score", "name"),
    [(1.0, "high"), (0.95, "high"), (0.9499, "mild"), (0.80, "mild"), (0.7999, "major"), (0.0, "major")],
)
def test_the_buckets_of_a_judge(score: float, name: str) -> None:
    assert BUCKETS[int(buckets(np.array([score]))[0])] == name


def test_buckets_may_be_set_and_unscored_pairs_have_none() -> None:
    assert buckets(np.array([np.nan, 0.5, 0.4]), high=0.5, mild=0.3).tolist() == [-1, 0, 1]
