"""Costs are whole nano-USD, never below the exact amount, and never above the bound."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.pricing import EXPECTED_OUTPUT_TOKENS, Price, bound, cost, estimate
from routing_core.types import Usage

MINI = Price(150_000_000, 600_000_000, cache_read=75_000_000)
LONG = Price(
    1_250_000_000,
    10_000_000_000,
    cache_read=125_000_000,
    cache_write=1_500_000_000,
    above=((200_000, Price(2_500_000_000, 15_000_000_000, cache_read=250_000_000)),),
)

RATES = st.integers(0, 200_000_000_000)
OPTIONAL = st.none() | RATES
PLAIN = st.builds(Price, RATES, RATES, OPTIONAL, OPTIONAL)
TIERS = st.lists(st.tuples(st.integers(1, 10**6), PLAIN), max_size=3, unique_by=lambda t: t[0]).map(
    lambda tiers: tuple(sorted(tiers, key=lambda t: t[0]))
)
PRICES = st.builds(Price, RATES, RATES, OPTIONAL, OPTIONAL, TIERS)
COUNT = st.integers(0, 2 * 10**6)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    read, write, plain = draw(COUNT), draw(COUNT), draw(COUNT)
    return Usage(input=plain + read + write, output=draw(COUNT), cache_read=read, cache_write=write)


@pytest.mark.parametrize(
    ("price", "usage", "expected"),
    [
        pytest.param(MINI, Usage(), 0, id="nothing costs nothing"),
        pytest.param(MINI, Usage(input=1), 150, id="one token"),
        pytest.param(MINI, Usage(input=1000, output=500), 450_000, id="input and output"),
        pytest.param(MINI, Usage(input=1000, cache_read=800), 90_000, id="cached input is cheaper"),
        pytest.param(MINI, Usage(input=1000, cache_write=800), 150_000, id="no write price: as plain input"),
        pytest.param(LONG, Usage(input=200_000), 250_000_000, id="at the threshold"),
        pytest.param(LONG, Usage(input=200_001), 500_002_500, id="above it, for the whole call"),
        pytest.param(LONG, Usage(input=200_001, output=1), 500_017_500, id="output at its tier too"),
        pytest.param(LONG, Usage(input=300_000, cache_read=300_000), 75_000_000, id="cached tokens count as length"),
        pytest.param(Price(1, 1), Usage(input=1), 1, id="a fraction rounds up"),
        pytest.param(Price(1, 1), Usage(input=500_000, output=500_001), 2, id="rounded once, over the sum"),
        pytest.param(Price(10**6, 0, 10**6), Usage(input=5, cache_read=9), 9, id="more cached than input"),
    ],
)
def test_cost(price: Price, usage: Usage, expected: int) -> None:
    assert cost(price, usage) == expected


@given(PRICES, usages())
def test_cost_is_the_exact_amount_rounded_up_to_a_nano(price: Price, usage: Usage) -> None:
    row = price
    for threshold, tier in price.above:
        row = tier if usage.input > threshold else row
    read = row.input if row.cache_read is None else row.cache_read
    write = row.input if row.cache_write is None else row.cache_write
    plain = usage.input - usage.cache_read - usage.cache_write
    exact = Fraction(
        plain * row.input + usage.cache_read * read + usage.cache_write * write + usage.output * row.output, 10**6
    )
    assert 0 <= cost(price, usage) - exact < 1


@given(PRICES, usages(), COUNT, COUNT)
def test_no_call_within_its_counts_passes_the_bound(price: Price, usage: Usage, more: int, longer: int) -> None:
    assert cost(price, usage) <= bound(price, usage.input + more, usage.output + longer)


@given(PLAIN, usages(), usages())
def test_two_halves_cost_at_most_one_nano_more_than_the_whole(price: Price, one: Usage, two: Usage) -> None:
    whole = Usage(
        one.input + two.input,
        one.output + two.output,
        one.cache_read + two.cache_read,
        one.cache_write + two.cache_write,
    )
    assert 0 <= cost(price, one) + cost(price, two) - cost(price, whole) <= 1


def test_an_estimate_assumes_the_limit_or_the_usual_length() -> None:
    assert estimate(MINI, 1000, 500) == 450_000
    assert estimate(MINI, 0, None) == 600 * EXPECTED_OUTPUT_TOKENS
