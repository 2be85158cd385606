"""Drawn lengths: spread as answers are, and led by the candidate's own past."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.projection.lengths import Lengths


def lengths(seed: int, count: int = 60) -> Lengths:
    """Short answers scatter little, long ones much."""
    rng = np.random.default_rng(seed)
    expected = rng.lognormal(4, 0.7, count)
    scatter = np.where(expected > 60, 0.6, 0.05)
    return Lengths.of(np.round(expected * np.exp(scatter * rng.standard_normal(count))), expected, np.ones(count))


def test_short_and_long_answers_scatter_as_pairs_of_their_own_length_did() -> None:
    chance = np.random.default_rng(1).random(4000)
    short, long = (lengths(2, 400).draw(np.full(4000, expected), chance) / expected for expected in (30.0, 150.0))
    assert short.std() < 0.15
    assert long.std() > 0.4


@given(st.integers(0, 200), st.floats(0, 5000), st.floats(0, 1, exclude_max=True))
def test_a_length_is_a_whole_number_that_some_pair_stands_for(seed: int, expected: float, chance: float) -> None:
    of = lengths(seed)
    drawn = float(of.draw(np.array([expected]), np.array([chance]))[0])
    assert drawn in np.maximum(np.rint((expected + 1) * of.ratio - 1), 0)


def test_a_past_twice_as_long_moves_lengths_by_the_root_of_two() -> None:
    of = lengths(3)
    rows = np.random.default_rng(4).lognormal(4, 0.7, 5000)
    chance = np.random.default_rng(5).random(5000)
    plain = of.draw(rows, chance)
    led = of.with_history(plain * 2 + 1, rows).draw(rows, chance)
    assert np.median((led + 1) / (plain + 1)) == pytest.approx(2**0.5, rel=0.03)


def test_a_past_like_the_rows_changes_little_and_a_short_one_less_than_a_long_one() -> None:
    of = lengths(3)
    rows = np.random.default_rng(4).lognormal(4, 0.7, 5000)
    chance = np.random.default_rng(5).random(5000)
    plain = of.draw(rows, chance)
    assert np.median(of.with_history(plain, rows).draw(rows, chance) / plain) == pytest.approx(1, rel=0.03)
    few, many = (of.with_history(np.full(count, 5000.0), rows).draw(rows, chance).mean() for count in (3, 300))
    assert plain.mean() < few < many


@pytest.mark.parametrize(("past", "rows"), [(0, 5), (5, 0)], ids=["no past", "no rows"])
def test_without_a_past_or_rows_nothing_is_moved(past: int, rows: int) -> None:
    of = lengths(3)
    assert of.with_history(np.ones(past), np.ones(rows)) is of
