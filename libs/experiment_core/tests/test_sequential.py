"""Confidence sequences, decisions on bounds and budgets of error, against the reference's values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.distributions import Z95
from experiment_core.intervals import NOTHING, Interval, proportion
from experiment_core.sequential import ConfidenceSequence, Decision, Threshold, persistent, spent


def test_the_reference_sequence() -> None:
    sequence = ConfidenceSequence(500)
    assert sequence.rho() == pytest.approx(0.1260, abs=5e-5)
    assert sequence.half_width(1000) == pytest.approx(0.096812, abs=1e-6)
    assert sequence.errors(1000) / Z95 == pytest.approx(1.56, abs=5e-3)


def test_a_look_is_the_fixed_interval_at_a_higher_confidence() -> None:
    found = ConfidenceSequence(500).look(1000, lambda confidence: proportion(180, 1000, confidence))
    fixed = proportion(180, 1000)
    for side in ("lower", "upper"):
        near, far = getattr(fixed.interval, side), getattr(found.interval, side)
        assert abs(far - 0.18) == pytest.approx(1.56 * abs(near - 0.18), rel=0.04)


@pytest.mark.parametrize("n", [0, 1])
def test_the_first_look_says_nothing(n: int) -> None:
    assert ConfidenceSequence(500).look(n, lambda confidence: proportion(n, n, confidence)) is NOTHING


@given(st.integers(1, 10**6))
def test_a_sequence_is_wider_than_the_fixed_interval_and_narrows(n: int) -> None:
    sequence = ConfidenceSequence(300)
    assert sequence.errors(n) > Z95
    assert sequence.half_width(n + 1) < sequence.half_width(n)


DECISIONS: list[tuple[Threshold, Interval, Decision]] = [
    (Threshold(0.0, below=True), Interval(-2.0, -1.0), "met"),
    (Threshold(0.0, below=True), Interval(-2.0, 0.0), "met"),
    (Threshold(0.0, below=True, inclusive=False), Interval(-2.0, 0.0), "undecided"),
    (Threshold(0.0, below=True, inclusive=False), Interval(0.0, 1.0), "refuted"),
    (Threshold(0.0, below=True), Interval(-1.0, 1.0), "undecided"),
    (Threshold(0.0, below=True), Interval(0.5, None), "refuted"),
    (Threshold(0.0, below=True), Interval(-1.0, None), "undecided"),
    (Threshold(-1.0, below=False), Interval(-0.5, 3.0), "met"),
    (Threshold(-1.0, below=False), Interval(-3.0, -1.5), "refuted"),
    (Threshold(-1.0, below=False), Interval(-3.04, 0.10), "undecided"),
    (Threshold(-1.0, below=False), Interval(None, None), "undecided"),
]


@pytest.mark.parametrize(("threshold", "interval", "decision"), DECISIONS)
def test_decisions_rest_on_bounds(threshold: Threshold, interval: Interval, decision: Decision) -> None:
    assert threshold.decide(interval) == decision


@pytest.mark.parametrize("planned", [None, 1, 7])
def test_all_looks_together_stay_within_the_budget(planned: int | None) -> None:
    total = math.fsum(spent(0.05, look, planned) for look in range(1, 20_000))
    assert total == pytest.approx(0.05, rel=1e-4)
    assert total <= 0.05 + 1e-12


def test_looks_are_counted_from_one() -> None:
    with pytest.raises(ValueError, match="counted from 1"):
        spent(0.05, 0)


@pytest.mark.parametrize(
    ("alarms", "raised"),
    [((), False), ((True,), False), ((True, True), True), ((True, False, True), True), ((True, True, False), False)],
)
def test_an_alarm_must_persist(alarms: tuple[bool, ...], raised: bool) -> None:
    assert persistent(alarms) == raised


@pytest.mark.nightly
def test_peeking_at_a_sequence_seldom_alarms_where_peeking_at_fixed_intervals_often_does() -> None:
    rng, streams, looks = np.random.default_rng(5), 4000, np.arange(50, 1001, 50)
    means = np.cumsum(rng.standard_normal((streams, 1000)), axis=1)[:, looks - 1] / looks
    fixed = np.any(np.abs(means) > Z95 / np.sqrt(looks), axis=1).mean()
    widths = np.array([ConfidenceSequence(500).half_width(int(n)) for n in looks])
    assert fixed == pytest.approx(0.246, abs=0.03)
    assert np.any(np.abs(means) > widths, axis=1).mean() <= 0.02
