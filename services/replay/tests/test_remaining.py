"""How far a projected cost may be off: by nothing where tokens are known, by what other pairs of models show else."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_replay.remaining import Projected, percent_of, remaining

A, B = 0, 1


def rows(
    candidate: int, *, projected: bool, count: int = 100, input_price: float = 2.0, output_price: float = 8.0
) -> Projected:
    """Calls of growing length, at prices in nano-USD a token."""
    into, out = np.arange(100.0, 100.0 + count), 50.0 + np.arange(count) % 7
    cost = into * input_price + out * output_price
    codes = np.full(count, candidate)
    return Projected(np.full(count, A), codes, np.full(count, projected), cost, into, out)


@pytest.mark.parametrize(
    ("candidate", "projected"),
    [
        pytest.param(B, False, id="the calls were made"),
        pytest.param(A, True, id="the same model elsewhere"),
    ],
)
def test_known_tokens_leave_no_doubt(candidate: int, projected: bool) -> None:
    known = rows(candidate, projected=projected)
    found = remaining(known)
    assert found.nano.value == pytest.approx(known.cost_nano.sum())
    assert (found.naive_rows, found.remaining_error) == (0, 0.0)
    assert found.nano.interval.lower == found.nano.interval.upper == found.nano.value


def test_another_models_tokens_are_doubted() -> None:
    found = remaining(rows(B, projected=True))
    assert found.naive_rows == 100
    assert found.nano.interval.excludes(found.nano.value * 5)
    assert not found.nano.interval.excludes(found.nano.value * 1.3)
    assert found.remaining_error > 0.5


@given(st.floats(0.001, 1000), st.floats(0.001, 1000))
def test_input_and_output_are_told_apart_by_what_they_cost(input_price: float, output_price: float) -> None:
    """Input counts vary more from model to model than output counts do, so a dear input leaves more doubt."""
    dear_input = remaining(rows(B, projected=True, input_price=1000 * input_price, output_price=output_price / 1000))
    dear_output = remaining(rows(B, projected=True, input_price=input_price / 1000, output_price=1000 * output_price))
    assert dear_input.remaining_error > dear_output.remaining_error


def test_doubt_is_of_the_part_that_is_projected() -> None:
    whole, part = rows(B, projected=True), rows(B, projected=True)
    some = Projected(
        part.baseline, part.candidate, np.arange(100) < 10, part.cost_nano, part.input_tokens, part.output_tokens
    )
    assert remaining(some).remaining_error < remaining(whole).remaining_error / 5
    assert remaining(some).naive_rows == 10


def test_percent_of_the_baseline() -> None:
    found = remaining(rows(B, projected=False))
    assert found.nano.value is not None
    assert percent_of(found, found.nano.value * 2).value == pytest.approx(-50)
    assert percent_of(found, 0.0).value is None


def test_nothing_to_project() -> None:
    nothing = rows(B, projected=True, count=0)
    assert remaining(nothing).nano.value == 0.0
