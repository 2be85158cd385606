"""How far a projected cost may be off: by nothing where tokens are known, by what other pairs of models show else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_replay.learned.calibration import Ratios
from modelux_replay.plan import PAIRS
from modelux_replay.summary.remaining import ASSUMES, CALIBRATED, PARTLY, Projected, percent_of, remaining

A, B = 0, 1
NAIVE = Ratios()


def rows(
    candidate: int, *, projected: bool, count: int = 100, input_price: float = 2.0, output_price: float = 8.0
) -> Projected:
    """Calls of growing length, at prices in nano-USD a token."""
    into, out = np.arange(100.0, 100.0 + count), 50.0 + np.arange(count) % 7
    cost = into * input_price + out * output_price
    codes = np.full(count, candidate)
    return Projected(np.full(count, A), codes, np.full(count, projected), cost, into, out, np.ones(count), ["a", "b"])


@pytest.mark.parametrize(
    ("candidate", "projected"),
    [
        pytest.param(B, False, id="the calls were made"),
        pytest.param(A, True, id="the same model elsewhere"),
    ],
)
def test_known_tokens_leave_no_doubt(candidate: int, projected: bool) -> None:
    known = rows(candidate, projected=projected)
    found = remaining(known, NAIVE).total
    assert found.nano.value == pytest.approx(known.cost_nano.sum())
    assert (found.naive_rows, found.remaining_error) == (0, 0.0)
    assert found.nano.interval.lower == found.nano.interval.upper == found.nano.value


def test_another_models_tokens_are_doubted() -> None:
    left = remaining(rows(B, projected=True), NAIVE)
    found = left.total
    assert (found.naive_rows, left.rows, left.evidence, left.pairs, left.assumes) == (100, 100, "naive", 0, ASSUMES)
    assert found.nano.interval.excludes(found.nano.value * 5)
    assert not found.nano.interval.excludes(found.nano.value * 1.3)
    assert found.remaining_error > 0.5


@given(st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_input_and_output_are_told_apart_by_what_they_cost(input_price: float, output_price: float) -> None:
    """Input counts vary more from model to model than output counts do, so a dear input leaves more doubt."""
    dear_input = rows(B, projected=True, input_price=1000 * input_price, output_price=output_price / 1000)
    dear_output = rows(B, projected=True, input_price=input_price / 1000, output_price=1000 * output_price)
    doubts = [remaining(each, NAIVE).total.remaining_error for each in (dear_input, dear_output)]
    assert doubts[0] > doubts[1]


def test_doubt_is_of_the_part_that_is_projected() -> None:
    whole, part = rows(B, projected=True), rows(B, projected=True)
    some = replace(part, projected=np.arange(100) < 10)
    assert remaining(some, NAIVE).total.remaining_error < remaining(whole, NAIVE).total.remaining_error / 5
    assert remaining(some, NAIVE).rows == 10


def pilot(count: int, noise: float, chance: float = 0.1) -> pa.Table:
    """Calls that took twice the output, more or less."""
    out = 50.0 + np.arange(count) % 7
    took = np.rint(out * 2 * np.random.default_rng(1).lognormal(0, noise, count))
    columns = [
        ["pilot"] * count, [f"req_{n}" for n in range(count)], ["a"] * count, ["b"] * count, [""] * count,
        np.full(count, 150.0), out, np.full(count, 150.0), took, np.zeros(count), np.full(count, chance),
    ]  # fmt: skip
    return pa.table([pa.array(column, each.type) for column, each in zip(columns, PAIRS, strict=True)], schema=PAIRS)


def test_calls_of_both_models_leave_less_doubt_the_more_they_are_and_the_less_they_scatter() -> None:
    def error(count: int, noise: float) -> float:
        found = remaining(rows(B, projected=True), Ratios.of(pilot(count, noise), None, 1))
        assert (found.evidence, found.pairs, found.assumes) == ("pilot", count, CALIBRATED)
        assert found.total.naive_rows == 0
        return found.total.remaining_error

    naive = remaining(rows(B, projected=True), NAIVE).total.remaining_error
    assert naive > 5 * error(20, 0.3) > 5 * error(80, 0.3) > 0
    assert error(50, 0.3) > 3 * error(50, 0.03)


def test_rows_that_the_pilot_called_are_known() -> None:
    found = remaining(rows(B, projected=True), Ratios.of(pilot(100, 0.3, 1.0), None, 1))
    assert found.total.remaining_error == 0.0


def test_rows_of_a_sample_count_as_what_they_stand_for() -> None:
    one = rows(B, projected=True)
    names = ("weight", "cost_nano", "input_tokens", "output_tokens")
    ten = replace(one, **{name: getattr(one, name) * 10 for name in names})
    ratios = Ratios.of(pilot(50, 0.3), None, 1)
    single, many = (remaining(each, ratios).total for each in (one, ten))
    assert many.nano.value == pytest.approx(10 * (single.nano.value or 0.0))
    assert many.remaining_error > single.remaining_error, "the pilot called half of the one, a twentieth of the other"


def test_a_route_without_calls_is_told_apart() -> None:
    whole = rows(B, projected=True)
    other = replace(whole, candidate=np.repeat([B, 2], [60, 40]), models=["a", "b", "c"])
    found = remaining(other, Ratios.of(pilot(50, 0.1), None, 1))
    assert [(each.route, each.rows, each.learned is None) for each in found.routes] == [
        (("a", "b"), 60, False),
        (("a", "c"), 40, True),
    ]
    assert (found.assumes, found.evidence, found.total.naive_rows) == (PARTLY, "pilot", 40)


def test_free_calls_cost_nothing_whatever_they_take() -> None:
    free = replace(rows(B, projected=True), cost_nano=np.zeros(100))
    assert remaining(free, Ratios.of(pilot(50, 0.3), None, 1)).total.nano.value == 0.0


def test_percent_of_the_baseline() -> None:
    found = remaining(rows(B, projected=False), NAIVE).total
    assert found.nano.value is not None
    assert percent_of(found, found.nano.value * 2).value == pytest.approx(-50)
    assert percent_of(found, 0.0).value is None


def test_nothing_to_project() -> None:
    nothing = rows(B, projected=True, count=0)
    found = remaining(nothing, NAIVE)
    assert (found.total.nano.value, found.rows, found.evidence) == (0.0, 0, "naive")
