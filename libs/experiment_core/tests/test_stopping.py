"""Intervals that hold wherever a run stops, and the weights of what came in."""

from __future__ import annotations

import numpy as np
import pytest
import replayed_tables as tables
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.distributions import z
from experiment_core.resampling import Resampler, Units
from experiment_core.stopping import anytime, carried
from experiment_core.summary import summarise


def test_the_sequence_has_its_reference_width() -> None:
    """1.56 times that of an interval for a fixed number of rows."""
    assert z(anytime(1000, 500)) / z(0.95) == pytest.approx(1.562, abs=5e-4)


@given(st.integers(1, 100_000), st.integers(1, 100_000), st.sampled_from([0.9, 0.95, 0.99]))
def test_stopping_costs_width_and_never_saves_any(rows: int, planned: int, confidence: float) -> None:
    assert confidence < anytime(rows, planned, confidence) < 1


@pytest.mark.parametrize(("rows", "planned"), [(0, 100), (100, 0)])
def test_nothing_came_in_or_was_planned(rows: int, planned: int) -> None:
    assert anytime(rows, planned) == 0.95


def test_looking_at_every_fifty_rows_gives_no_false_alarms() -> None:
    """Fixed intervals raise one in a quarter of such runs."""
    looks = np.arange(50, 1001, 50)
    values = np.random.default_rng(1).standard_normal((2000, 1000))
    means = np.cumsum(values, axis=1)[:, looks - 1] / looks
    fixed = np.abs(means) > z(0.95) / np.sqrt(looks)
    sequence = np.abs(means) > np.array([z(anytime(int(n), 1000)) / np.sqrt(n) for n in looks])
    assert 0.2 < fixed.any(axis=1).mean() < 0.3
    assert sequence.any(axis=1).mean() < 0.03


def test_every_interval_of_a_summary_widens() -> None:
    base = tables.side(1, 600, errors=0.1)
    rows = tables.table(base, tables.side(2, 600, price=0.7, errors=0.05), similarity=0.9)
    fixed, stopped = (summarise(rows, 1, confidence=confidence) for confidence in (0.95, anytime(600, 2000)))
    for name, delta in stopped.deltas.items():
        before, after = fixed.deltas[name].percent, delta.percent
        assert after.value == before.value
        for one, other in (
            (after.interval.lower, before.interval.lower),
            (before.interval.upper, after.interval.upper),
        ):
            assert one is None or other is None or one < other, name
    assert (stopped.agreement.rate.interval.lower or 1.0) < (fixed.agreement.rate.interval.lower or 0.0)


@pytest.mark.parametrize("confidence", [0.98, 0.99, 0.9977])
def test_a_high_confidence_stretches_the_resampled_interval(confidence: float) -> None:
    values = np.random.default_rng(1).lognormal(0, 1, 500)
    found = Resampler(Units.of(500), 1, confidence).mean(values)
    most = Resampler(Units.of(500), 1).mean(values, 0.98)
    assert found.value == most.value
    wide, narrow = (each.interval.scaled(1.0, -(each.value or 0.0)) for each in (found, most))
    assert wide.lower == pytest.approx((narrow.lower or 0.0) * z(confidence) / z(0.98))


def test_rows_that_came_in_stand_for_those_of_their_stratum_that_did_not() -> None:
    weight = np.array([1.0, 2.0, 2.0, 2.0, 5.0, 5.0])
    stratum = np.array([0, 0, 0, 0, 1, 1])
    came = np.array([False, True, False, False, False, False])
    never = np.array([False, False, True, True, True, False])
    found = carried(weight, stratum, came, never)
    assert found.tolist() == [1.0, 6.0, 0.0, 0.0, 5.0, 5.0], (
        "the first row was not to be called; of stratum 1 none came"
    )


@given(st.lists(st.tuples(st.floats(0.1, 10), st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=40))
def test_weights_are_carried_and_never_lost(rows: list[tuple[float, int, int]]) -> None:
    weight, stratum, kind = (np.array(column) for column in zip(*rows, strict=True))
    found = carried(weight.astype(np.float64), stratum.astype(np.int64), kind == 1, kind == 2)
    assert found.sum() == pytest.approx(weight.sum())
    assert np.all(found[kind == 0] == weight[kind == 0])


def test_no_rows_have_no_weights() -> None:
    nothing = np.zeros(0)
    assert len(carried(nothing, nothing.astype(np.int64), nothing > 0, nothing > 0)) == 0
