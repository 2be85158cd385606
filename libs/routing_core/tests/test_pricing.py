"""Costs are whole nano-USD, never below the exact amount, and never above the bound."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.pricing import EXPECTED_OUTPUT_TOKENS, Price, bound, ceiling, cost, estimate, output_cost
from routing_core.types import Usage, UsageExtras

MINI = Price(150_000_000, 600_000_000, cache_read=75_000_000)
LONG = Price(
    1_250_000_000,
    10_000_000_000,
    cache_read=125_000_000,
    cache_write=1_500_000_000,
    above=((200_000, Price(2_500_000_000, 15_000_000_000, cache_read=250_000_000)),),
)

SPEECH = Price(2_000_000, 10_000_000, cache_read=1_000_000, input_audio=32_000_000, output_audio=64_000_000)
WRITER = Price(3_000_000, 15_000_000, 300_000, 3_750_000, cache_write_1h=6_000_000, web_search=10_000_000_000)
PAINTER = Price(2_000_000, 12_000_000, input_image=5_000_000, output_image=120_000_000, request=12_000_000_000)

RATES = st.integers(0, 200_000_000_000)
OPTIONAL = st.none() | RATES
_NAMES = "cache_write_1h input_audio cache_audio_read input_image output_audio output_image"
SPECIAL = dict.fromkeys(_NAMES.split(), OPTIONAL)
FEES = {"web_search": RATES, "request": RATES}
PLAIN = st.builds(Price, RATES, RATES, OPTIONAL, OPTIONAL, **SPECIAL, **FEES)
TIERS = st.lists(st.tuples(st.integers(1, 10**6), PLAIN), max_size=3, unique_by=lambda t: t[0]).map(
    lambda tiers: tuple(sorted(tiers, key=lambda t: t[0]))
)
PRICES = st.builds(Price, RATES, RATES, OPTIONAL, OPTIONAL, TIERS, **SPECIAL, **FEES)
COUNT = st.integers(0, 2 * 10**6)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Parts within their wholes, as dialects hand them over."""
    read, write, plain, output = draw(COUNT), draw(COUNT), draw(COUNT), draw(COUNT)
    heard = draw(st.integers(0, read))
    spoken = draw(st.integers(0, plain))
    sung = draw(st.integers(0, output))
    extras = UsageExtras(
        cache_write_1h=draw(st.integers(0, write)),
        input_audio=heard + spoken,
        cache_audio_read=heard,
        input_image=draw(st.integers(0, plain - spoken)),
        output_audio=sung,
        output_image=draw(st.integers(0, output - sung)),
        web_searches=draw(st.integers(0, 20)),
    )
    return Usage(plain + read + write, output, read, write, extras=draw(st.none() | st.just(extras)))


def exact(price: Price, usage: Usage) -> Fraction:
    """The sum said in full: every token at the price of its own kind."""
    row = price
    for threshold, tier in price.above:
        row = tier if usage.input > threshold else row
    x = usage.extras or UsageExtras()
    read = row.input if row.cache_read is None else row.cache_read
    write = row.input if row.cache_write is None else row.cache_write
    hour = write if row.cache_write_1h is None else row.cache_write_1h
    audio = row.input if row.input_audio is None else row.input_audio
    heard = row.cache_audio_read
    if heard is None:
        heard = read if row.input_audio is None else audio
    spoken = x.input_audio - x.cache_audio_read
    text = usage.input - usage.cache_read - usage.cache_write - spoken - x.input_image
    written = usage.output - x.output_audio - x.output_image
    tokens = (
        (text, row.input),
        (usage.cache_read - x.cache_audio_read, read),
        (x.cache_audio_read, heard),
        (usage.cache_write - x.cache_write_1h, write),
        (x.cache_write_1h, hour),
        (spoken, audio),
        (x.input_image, row.input if row.input_image is None else row.input_image),
        (written, row.output),
        (x.output_audio, row.output if row.output_audio is None else row.output_audio),
        (x.output_image, row.output if row.output_image is None else row.output_image),
    )
    fees = Fraction(row.request + x.web_searches * row.web_search, 1000)
    return Fraction(sum(count * rate for count, rate in tokens), 10**6) + fees


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
        pytest.param(
            WRITER, Usage(10, 0, 0, 8, extras=UsageExtras(cache_write_1h=3)), 2 * 3 + 19 + 18, id="an hour's cache"
        ),
        pytest.param(WRITER, Usage(1, extras=UsageExtras(web_searches=2)), 3 + 20_000_000, id="searches by the piece"),
        pytest.param(SPEECH, Usage(10, 4, extras=UsageExtras(input_audio=6, output_audio=3)), 402, id="sound"),
        pytest.param(
            SPEECH,
            Usage(10, 0, 4, extras=UsageExtras(input_audio=6, cache_audio_read=4)),
            8 + 6 * 32,
            id="cached sound without a price of its own is charged as sound",
        ),
        pytest.param(
            PAINTER, Usage(10, 5, extras=UsageExtras(input_image=4, output_image=2)), 12_000_308, id="pictures, a fee"
        ),
        pytest.param(
            SPEECH, Usage(10, 0, 8, extras=UsageExtras(input_image=9)), 8 + 4, id="no more pictures than what is left"
        ),
    ],
)
def test_cost(price: Price, usage: Usage, expected: int) -> None:
    assert cost(price, usage) == expected


@given(PRICES, usages())
def test_cost_is_the_exact_amount_rounded_up_to_a_nano(price: Price, usage: Usage) -> None:
    assert 0 <= cost(price, usage) - exact(price, usage) < 1


@given(PRICES, usages())
def test_the_output_costs_no_more_than_the_whole(price: Price, usage: Usage) -> None:
    assert 0 <= output_cost(price, usage) <= cost(price, usage)


@given(PRICES, usages(), COUNT, COUNT, st.integers(0, 5))
def test_no_call_within_its_counts_passes_the_bound(
    price: Price, usage: Usage, more: int, longer: int, searches: int
) -> None:
    made = usage.extras.web_searches if usage.extras else 0
    most = bound(price, usage.input + more, usage.output + longer, web_searches=made + searches)
    assert cost(price, usage) <= most


@given(PRICES, usages())
def test_a_bound_that_leaves_out_sound_and_pictures_holds_without_them(price: Price, usage: Usage) -> None:
    written = usage.extras.cache_write_1h if usage.extras else 0
    text = replace(usage, extras=UsageExtras(cache_write_1h=written))
    most = bound(price, usage.input, usage.output, audio=False, images=False)
    assert cost(price, text) <= most <= bound(price, usage.input, usage.output)


@given(st.builds(Price, RATES, RATES, OPTIONAL, OPTIONAL), usages(), usages())
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


def test_a_ceiling_charges_every_token_the_same_and_says_that_it_is_one() -> None:
    price = ceiling(100_000_000_000)
    usage = Usage(600_000, 400_000, 100_000, 50_000, extras=UsageExtras(50_000, 10, web_searches=1000))
    assert cost(price, usage) == 200_000_000_000
    assert (price.known, price.version) == (False, "ceiling/100000000000")
    assert MINI.known
