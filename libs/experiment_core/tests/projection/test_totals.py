"""Totals: what columns cost, and whether the interval holds the truth as often as it says."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.projection.costs import costs
from experiment_core.projection.draws import row_keys
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.pilots import choose
from experiment_core.projection.tokens import TokenModel
from experiment_core.projection.totals import INPUT_PRIOR, OUTPUT_PRIOR, Share, total_cost
from routing_core.pricing import Price, cost
from routing_core.types import Usage

TIERED = Price(
    2_500_000_000,
    10_000_000_000,
    300_000_000,
    above=((1000, Price(5_000_000_000, 20_000_000_000, 600_000_000)),),
    request=7,
)
TOKENS = st.integers(0, 200_000)


@given(TOKENS, TOKENS, TOKENS)
def test_a_column_costs_what_each_call_costs(input_tokens: int, cached: int, output_tokens: int) -> None:
    found = costs(TIERED, *(np.array([float(each)]) for each in (input_tokens, output_tokens, cached)))
    exact = cost(TIERED, Usage(input=input_tokens, output=output_tokens, cache_read=cached))
    assert math.ceil(round(float(found[0]), 3)) == exact


def test_nothing_is_cached_unless_told() -> None:
    tokens = np.array([10.0, 5000.0])
    assert costs(TIERED, tokens, tokens).tolist() == costs(TIERED, tokens, tokens, np.zeros(2)).tolist()


def test_without_pairs_the_interval_is_the_prior_of_other_models() -> None:
    share = Share(0, 1, 10, 10, 0.0, 600.0, 400.0)
    total = total_cost([share], {}, {})
    spread = math.hypot(600 * INPUT_PRIOR, 400 * OUTPUT_PRIOR) / 1000
    assert total.nano.value == 1000
    assert total.nano.interval.upper == pytest.approx(1000 * math.exp(1.959964 * spread))
    assert total.nano.interval.lower == pytest.approx(1000 / math.exp(1.959964 * spread))
    assert total.remaining_error == pytest.approx(math.exp(1.959964 * spread) - 1)
    assert total.naive_rows == 10


@pytest.mark.parametrize("share", [Share(1, 1, 5, 0, 70.0, 0.0, 0.0), Share(0, 1, 5, 5, 0.0, 0.0, 0.0)])
def test_what_is_known_or_free_has_no_width(share: Share) -> None:
    total = total_cost([share], {}, {})
    assert (total.nano.interval.lower, total.nano.interval.upper) == (share.known_nano, share.known_nano)
    assert total.remaining_error == 0


def test_shares_of_batches_give_the_total_of_the_whole() -> None:
    whole = Share(0, 1, 30, 20, 5.0, 60.0, 40.0)
    parts = [Share(0, 1, 10, 5, 5.0, 20.0, 10.0), Share(0, 1, 20, 15, 0.0, 40.0, 30.0)]
    assert total_cost(parts, {}, {}) == total_cost([whole], {}, {})


def test_errors_of_different_pairs_of_models_add_up_as_independent_ones() -> None:
    one, two = (total_cost([Share(0, n, 9, 9, 0.0, 0.0, 500.0) for n in range(count)], {}, {}) for count in (1, 2))
    assert math.log1p(two.remaining_error) == pytest.approx(math.log1p(one.remaining_error) / 2**0.5)


def trial(seed: int, spread: float) -> tuple[bool, bool]:
    """Whether the truth lies below or above the interval of a 50-call pilot on 600 made-up rows."""
    rng = np.random.default_rng(seed)
    rows = 600
    stratum = rng.integers(0, 5, rows)
    base_in, base_out = rng.lognormal(6, 0.5, rows), rng.lognormal(4, 0.7, rows)
    into = base_in * 1.1 + 30
    out = base_out ** rng.uniform(0.6, 1.1) * rng.lognormal(0, 0.4, 5)[stratum] * rng.lognormal(0.3, spread, rows)
    price = Price(1_000_000_000, 5_000_000_000)
    keys = row_keys(seed, [f"req_{row}" for row in range(rows)])
    pilot = choose(50, keys, stratum, costs(price, base_in, base_out), seed)
    at = pilot.rows
    unknown = np.full(50, np.nan)
    model = TokenModel.learn(
        Pairs(keys[at], stratum[at], base_in[at], base_out[at], into[at], out[at], unknown, unknown, pilot.chance)
    )
    assert model is not None
    others = np.setdiff1d(np.arange(rows), at)
    expected = model.expected(base_in[others], base_out[others], stratum[others])
    known = float(costs(price, into[at], out[at]).sum())
    projected = [
        float(costs(price, *each).sum()) for each in ((expected[0], expected[1] * 0), (expected[0] * 0, expected[1]))
    ]
    share = Share(0, 1, rows, rows - 50, known, *projected)
    interval = total_cost([share], {(0, 1): model}, {1: price}).nano.interval
    truth = float(costs(price, into, out).sum())
    return truth < (interval.lower or 0), truth > (interval.upper or 0)


@pytest.mark.parametrize("spread", [0.2, 0.5, 0.8])
def test_the_interval_of_a_pilot_holds_the_truth_about_as_often_as_it_says(spread: float) -> None:
    below, above = np.mean([trial(seed, spread) for seed in range(400)], axis=0)
    # 400 trials know a coverage of .95 to within .022
    assert 0.925 <= 1 - below - above <= 0.985
    assert above < 0.07


@pytest.mark.parametrize(("odd", "longer"), [(15.0, "above"), (0.0, "below")], ids=["a tail", "a silence"])
def test_the_side_to_which_the_pilot_leans_is_the_longer(odd: float, longer: str) -> None:
    rng = np.random.default_rng(3)
    base = rng.lognormal(4, 0.3, 50)
    out = base * rng.lognormal(0, 0.1, 50)
    out[7] *= odd
    unknown, keys = np.full(50, np.nan), row_keys(1, [f"req_{row}" for row in range(50)])
    stratum, chance = np.zeros(50, np.int64), np.full(50, 0.02)
    model = TokenModel.learn(Pairs(keys, stratum, base * 10, base, base * 10, out, unknown, unknown, chance))
    assert model is not None
    nano = total_cost([Share(0, 1, 2500, 2450, 0.0, 1e9, 1e9)], {(0, 1): model}, {1: TIERED}).nano
    assert nano.value is not None
    assert nano.interval.lower is not None
    assert nano.interval.upper is not None
    below, above = math.log(nano.value / nano.interval.lower), math.log(nano.interval.upper / nano.value)
    assert above > 1.2 * below if longer == "above" else below > 1.2 * above
