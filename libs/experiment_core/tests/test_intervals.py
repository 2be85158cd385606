"""Intervals of proportions and differences, against the reference's values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.intervals import (
    NOTHING,
    UNKNOWN,
    Estimate,
    Interval,
    independent_difference,
    multinomial_difference,
    multinomial_error,
    paired_difference,
    proportion,
    wilson,
)

WILSON = [
    (0, 10, 0.0, 0.277533),
    (1, 10, 0.017876, 0.404150),
    (5, 10, 0.236593, 0.763407),
    (10, 10, 0.722467, 1.0),
    (123, 300, 0.355824, 0.466452),
    (5, 100, 0.021544, 0.111750),
    (35, 100, 0.263642, 0.447456),
    (81, 263, 0.255289, 0.366210),
    (15, 148, 0.062386, 0.160487),
    (0, 20, 0.0, 0.161125),
    (1, 29, 0.006113, 0.171755),
    (54, 300, 0.140658, 0.227433),
    (15, 100, 0.093060, 0.232836),
    (615, 1500, 0.385371, 0.435089),
]


def bounds(found: Interval | Estimate) -> tuple[float, float]:
    interval = found.interval if isinstance(found, Estimate) else found
    assert interval.lower is not None
    assert interval.upper is not None
    return interval.lower, interval.upper


@pytest.mark.parametrize(("hits", "n", "lower", "upper"), WILSON)
def test_wilson(hits: int, n: int, lower: float, upper: float) -> None:
    assert bounds(wilson(hits, n)) == pytest.approx((lower, upper), abs=1e-6)


def test_wilson_without_data_knows_nothing() -> None:
    assert wilson(0, 0) == Interval(0.0, 1.0)
    assert proportion(0, 0) == Estimate(None, Interval(0.0, 1.0))


@given(st.integers(1, 10**6), st.data())
def test_wilson_holds_the_rate_and_ends_exactly_at_0_and_1(n: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, n))
    lower, upper = bounds(wilson(hits, n))
    assert 0.0 <= lower <= hits / n <= upper <= 1.0
    assert (lower == 0.0) == (hits == 0)
    assert (upper == 1.0) == (hits == n)
    mirrored = bounds(wilson(n - hits, n))
    assert mirrored == pytest.approx((1 - upper, 1 - lower), abs=1e-9)


@pytest.mark.parametrize(
    ("a", "b", "lower", "upper"),
    [
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((6, 7), (2, 7), 0.0582, 0.8062),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((0, 10), (0, 20), -0.1611, 0.2775),
    ],
)
def test_newcombes_difference(a: tuple[int, int], b: tuple[int, int], lower: float, upper: float) -> None:
    assert bounds(independent_difference(*a, *b)) == pytest.approx((lower, upper), abs=5e-5)


def test_a_difference_without_one_of_the_samples_is_open() -> None:
    assert independent_difference(0, 0, 3, 10) == Estimate(None, Interval(-1.0, 1.0))


@pytest.mark.parametrize(
    ("better", "worse", "value", "lower", "upper"),
    [
        pytest.param(80, 105, -0.01471, -0.0304, 0.0010, id="gpt-4o to gpt-4o-mini, tools"),
        pytest.param(55, 959, -0.5318, -0.5584, -0.5051, id="gpt-4o of May to gpt-4o of August, prompted"),
    ],
)
def test_the_difference_of_verdicts_of_one_sample(
    better: int, worse: int, value: float, lower: float, upper: float
) -> None:
    found = multinomial_difference(better, worse, 1700)
    assert found.value == pytest.approx(value, abs=5e-5)
    assert bounds(found) == pytest.approx((lower, upper), abs=5e-5)


def test_the_error_of_a_difference_of_verdicts() -> None:
    assert multinomial_error(80, 105, 1700) == pytest.approx(0.00799, abs=5e-6)


def test_differences_without_rows_are_open() -> None:
    assert multinomial_difference(0, 0, 0) == paired_difference(0, 0, 0) == Estimate(None, Interval(-1.0, 1.0))


@given(st.integers(0, 400), st.integers(0, 400), st.integers(800, 5000))
def test_a_paired_change_lies_in_its_interval_and_never_has_none(gained: int, lost: int, n: int) -> None:
    found = paired_difference(gained, lost, n)
    lower, upper = bounds(found)
    assert found.value == (gained - lost) / n
    assert -1.0 <= lower < found.value < upper <= 1.0


def test_a_paired_change_of_many_rows_meets_the_plain_one() -> None:
    plain, adjusted = multinomial_difference(800, 1050, 17000), paired_difference(800, 1050, 17000)
    assert bounds(adjusted) == pytest.approx(bounds(plain), abs=2e-5)


def test_a_paired_change_covers_where_few_rows_change() -> None:
    rng = np.random.default_rng(4)
    cells = rng.multinomial(200, [0.01, 0.02, 0.97], size=4000)
    found = [bounds(paired_difference(int(gained), int(lost), 200)) for gained, lost, _ in cells]
    assert np.mean([lower <= -0.01 <= upper for lower, upper in found]) >= 0.94


@pytest.mark.parametrize(
    ("interval", "value", "out"),
    [
        (Interval(1, 2), 0, True),
        (Interval(1, 2), 3, True),
        (Interval(1, 2), 1, False),
        (Interval(None, 2), 3, True),
        (Interval(1, None), 0, True),
        (UNKNOWN, 0, False),
    ],
)
def test_what_an_interval_excludes(interval: Interval, value: float, out: bool) -> None:
    assert interval.excludes(value) is out


def test_scaling_moves_value_and_bounds() -> None:
    assert Estimate(1.0, Interval(0.5, None)).scaled(100, -100) == Estimate(0.0, Interval(-50.0, None))
    assert NOTHING.scaled(3) == NOTHING


def test_another_error_widens_in_quadrature() -> None:
    assert Estimate(0.0, Interval(-3.0, None)).widened(4.0) == Estimate(0.0, Interval(-5.0, None))
    assert Estimate(1.0, Interval(None, 13.0)).widened(5.0) == Estimate(1.0, Interval(None, 1 + math.hypot(12, 5)))
    assert NOTHING.widened(1.0) == NOTHING
