"""Dollars are read exactly or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.money import dollars, nano_usd


@pytest.mark.parametrize(
    ("written", "nano"),
    [
        (0, 0),
        ("0", 0),
        (1, 10**9),
        (0.05, 50_000_000),
        ("0.075", 75_000_000),
        ("0.000000001", 1),
        ("1.0000000000000", 10**9),
        ("007", 7 * 10**9),
        (1e3, 10**12),
        (1e-9, 1),
        (10**9, 10**18),
        (123_456_789.123456789, 123_456_789_123_456_790),
    ],
)
def test_dollars(written: object, nano: int) -> None:
    assert nano_usd(written) == nano


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (-1, "negative"),
        ("-0.5", "negative"),
        (float("nan"), "not a number"),
        (float("inf"), "not a number"),
        ("NaN", "no unit, sign or exponent"),
        ("Infinity", "no unit, sign or exponent"),
        ("10 USD", "no unit, sign or exponent"),
        ("$10", "no unit, sign or exponent"),
        ("0.1+0.2", "no unit, sign or exponent"),
        (0.1 + 0.2, "nine decimals"),
        ("0.0000000001", "nine decimals"),
        ("1e3", "no unit, sign or exponent"),
        ("1_000", "no unit, sign or exponent"),
        ("1,000", "no unit, sign or exponent"),
        (" 1", "no unit, sign or exponent"),
        ("", "no unit, sign or exponent"),
        (".5", "no unit, sign or exponent"),
        ("٣", "no unit, sign or exponent"),
        ("1\n", "no unit, sign or exponent"),
        ("9" * 5000, "no unit, sign or exponent"),
        (1e18, "billion billion"),
        pytest.param(10**5000, "billion billion", id="5000 digits"),
        (1e300, "billion billion"),
        (1e-300, "nine decimals"),
        (True, "not a number"),
        (None, "not a number"),
        ([1], "not a number"),
    ],
)
def test_what_is_not_an_amount_of_dollars(written: object, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        nano_usd(written)


@given(st.integers(0, 10**20))
def test_what_is_written_is_read_again(nano: int) -> None:
    assert nano_usd(dollars(nano).removeprefix("$").replace(",", "")) == nano
