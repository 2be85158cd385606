"""Token ratios: what pairs teach, how far it is shrunk, and how uncertain it stays."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.arrays import Floats
from experiment_core.projection.draws import row_keys
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.tokens import FEWEST_PAIRS, TokenModel


def pairs(seed: int, count: int, ratio: float = 1.5, noise: float = 0.3, template: float = 20.0) -> Pairs:
    """A candidate whose answers are `ratio` times as long, with twice that in stratum 1; its input is longer too."""
    rng = np.random.default_rng(seed)
    stratum = rng.integers(0, 2, count)
    base_in, base_out = rng.lognormal(6, 0.6, count).round(), rng.lognormal(4, 0.8, count).round()
    out = np.round(base_out * ratio * np.where(stratum == 1, 2, 1) * rng.lognormal(0, noise, count))
    keys = row_keys(0, [f"req_{row}" for row in range(count)])
    unknown = np.full(count, np.nan)
    into = np.round(base_in * 1.1 + template)
    return Pairs(keys, stratum, base_in, base_out, into, out, unknown, unknown, np.full(count, 0.1))


def learned(of: Pairs) -> TokenModel:
    model = TokenModel.learn(of)
    assert model is not None
    return model


def changed(of: Pairs, **columns: object) -> Pairs:
    return Pairs(**({each.name: getattr(of, each.name) for each in fields(Pairs)} | columns))


def taken(of: Pairs, rows: object) -> Pairs:
    return Pairs(*(getattr(of, each.name)[rows] for each in fields(Pairs)))


def test_too_few_pairs_teach_nothing() -> None:
    assert TokenModel.learn(pairs(1, FEWEST_PAIRS - 1)) is None
    assert TokenModel.learn(pairs(1, FEWEST_PAIRS)) is not None


def test_a_template_and_a_tokenizer_are_learned_from_few_pairs() -> None:
    model, rows = learned(pairs(1, 50)), pairs(2, 500)
    into, _ = model.expected(rows.input_base, rows.output_base, rows.stratum)
    assert np.abs(into - rows.input).max() / rows.input.mean() < 0.25
    assert into.sum() == pytest.approx(rows.input.sum(), rel=0.02)


def test_a_stratum_moves_away_from_the_pooled_ratio_as_its_pairs_grow() -> None:
    def ratios(count: int) -> Floats:
        model = learned(pairs(3, count, noise=0.05))
        same = np.full(2, 60.0)
        return model.expected(same * 10, same, np.array([0, 1]))[1] / 60

    few, many = ratios(12), ratios(2000)
    assert 1.5 < few[0] < few[1] < 3.0
    assert many[0] == pytest.approx(1.5, rel=0.05)
    assert many[1] == pytest.approx(3.0, rel=0.05)
    assert few[1] / few[0] < many[1] / many[0]


@given(st.integers(0, 500), st.integers(FEWEST_PAIRS, 60))
def test_sums_are_right_on_the_pairs_themselves(seed: int, count: int) -> None:
    of = pairs(seed, count)
    into, out = learned(of).expected(of.input_base, of.output_base, of.stratum)
    assert into.sum() == pytest.approx(of.input.sum())
    assert out.sum() == pytest.approx(of.output.sum())


@given(st.integers(0, 500), st.integers(FEWEST_PAIRS, 40))
def test_the_order_of_pairs_does_not_matter_to_the_last_bit(seed: int, count: int) -> None:
    of, rows = pairs(seed, count), pairs(seed + 1, 30)
    shuffled = taken(of, np.random.default_rng(seed).permutation(count))
    straight, other = (
        learned(each).expected(rows.input_base, rows.output_base, rows.stratum) for each in (of, shuffled)
    )
    assert [column.tolist() for column in straight] == [column.tolist() for column in other]


def test_beyond_the_lengths_of_the_pairs_the_ratio_stays() -> None:
    model = learned(pairs(4, 50))
    top = float(model.pairs.output_base.max())
    lengths = np.array([top, 10 * top, 100 * top])
    into = np.full(3, 400.0)
    out = model.expected(into, lengths, np.zeros(3, np.int64))[1]
    assert out / (lengths + 1) == pytest.approx(np.full(3, out[0] / (top + 1)))


def test_a_stratum_that_no_pair_is_of_has_the_pooled_ratio() -> None:
    model = learned(pairs(5, 60))
    same = np.full(3, 60.0)
    out = model.expected(same * 10, same, np.array([-7, 99, 1]))[1]
    assert out[0] == out[1] < out[2]


@pytest.mark.parametrize(
    ("input_tokens", "output_tokens"),
    [
        pytest.param(0.0, 0.0, id="a candidate that says nothing"),
        pytest.param(7.0, 3.0, id="one that always says so much"),
    ],
)
def test_constant_answers_are_expected_as_such(input_tokens: float, output_tokens: float) -> None:
    of = changed(pairs(6, 40), input=np.full(40, input_tokens), output=np.full(40, output_tokens))
    of = changed(of, input_base=np.full(40, 50.0), output_base=np.full(40, 5.0))
    model = learned(of)
    into, out = model.expected(of.input_base, of.output_base, of.stratum)
    assert into == pytest.approx(np.full(40, input_tokens))
    assert out == pytest.approx(np.full(40, output_tokens), abs=1e-6)
    assert model.uncertainty(1000, lambda a, b: a + b).variance == pytest.approx(0, abs=1e-6)


def test_uncertainty_grows_with_the_rows_and_falls_with_the_pairs() -> None:
    def error(count: int, rows: int) -> float:
        return learned(pairs(8, count)).uncertainty(rows, lambda into, out: into + 4 * out).variance ** 0.5 / rows

    assert error(400, 10_000) < 0.6 * error(40, 10_000)
    assert learned(pairs(8, 40)).uncertainty(0, lambda into, out: out).variance == 0
    # the scatter of the rows themselves: the mean of few is less certain than that of many
    assert error(400, 10) > 3 * error(400, 10_000)


def test_a_pair_from_elsewhere_speaks_for_as_many_as_the_average_pair_of_the_window() -> None:
    chance = np.array([0.5, 0.25, 1.0, 0.0, *[0.5] * 6])
    speaks = changed(pairs(9, 10), chance=chance).stand_for()
    assert speaks[:3].tolist() == [1.0, 3.0, 0.0]
    assert speaks[3] == pytest.approx((1 + 3 + 0 + 6) / 9)
    assert changed(pairs(9, 10), chance=np.zeros(10)).stand_for().tolist() == [1.0] * 10


def test_after_a_census_every_pair_weighs_the_same() -> None:
    of = changed(pairs(9, 30), chance=np.ones(30))
    assert learned(of).expected(of.input_base, of.output_base, of.stratum)[1].sum() == pytest.approx(of.output.sum())


def test_a_past_of_long_answers_makes_drawn_lengths_longer_and_leaves_the_expected_ones() -> None:
    model, rows = learned(pairs(10, 50)), pairs(11, 200)
    columns = (rows.input_base, rows.output_base, rows.stratum)
    led = model.with_history(np.full(300, 2000.0), *columns)
    chance = np.random.default_rng(1).random(200)
    assert led.expected(*columns)[1].tolist() == model.expected(*columns)[1].tolist()
    expected = model.expected(*columns)[1]
    assert led.lengths.draw(expected, chance).mean() > 2 * model.lengths.draw(expected, chance).mean()


def test_pairs_tell_which_rows_they_are_of() -> None:
    known = pairs(1, 20).ordered()
    keys = np.concatenate([known.key[[3, 11]], row_keys(0, ["elsewhere"])])
    places, at = known.called(keys)
    assert (places.tolist(), at.tolist()) == ([0, 1], [3, 11])
    nothing = taken(known, slice(0, 0))
    assert [len(each) for each in nothing.called(keys)] == [0, 0]


def test_without_slopes_the_ratio_is_the_same_at_every_length() -> None:
    rows = pairs(5, 60)
    level = changed(rows, stratum=np.zeros(60, np.int64), output=np.full(60, 100.0))
    bent, straight = (TokenModel.learn(level, slopes=slopes) for slopes in (True, False))
    assert bent is not None
    assert straight is not None
    base = np.array([20.0, 200.0])
    near, far = (model.expected(base * 5, base, np.zeros(2, np.int64))[1] for model in (bent, straight))
    assert far[1] / far[0] == pytest.approx(201 / 21, rel=0.01)
    assert near[1] / near[0] < 4
