"""Rates at equal lengths."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiment_core.arrays import Bools, Floats
from experiment_core.judge.lengths import UNCONTROLLED, length_controlled, log_length_ratio


def verdicts(seed: int, ratio: Floats, centre: float, slope: float) -> Bools:
    odds = centre + slope * np.tanh(ratio / ratio.std())
    return np.random.default_rng(seed).random(len(ratio)) < 1 / (1 + np.exp(-odds))


def test_a_judge_that_likes_length_is_corrected() -> None:
    ratio = np.random.default_rng(1).normal(1.0, 0.8, 1500)
    better = verdicts(2, ratio, 0.0, 2.0).astype(np.float64)
    found = length_controlled(better, ratio, np.ones(1500))
    assert better.mean() > 0.7
    assert found.rate.value == pytest.approx(0.5, abs=0.07)
    assert not found.rate.interval.excludes(0.5)
    assert found.rate.interval.excludes(better.mean())
    assert found.slope.value == pytest.approx(2.0, abs=0.4)


def test_without_length_bias_the_rate_stays() -> None:
    ratio = np.random.default_rng(3).normal(0.3, 0.5, 1500)
    worse = verdicts(4, ratio, -1.5, 0.0).astype(np.float64)
    found = length_controlled(worse, ratio, np.ones(1500))
    assert found.rate.value == pytest.approx(worse.mean(), abs=0.03)
    assert not found.slope.interval.excludes(0.0)


def test_weights_turn_the_sample_into_the_traffic() -> None:
    rng = np.random.default_rng(5)
    ratio = rng.normal(0, 0.5, 1000)
    worse = (rng.random(1000) < np.where(np.arange(1000) < 500, 0.1, 0.6)).astype(np.float64)
    weight = np.where(np.arange(1000) < 500, 9.0, 1.0)
    found = length_controlled(worse, ratio, weight)
    assert found.rate.value == pytest.approx(0.9 * 0.1 + 0.1 * 0.6, abs=0.04)
    equal = length_controlled(worse, ratio, np.ones(1000))
    assert equal.rate.value == pytest.approx(0.35, abs=0.04)


def test_lengths_that_part_the_verdicts_completely_stay_finite() -> None:
    ratio = np.concatenate([np.linspace(-2, -1, 50), np.linspace(1, 2, 50)])
    found = length_controlled((ratio > 0).astype(np.float64), ratio, np.ones(100))
    assert found.slope.value is not None
    assert 1 < found.slope.value < 50
    assert found.rate.value == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("given", "ratio"),
    [
        pytest.param([1.0] * 9 + [0.0] * 90, list(range(99)), id="too few of one kind"),
        pytest.param([1.0] * 50 + [0.0] * 50, [0.5] * 100, id="lengths never differ"),
        pytest.param([1.0] * 50 + [0.0] * 50, [math.nan] * 100, id="no length known"),
        pytest.param([], [], id="nothing"),
    ],
)
def test_it_is_unknown_without_something_to_learn_from(given: list[float], ratio: list[float]) -> None:
    found = length_controlled(np.array(given), np.array(ratio, np.float64), np.ones(len(given)))
    assert found is UNCONTROLLED


def test_log_length_ratio() -> None:
    assert log_length_ratio(100, 200) == pytest.approx(math.log(2))
    assert log_length_ratio(0, 0) == 0.0


@pytest.mark.nightly
def test_the_interval_covers_the_rate_at_equal_length() -> None:
    missed = 0
    for seed in range(500):
        ratio = np.random.default_rng(1000 + seed).normal(0.5, 0.7, 300)
        found = length_controlled(verdicts(seed, ratio, -0.8, 1.0).astype(np.float64), ratio, np.ones(300))
        missed += found.rate.interval.excludes(1 / (1 + math.exp(0.8)))
    assert 0.92 <= 1 - missed / 500 <= 0.98
