"""Corrections by human labels, against the reference's values and by simulation."""

from __future__ import annotations

import numpy as np
import pytest

from experiment_core.anchors import (
    Confusion,
    Labelled,
    power,
    powered,
    prediction_powered,
    reliability,
    rogan_gladen,
)
from experiment_core.arrays import Floats
from experiment_core.intervals import NOTHING
from experiment_core.verdicts import Verdict


def column(*values: float) -> Floats:
    return np.array(values, np.float64)


def made(seed: int, rate: float, right: float, labels: int = 100, others: int = 366) -> Labelled:
    """A judge that is right on a share of the pairs."""
    rng = np.random.default_rng(seed)
    truth = rng.random(labels + others) < rate
    judge = np.where(rng.random(labels + others) < right, truth, ~truth).astype(np.float64)
    return Labelled(truth[:labels].astype(np.float64), judge[:labels], judge[labels:])


def test_the_reference_estimate() -> None:
    toy = Labelled(column(1, 0, 1, 1), column(1, 0, 0, 1), column(1, 1, 1, 0, 0))
    assert powered(toy, 1.0)[0] == pytest.approx(0.85)
    assert powered(toy, 0.0)[0] == pytest.approx(0.75)


def test_a_good_judge_narrows_the_interval() -> None:
    found = prediction_powered([(1.0, made(1, 0.5, 0.9))])
    assert found.width_ratio is not None
    assert found.width_ratio < 0.75
    assert 0.5 < found.trust <= 1.0


def test_a_useless_judge_gets_no_trust_and_costs_nothing() -> None:
    part = made(2, 0.4, 0.5, 4000, 4000)
    assert power(part) < 0.05
    assert prediction_powered([(1.0, part)]).width_ratio == pytest.approx(1.0, abs=0.01)
    silent = Labelled(part.human, np.zeros(4000), np.zeros(4000))
    found = prediction_powered([(1.0, silent)])
    assert (found.trust, found.rate) == (0.0, found.human_only)


def test_a_judge_that_is_always_wrong_is_not_turned_round() -> None:
    assert power(made(3, 0.5, 0.1)) == 0.0


def test_no_label_says_worse_and_the_interval_keeps_a_width() -> None:
    found = prediction_powered([(1.0, Labelled(np.zeros(50), np.zeros(50), np.zeros(200)))])
    assert found.rate.interval.lower == 0.0
    assert found.rate.interval.upper == pytest.approx(0.0713, abs=1e-3)


def test_buckets_are_weighed_by_the_traffic() -> None:
    parts = [(0.8, made(4, 0.05, 0.9)), (0.2, made(5, 0.5, 0.9)), (0.0, Labelled(column(), column(), column()))]
    values = [prediction_powered([(1.0, part)]).rate.value or 0.0 for _, part in parts[:2]]
    assert prediction_powered(parts).rate.value == pytest.approx(0.8 * values[0] + 0.2 * values[1])


def test_a_bucket_without_labels_makes_the_rate_unknown() -> None:
    found = prediction_powered([(0.5, made(6, 0.5, 0.9)), (0.5, Labelled(column(1), column(1), column(1, 0)))])
    assert found.rate is NOTHING
    assert found.width_ratio is None
    assert prediction_powered([]).rate is NOTHING


def test_rogan_gladen_meets_the_reference() -> None:
    found = rogan_gladen(0.75, 500, Confusion(90, 100, 80, 100))
    assert found.value == pytest.approx(0.785714, abs=1e-6)
    assert found.interval.lower == pytest.approx(0.785714 - 1.959964 * 0.045267, abs=1e-5)


@pytest.mark.parametrize("confusion", [Confusion(5, 10, 5, 10), Confusion(0, 0, 9, 10), Confusion(9, 10, 0, 0)])
def test_rogan_gladen_says_nothing_of_a_judge_that_cannot_tell(confusion: Confusion) -> None:
    assert rogan_gladen(0.5, 100, confusion) is NOTHING


def test_rogan_gladen_stays_a_rate() -> None:
    found = rogan_gladen(0.02, 100, Confusion(9, 10, 90, 100))
    assert (found.value, found.interval.lower) == (0.0, 0.0)


def test_a_confusion_is_counted() -> None:
    human, judge = np.array([True, True, False, False, False]), np.array([True, False, False, False, True])
    found = Confusion.of(human, judge)
    assert found == Confusion(1, 2, 2, 3)
    assert (found.sensitivity().value, found.specificity().value) == (0.5, pytest.approx(2 / 3))


CASES: list[tuple[list[Verdict], list[Verdict | None], str]] = [
    ([], [], "no pair has a human label"),
    (["worse", "better"], ["worse", "better"], "label at least 30 pairs"),
    (["worse", "better"] * 30, ["worse"] * 60, "no better than chance"),
    (["worse", "better", "equivalent"] * 20, ["worse", "better", "worse"] * 20, "never says equivalent"),
    (["worse", "better", "equivalent"] * 20, ["worse", "better", "equivalent"] * 20, "100 % [94, 100] of 60"),
    (["worse", "better", "equivalent"] * 20, [None, "better", "equivalent"] * 20, "agrees with people on 67 %"),
]


@pytest.mark.parametrize(("human", "judge", "words"), CASES)
def test_the_reliability_is_said(human: list[Verdict], judge: list[Verdict | None], words: str) -> None:
    assert words in reliability(human, judge).sentence


@pytest.mark.nightly
@pytest.mark.parametrize(("rate", "right"), [(0.5, 0.85), (0.5, 0.6), (0.15, 0.9)])
def test_the_corrected_rate_covers_with_100_labels(rate: float, right: float) -> None:
    missed = 0
    for seed in range(2000):
        interval = prediction_powered([(1.0, made(seed, rate, right))]).rate.interval
        missed += interval.excludes(rate)
    assert 0.93 <= 1 - missed / 2000 <= 0.97
