"""Means and ratios over rows: exact cases, clusters, weights, heavy tails."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.intervals import NOTHING, UNKNOWN, Estimate, Interval, multinomial_difference
from experiment_core.resampling import MOST_GROUPS, Resampler, Units, paired_share


def width(found: Estimate) -> float:
    assert found.interval.lower is not None
    assert found.interval.upper is not None
    return found.interval.upper - found.interval.lower


def ratio(numerator: np.ndarray, denominator: np.ndarray, cluster: np.ndarray | None = None) -> Estimate:
    return Resampler(Units.of(len(numerator), cluster), 1).ratio(numerator, denominator)


def test_a_row_without_a_cluster_is_its_own_unit() -> None:
    units = Units.of(5, np.array([7, -1, 7, -1, 3]))
    assert units.count == 4
    assert units.of_row[0] == units.of_row[2]
    assert not units.simple
    assert Units.of(3, np.array([-1, -1, -1])).simple
    assert Units.of(3, np.array([2, 5, 9])).simple
    assert not Units.of(2, weight=np.array([1.0, 2.0])).simple


def test_nothing_to_divide_by_gives_nothing() -> None:
    assert ratio(np.ones(3), np.zeros(3)) == NOTHING
    assert ratio(np.zeros(0), np.zeros(0)) == NOTHING
    assert Units.of(0).mean(np.zeros(0)) == 0.0


def test_one_unit_has_a_value_and_no_interval() -> None:
    assert ratio(np.array([2.0]), np.array([4.0])) == Estimate(0.5, UNKNOWN)
    assert Units.of(2, np.array([1, 1])).variance_of_sum(np.zeros(2)) == np.inf


def test_a_constant_ratio_has_no_width() -> None:
    spend = np.random.default_rng(1).lognormal(size=200)
    found = ratio(0.4 * spend, spend)
    assert found.value == found.interval.lower == found.interval.upper == pytest.approx(0.4)


def test_few_units_use_students_interval() -> None:
    found = Resampler(Units.of(4), 1).mean(np.array([1.0, 2.0, 3.0, 4.0]))
    half = 3.18244631 * np.sqrt(5 / 3 / 4)
    assert found == Estimate(2.5, Interval(pytest.approx(2.5 - half, abs=1e-5), pytest.approx(2.5 + half, abs=1e-5)))


def test_a_single_odd_row_falls_back_to_students_interval() -> None:
    values = np.zeros(20)
    values[3] = 1.0
    found = Resampler(Units.of(20), 1).mean(values)
    assert found.interval == Interval(pytest.approx(0.05 - 2.093024 * 0.05), pytest.approx(0.05 + 2.093024 * 0.05))


def test_many_normal_rows_give_the_normal_interval() -> None:
    values = np.random.default_rng(2).standard_normal(5000)
    assert width(Resampler(Units.of(5000), 3).mean(values)) == pytest.approx(2 * 1.96 / np.sqrt(5000), rel=0.1)
    assert MOST_GROUPS < 5000


def test_a_heavy_tail_leans_the_interval_to_its_side() -> None:
    values = np.random.default_rng(3).lognormal(0, 1.5, 300)
    found = Resampler(Units.of(300), 1).mean(values)
    assert found.value is not None
    assert found.interval.lower is not None
    assert found.interval.upper is not None
    assert found.interval.upper - found.value > 1.2 * (found.value - found.interval.lower)


def test_rows_that_repeat_within_a_run_widen_by_the_root_of_its_length() -> None:
    values = np.repeat(np.random.default_rng(4).standard_normal(100), 16)
    run = np.repeat(np.arange(100), 16)
    plain = Resampler(Units.of(1600), 1).mean(values)
    assert width(Resampler(Units.of(1600, run), 1).mean(values)) == pytest.approx(4 * width(plain), rel=0.15)


@given(st.lists(st.booleans(), min_size=2, max_size=50), st.data())
def test_effective_rows_lie_between_one_and_the_rows(hits: list[bool], data: st.DataObject) -> None:
    cluster = data.draw(st.lists(st.integers(-1, 5), min_size=len(hits), max_size=len(hits)))
    units = Units.of(len(hits), np.array(cluster))
    effective = units.effective_rows(np.array(hits, dtype=np.float64))
    assert 0 <= effective <= len(hits)
    assert Units.of(len(hits)).effective_rows(np.array(hits, dtype=np.float64)) == len(hits)


def test_groups_of_one_mean_count_as_all_their_rows() -> None:
    assert Units.of(4, np.array([0, 1, 0, 1])).effective_rows(np.array([0.0, 0.0, 1.0, 1.0])) == 4


def test_whole_runs_of_one_outcome_count_as_runs() -> None:
    run, hits = np.repeat(np.arange(50), 10), np.repeat(np.arange(50) % 2, 10).astype(np.float64)
    assert Units.of(500, run).effective_rows(hits) == pytest.approx(50, rel=0.05)
    assert Units.of(500, run).effective_rows(np.zeros(500)) == pytest.approx(50)


def test_weights_carry_over_to_the_mean() -> None:
    values, weight = np.array([1.0, 0.0, 0.0]), np.array([2.0, 1.0, 1.0])
    assert Units.of(3, weight=weight).mean(values) == 0.5
    assert Resampler(Units.of(3, weight=weight), 1).mean(values).value == 0.5


def test_the_change_of_a_share_meets_the_verdicts_formula_and_widens_by_runs() -> None:
    before, after = np.zeros(1700, dtype=np.bool_), np.zeros(1700, dtype=np.bool_)
    before[:105], after[105:185] = True, True
    found, plain = paired_share(before, after, Units.of(1700)), multinomial_difference(80, 105, 1700)
    assert found.value == plain.value
    assert found.interval.lower == pytest.approx(plain.interval.lower, abs=2e-4)
    assert width(paired_share(before, after, Units.of(1700, np.arange(1700) // 20))) > 2 * width(found)


@pytest.mark.nightly
@pytest.mark.parametrize(("rows", "least"), [(30, 0.88), (100, 0.90), (1000, 0.92)])
def test_the_ratio_covers_heavy_tails_and_misses_on_both_sides_alike(rows: int, least: float) -> None:
    rng, above, below, plain_below = np.random.default_rng(rows), 0, 0, 0
    for trial in range(1000):
        noise = rng.standard_normal((2, rows))
        before, after = np.exp(1.5 * noise[0]), 0.4 * np.exp(1.5 * (0.6 * noise[0] + 0.8 * noise[1]))
        interval = Resampler(Units.of(rows), trial).ratio(after, before).interval
        above += (interval.lower or 0.0) > 0.4
        below += (interval.upper or 0.0) < 0.4
        value = after.sum() / before.sum()
        plain_below += value + 1.96 * np.sqrt(np.sum((after - value * before) ** 2)) / before.sum() < 0.4
    assert least <= 1 - (above + below) / 1000 <= 0.97
    assert below < plain_below
