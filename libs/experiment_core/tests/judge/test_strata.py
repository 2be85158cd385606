"""Which pairs a judge sees: refusals, redistribution, and Neyman's allocation against the reference."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.judge.strata import (
    Counts,
    Stratification,
    in_turn,
    neyman,
    parse_stratification,
    redistribute,
)
from experiment_core.selection import keys
from routing_core.errors import InvalidConfig

WEIGHTS, RATES = (0.80, 0.15, 0.05), (0.05, 0.15, 0.35)
PLENTY = (10_000, 10_000, 10_000)


def test_what_the_guide_asks_for_is_read() -> None:
    assert parse_stratification({"high": 100, "mild": 100, "major": 100}) == Stratification()
    assert parse_stratification({"major": 200}).asked == (0, 0, 200)
    full = {"high": 500, "mild": 500, "major": 500, "allocation": "neyman", "cuts": {"high": 0.9, "mild": 0.5}}
    assert parse_stratification(full) == Stratification((500, 500, 500), "neyman", 0.9, 0.5)


@pytest.mark.parametrize(
    ("doc", "where"),
    [
        pytest.param({"high": -1, "mild": 100}, "stratification.high", id="negative"),
        pytest.param({"high": 1_501}, "stratification.high", id="one bucket over the cap"),
        pytest.param({"high": 1_000, "mild": 501}, "stratification", id="the total over the cap"),
        pytest.param({"high": 0, "mild": 0, "major": 0}, "stratification", id="all zero"),
        pytest.param({}, "stratification", id="empty"),
        pytest.param({"high": 1.5}, "stratification.high", id="a fraction"),
        pytest.param({"high": "100"}, "stratification.high", id="text"),
        pytest.param({"high": True}, "stratification.high", id="a flag"),
        pytest.param({"huge": 1}, "stratification.huge", id="an unknown bucket"),
        pytest.param([100, 100, 100], "stratification", id="a list"),
        pytest.param(None, "stratification", id="null"),
        pytest.param({"high": 1, "allocation": "even"}, "stratification.allocation", id="unknown allocation"),
        pytest.param({"high": 1, "cuts": {"high": 0.8, "mild": 0.9}}, "stratification.cuts.mild", id="cuts crossed"),
        pytest.param({"high": 1, "cuts": {"high": 0.8}}, "stratification.cuts.mild", id="a cut is missing"),
        pytest.param({"high": 1, "cuts": {"high": 2, "mild": 0}}, "stratification.cuts.high", id="a cut beyond 1"),
    ],
)
def test_refusals_name_the_field(doc: object, where: str) -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse_stratification(doc)
    assert refused.value.where == where


@pytest.mark.parametrize(
    ("asked", "available", "taken", "notes"),
    [
        pytest.param((100, 100, 100), (900, 900, 900), (100, 100, 100), 0, id="enough"),
        pytest.param((100, 100, 100), (900, 900, 40), (130, 130, 40), 3, id="one short"),
        pytest.param((100, 100, 100), (900, 110, 0), (190, 110, 0), 3, id="the next fills up too"),
        pytest.param((100, 100, 100), (30, 20, 10), (30, 20, 10), 4, id="too few in all"),
        pytest.param((0, 0, 200), (900, 900, 50), (0, 0, 50), 2, id="not into buckets that were not asked for"),
        pytest.param((100, 100, 100), (0, 0, 0), (0, 0, 0), 4, id="nothing"),
    ],
)
def test_a_short_bucket_gives_its_places_to_the_others(
    asked: Counts, available: Counts, taken: Counts, notes: int
) -> None:
    found = redistribute(asked, available)
    assert found.taken == taken
    assert len(found.notes) == notes


@given(st.tuples(*[st.integers(0, 500)] * 3), st.tuples(*[st.integers(0, 800)] * 3))
def test_redistribution_never_passes_what_is_there_or_was_asked(asked: Counts, available: Counts) -> None:
    taken = redistribute(asked, available).taken
    assert all(got <= there for got, there in zip(taken, available, strict=True))
    reachable = sum(there for want, there in zip(asked, available, strict=True) if want)
    assert sum(taken) == min(sum(asked), reachable)


def error(allocation: Counts) -> float:
    parts = zip(WEIGHTS, RATES, allocation, strict=True)
    return math.sqrt(sum(w**2 * p * (1 - p) / n for w, p, n in parts))


def test_neyman_meets_the_reference() -> None:
    found = neyman(300, PLENTY, WEIGHTS, RATES, floor=0).taken
    assert found == (208, 64, 28)
    assert error(found) == pytest.approx(0.01454, abs=1e-5)
    assert error((100, 100, 100)) == pytest.approx(0.01839, abs=1e-5)
    assert error((240, 45, 15)) == pytest.approx(0.01511, abs=1e-5)


def test_neyman_leaves_every_bucket_its_floor() -> None:
    assert neyman(300, PLENTY, WEIGHTS, RATES).taken == (207, 63, 30)
    assert neyman(300, (10_000, 10_000, 12), WEIGHTS, RATES).taken[2] == 12
    assert neyman(300, (10_000, 0, 0), (1.0, 0.0, 0.0), RATES).taken == (300, 0, 0)


@given(st.integers(1, 1500), st.tuples(*[st.floats(0.01, 1)] * 3), st.tuples(*[st.floats(0, 1)] * 3))
def test_neyman_spends_all_that_it_may(total: int, weights: tuple[float, ...], rates: tuple[float, ...]) -> None:
    found = neyman(total, PLENTY, weights, rates)
    assert sum(found.taken) == total or total < 90
    assert total < 90 or min(found.taken) >= 30


def test_any_first_part_of_a_run_holds_the_buckets_in_proportion() -> None:
    buckets = np.array([0] * 500 + [1] * 300 + [2] * 200 + [-1] * 50)
    order = keys([f"pair{index}" for index in range(1050)], "seed")
    chosen = in_turn(order, buckets, (120, 60, 60))
    assert len(set(chosen.tolist())) == 240
    for size in (4, 40, 100, 200):
        counts = np.bincount(buckets[chosen[:size]], minlength=3)
        assert np.abs(counts - size * np.array([0.5, 0.25, 0.25])).max() <= 1
    longer = in_turn(order, buckets, (240, 120, 120))
    assert set(chosen.tolist()) <= set(longer.tolist())
