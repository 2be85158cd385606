"""Percentiles, their order-statistic intervals and their paired change."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from experiment_core.intervals import NOTHING, UNKNOWN
from experiment_core.percentiles import Change, Column, change
from experiment_core.resampling import Units

finite = st.floats(-1e6, 1e6)


def column(values: list[float] | np.ndarray, units: Units | None = None) -> Column:
    array = np.asarray(values, dtype=np.float64)
    return Column(array, units or Units.of(len(array)))


def changed(
    before: np.ndarray, after: np.ndarray, q: float, cluster: np.ndarray | None = None, seed: int = 1
) -> Change:
    units = Units.of(len(before), cluster)
    return change(Column(before, units), Column(after, units), units, q, seed)


def width(found: Change) -> float:
    assert found.absolute.interval.lower is not None
    assert found.absolute.interval.upper is not None
    return found.absolute.interval.upper - found.absolute.interval.lower


@pytest.mark.parametrize(("q", "expected"), [(0.5, 5.5), (0.95, 9.55), (0.99, 9.91)])
def test_the_reference_percentiles(q: float, expected: float) -> None:
    assert column(np.arange(1, 11)).at(q) == pytest.approx(expected)


@given(arrays.arrays(np.float64, st.integers(1, 60), elements=finite), st.floats(0, 1))
def test_percentiles_are_numpys_linear_ones(values: np.ndarray, q: float) -> None:
    assert column(values).at(q) == pytest.approx(np.quantile(values, q), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize(
    ("n", "q", "lower", "upper"), [(200, 0.5, 86, 115), (200, 0.95, 184, 197), (1000, 0.95, 936, 964)]
)
def test_the_interval_of_one_percentile(n: int, q: float, lower: int, upper: int) -> None:
    interval = column(np.random.default_rng(2).permutation(np.arange(1.0, n + 1))).estimate(q).interval
    assert (interval.lower, interval.upper) == (lower, upper)


@pytest.mark.parametrize(("n", "bounded"), [(71, False), (72, True)])
def test_p95_of_few_rows_has_no_upper_bound(n: int, bounded: bool) -> None:
    interval = column(np.arange(float(n))).estimate(0.95).interval
    assert (interval.upper is not None) is bounded
    assert interval.lower is not None


def test_rows_without_a_value_are_left_out() -> None:
    assert column([np.nan, 1.0, np.nan, 3.0]).at(0.5) == 2.0
    assert column([np.nan]).estimate(0.5) == NOTHING
    assert column([]).effective_rows(0.5) == 0


def test_a_row_that_weighs_double_counts_as_two() -> None:
    values, weight = np.arange(1.0, 101.0), np.ones(100)
    weight[50:] = 2.0
    weighted = Column(values, Units.of(100, weight=weight))
    repeated = column(np.concatenate([values, values[50:]]))
    assert weighted.at(0.5) == pytest.approx(repeated.at(0.5), abs=0.51)
    assert weighted.effective_rows(0.5) < 100


def test_an_unchanged_column_has_a_change_of_exactly_nothing() -> None:
    values = np.random.default_rng(1).lognormal(size=500)
    found = changed(values, values, 0.95)
    assert found.absolute.value == found.absolute.interval.lower == found.absolute.interval.upper == 0.0
    assert found.relative.value == found.relative.interval.lower == found.relative.interval.upper == 0.0


def test_a_shift_is_found_with_its_size_and_share() -> None:
    values = np.random.default_rng(1).lognormal(size=2000)
    found = changed(values, 0.5 * values, 0.5)
    assert found.relative.value == pytest.approx(-0.5)
    assert found.relative.interval.upper == pytest.approx(-0.5, abs=1e-9)
    assert found.absolute.interval.upper is not None
    assert found.absolute.interval.upper < 0


def test_the_same_seed_gives_the_same_interval() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.lognormal(size=(2, 300))
    assert changed(before, after, 0.95, seed=8) == changed(before, after, 0.95, seed=8)
    assert changed(before, after, 0.95, seed=8) != changed(before, after, 0.95, seed=9)


def test_too_few_rows_leave_the_bounds_of_the_change_open() -> None:
    rng = np.random.default_rng(3)
    before, after = rng.lognormal(size=(2, 300))
    assert changed(before, after, 0.99).absolute.interval == UNKNOWN
    after[40:] = np.nan
    found = changed(before, after, 0.95)
    assert found.absolute.interval.upper is None
    assert found.absolute.interval.lower is not None
    assert changed(before, np.full(300, np.nan), 0.5).absolute == NOTHING


def test_a_change_from_nothing_has_no_share() -> None:
    found = changed(np.zeros(100), np.ones(100), 0.5)
    assert found.absolute.value == 1.0
    assert found.relative == NOTHING


def test_pairing_narrows_and_opposed_columns_widen() -> None:
    noise = np.random.default_rng(5).standard_normal((2, 1000))
    together = changed(np.exp(noise[0]), np.exp(0.7 * noise[0] + 0.714 * noise[1]), 0.5)
    apart, opposed = changed(np.exp(noise[0]), np.exp(noise[1]), 0.5), changed(np.exp(noise[0]), np.exp(-noise[0]), 0.5)
    assert width(together) < 0.85 * width(apart)
    assert width(opposed) > 1.2 * width(apart)


def test_rows_of_one_run_count_as_fewer() -> None:
    rng = np.random.default_rng(6)
    run = np.repeat(np.arange(60), 20)
    level = np.repeat(rng.standard_normal(60), 20)
    before = np.exp(level + 0.3 * rng.standard_normal(1200))
    after = np.exp(np.repeat(rng.standard_normal(60), 20) + 0.3 * rng.standard_normal(1200))
    assert width(changed(before, after, 0.5, run)) > 2.5 * width(changed(before, after, 0.5))
    assert column(before, Units.of(1200, run)).effective_rows(0.5) < 150


@pytest.mark.parametrize(("rows", "q"), [(400, 0.5), (400, 0.95)])
def test_the_change_agrees_with_resampling_rows(rows: int, q: float) -> None:
    rng = np.random.default_rng(7)
    noise = rng.standard_normal((2, rows))
    before, after = np.exp(noise[0]), np.exp(0.66 * noise[0] + 0.751 * noise[1])
    picked = rng.integers(rows, size=(2000, rows))
    draws = np.quantile(after[picked], q, axis=1) - np.quantile(before[picked], q, axis=1)
    low, high = np.quantile(draws, [0.025, 0.975])
    found = changed(before, after, q)
    assert found.absolute.interval.lower == pytest.approx(low, abs=0.2 * (high - low))
    assert found.absolute.interval.upper == pytest.approx(high, abs=0.2 * (high - low))


@pytest.mark.nightly
@pytest.mark.parametrize("rows", [100, 400, 1000])
@pytest.mark.parametrize("q", [0.5, 0.95])
def test_the_change_covers(rows: int, q: float) -> None:
    rng = np.random.default_rng(rows)
    deviate = float(np.quantile(rng.standard_normal(2_000_000), q))
    truth, held = (0.8 - 1.0) * np.exp(0.7 * deviate), 0
    for trial in range(1000):
        noise = rng.standard_normal((2, rows))
        before, after = np.exp(0.7 * noise[0]), 0.8 * np.exp(0.7 * (0.66 * noise[0] + 0.751 * noise[1]))
        interval = changed(before, after, q, seed=trial).absolute.interval
        held += (interval.lower or -np.inf) <= truth <= (np.inf if interval.upper is None else interval.upper)
    assert 0.93 <= held / 1000 <= 0.985
