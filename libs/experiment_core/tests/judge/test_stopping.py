"""Stopping a judge run when its question is decided."""

from __future__ import annotations

import numpy as np
import pytest

from experiment_core.arrays import Ints
from experiment_core.judge.rates import Stratum, traffic_rate
from experiment_core.judge.stopping import LOOK_EVERY, Look, Stopping
from experiment_core.sequential import Threshold

SHARES = (0.8, 0.15, 0.05)
SCORED = 1_000_000


def at_most(rate: float, planned: int = 1500) -> Stopping:
    return Stopping(Threshold(rate, below=True), planned)


def seen(judged: Ints, worse: Ints) -> list[Stratum]:
    rows = zip(SHARES, judged, worse, strict=True)
    return [Stratum(round(share * SCORED), 0, int(n - bad), int(bad)) for share, n, bad in rows]


def run(stopping: Stopping, rates: tuple[float, ...], seed: int) -> tuple[Look, int]:
    """Judge pairs of the three buckets by turns until the first decision or the end."""
    rng = np.random.default_rng(seed)
    judged, worse = np.zeros(3, np.int64), np.zeros(3, np.int64)
    while True:
        more = np.bincount(np.arange(judged.sum(), judged.sum() + LOOK_EVERY) % 3, minlength=3)
        judged, worse = judged + more, worse + rng.binomial(more, rates)
        look = stopping.look(seen(judged, worse))
        if look.decision != "undecided" or judged.sum() >= stopping.planned:
            return look, int(judged.sum())


def test_a_look_is_due_every_50_pairs_and_at_the_end() -> None:
    stopping = at_most(0.1, 120)
    assert [n for n in range(130) if stopping.due(n)][:3] == [50, 100, 120]


def test_a_look_is_wider_than_the_final_interval_of_one_look() -> None:
    strata = seen(np.array([100, 100, 100]), np.array([5, 15, 35]))
    look, once = at_most(0.1).look(strata), traffic_rate(strata, "worse")
    assert look.estimate.value == once.value
    assert (look.estimate.interval.upper or 0) > (once.interval.upper or 1)
    assert (look.estimate.interval.lower or 1) < (once.interval.lower or 0)


@pytest.mark.parametrize(("rates", "decision"), [((0.0, 0.01, 0.05), "met"), ((0.4, 0.5, 0.6), "refuted")])
def test_a_clear_case_stops_early(rates: tuple[float, ...], decision: str) -> None:
    runs = [run(at_most(0.15), rates, seed) for seed in range(20)]
    assert {look.decision for look, _ in runs} == {decision}
    assert np.mean([judged for _, judged in runs]) < 600


def test_nothing_is_decided_before_the_first_verdict_or_with_a_bucket_unseen() -> None:
    assert at_most(0.1).look([Stratum(10), Stratum(10)]).decision == "undecided"
    half_seen = [Stratum(500, 0, 400, 0), Stratum(500)]
    assert at_most(0.4).look(half_seen).decision == "undecided"


@pytest.mark.nightly
@pytest.mark.parametrize("rates", [(0.05, 0.15, 0.35), (0.01, 0.10, 0.35), (0.3, 0.3, 0.3)])
def test_looking_every_50_pairs_seldom_decides_wrongly(rates: tuple[float, ...]) -> None:
    truth = float(np.dot(SHARES, rates))
    wrong_pass = sum(run(at_most(truth - 1e-9), rates, seed)[0].decision == "met" for seed in range(1000))
    wrong_fail = sum(run(at_most(truth + 1e-9), rates, seed)[0].decision == "refuted" for seed in range(1000))
    assert max(wrong_pass, wrong_fail) <= 25
