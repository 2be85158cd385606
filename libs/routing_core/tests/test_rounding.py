"""Thousandths are what `round` gives, but for a tie."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from routing_core.rounding import thousandths


@given(st.integers(0, 2**40))
def test_what_has_three_decimals_stays(count: int) -> None:
    assert thousandths(count / 1000) == count / 1000


@given(st.floats(0, 2**30))
def test_the_rest_goes_to_the_nearest(value: float) -> None:
    rounded = thousandths(value)
    assert rounded == round(rounded, 3)
    assert abs(rounded - value) <= 0.0005 * (1 + 1e-6)
