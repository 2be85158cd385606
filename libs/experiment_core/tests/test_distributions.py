"""Quantiles against published tables."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.distributions import Z95, binomial_ranks, exact_sign_p, student, z


def test_the_normal_quantile_is_that_of_the_reference() -> None:
    assert z(0.95) == Z95 == 1.959963984540054
    assert z(1 - 0.05 / 4) == pytest.approx(2.497705, abs=1e-6)


@pytest.mark.parametrize(
    ("confidence", "freedom", "expected"),
    [
        (0.95, 1, 12.7062047),
        (0.95, 2, 4.30265273),
        (0.95, 3, 3.18244631),
        (0.95, 4, 2.77644511),
        (0.95, 5, 2.57058184),
        (0.95, 10, 2.22813885),
        (0.95, 30, 2.04227246),
        (0.95, 199, 1.97195654),
        (0.99, 3, 5.84090931),
        (0.8, 4, 1.53320627),
        (0.5, 10, 0.69981206),
    ],
)
def test_students_quantile(confidence: float, freedom: float, expected: float) -> None:
    assert student(confidence, freedom) == pytest.approx(expected, abs=5e-6)


def test_one_value_has_no_students_quantile() -> None:
    with pytest.raises(ValueError, match="a mean of 1 values"):
        student(0.95, 0)


@pytest.mark.parametrize(
    ("n", "q", "ranks"),
    [
        (200, 0.5, (86, 115)),
        (200, 0.95, (184, 197)),
        (1000, 0.95, (936, 964)),
        (71, 0.95, (63, None)),
        (72, 0.95, (64, 72)),
        (1, 0.5, (None, None)),
    ],
)
def test_ranks_of_the_order_statistics(n: int, q: float, ranks: tuple[int | None, int | None]) -> None:
    assert binomial_ranks(n, q, 0.95) == ranks


@given(st.integers(1, 300), st.floats(0.01, 0.99))
def test_ranks_hold_each_tail_below_its_half(n: int, q: float) -> None:
    lower, upper = binomial_ranks(n, q, 0.95)
    mass = [math.comb(n, k) * q**k * (1 - q) ** (n - k) for k in range(n + 1)]
    assert sum(mass[: lower or 0]) <= 0.025 + 1e-9
    assert sum(mass[upper or n + 1 :]) <= 0.025 + 1e-9


def test_ranks_of_a_large_sample_meet_the_normal_approximation() -> None:
    lower, upper = binomial_ranks(1_000_000, 0.99, 0.95)
    half = Z95 * math.sqrt(1_000_000 * 0.99 * 0.01)
    assert lower == pytest.approx(990_000 - half, abs=2)
    assert upper == pytest.approx(990_000 + half, abs=2)


@pytest.mark.parametrize(("first", "second", "p"), [(25, 10, 0.016674), (80, 105, 0.0774), (3, 3, 1.0), (0, 0, 1.0)])
def test_mcnemars_exact_p(first: int, second: int, p: float) -> None:
    assert exact_sign_p(first, second) == pytest.approx(p, abs=5e-5 if p == 0.0774 else 1e-6)
    assert exact_sign_p(second, first) == exact_sign_p(first, second)
