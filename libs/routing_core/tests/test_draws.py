"""Draws are uniform, independent of how the key is cut, and the same for ever."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.draws import draw, pick


def test_a_draw_never_changes_between_releases() -> None:
    assert draw("req_1", "ab_test") == 0.15414049196046775
    assert draw() == 0.8931675160897388


@given(st.lists(st.text(), max_size=4))
def test_a_draw_lies_in_the_half_open_unit_interval(parts: list[str]) -> None:
    assert 0.0 <= draw(*parts) < 1.0
    assert draw(*parts) == draw(*parts)


def test_where_the_key_is_cut_matters() -> None:
    assert draw("ab", "c") != draw("a", "bc")
    assert draw("1:a") != draw("", "a")


def test_a_lone_surrogate_is_only_text() -> None:
    assert 0.0 <= draw("\ud800") < 1.0


def test_draws_spread_evenly() -> None:
    counts = [0] * 10
    for number in range(20_000):
        counts[pick(draw("request", str(number)), 10)] += 1
    # chi-squared with 9 degrees of freedom: 27.9 is its 99.9 % point
    assert sum((count - 2000) ** 2 / 2000 for count in counts) < 27.9


@given(st.floats(0, 1), st.integers(1, 50))
def test_a_pick_is_always_in_range(position: float, size: int) -> None:
    assert 0 <= pick(position, size) < size


def test_nothing_cannot_be_picked_from() -> None:
    with pytest.raises(ValueError, match="nothing to pick"):
        pick(0.5, 0)
