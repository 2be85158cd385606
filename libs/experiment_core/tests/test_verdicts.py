"""Merging two orders, and what a judge's agreement with itself is, against the reference's values."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.verdicts import (
    VERDICTS,
    Ground,
    Judged,
    Said,
    Verdict,
    chance_corrected,
    discordance,
    kappa,
    orders,
)

SAID: tuple[Said, ...] = (*VERDICTS, "unreadable", "steered", "unasked")
MERGED: list[tuple[Said, Said, Verdict | None, Ground]] = [
    ("better", "better", "better", "agreed"),
    ("worse", "worse", "worse", "agreed"),
    ("equivalent", "equivalent", "equivalent", "agreed"),
    ("better", "worse", "equivalent", "opposite"),
    ("worse", "better", "equivalent", "opposite"),
    ("equivalent", "worse", "equivalent", "tie_and_win"),
    ("better", "equivalent", "equivalent", "tie_and_win"),
    ("worse", "unasked", "worse", "single"),
    ("unasked", "better", "better", "single"),
    ("worse", "unreadable", None, "unreadable"),
    ("unreadable", "unasked", None, "unreadable"),
    ("steered", "steered", None, "steered"),
    ("unasked", "unasked", None, "unreadable"),
]


@pytest.mark.parametrize(("one", "two", "verdict", "ground"), MERGED)
def test_two_orders_merge_into_one_verdict(one: Said, two: Said, verdict: Verdict | None, ground: Ground) -> None:
    merged = Judged(one, two).merge()
    assert (merged.verdict, merged.ground) == (verdict, ground)
    assert merged.inconsistent == (ground in ("opposite", "tie_and_win"))


@pytest.mark.parametrize(("win", "verdict"), [("worse", "worse"), ("better", "better")])
def test_a_tie_and_a_win_may_count_as_the_win(win: Said, verdict: Verdict) -> None:
    assert Judged(win, "equivalent").merge("win").verdict == verdict
    assert Judged("better", "worse").merge("win").verdict == "equivalent"


@given(st.sampled_from(SAID), st.sampled_from(SAID))
def test_a_merged_verdict_does_not_depend_on_which_order_said_what(one: Said, two: Said) -> None:
    assert Judged(one, two).merge() == Judged(two, one).merge()


def test_a_judge_that_always_takes_the_first_answer_is_found_out() -> None:
    found = orders([Judged("worse", "better")] * 40)
    assert found.first_chosen.value == 1.0
    assert found.consistency.value == 0.0
    assert (found.both, found.opposite, found.tie_and_win, found.unreadable) == (40, 40, 0, 0)


def test_a_consistent_judge_has_no_position_bias() -> None:
    found = orders([Judged("worse", "worse"), Judged("better", "better"), Judged("equivalent", "equivalent")] * 20)
    assert found.first_chosen.value == 0.5
    assert found.consistency.value == 1.0


def test_unreadable_steered_and_undecided_pairs_are_counted_apart() -> None:
    found = orders([Judged("unreadable", "better"), Judged("steered", "steered"), Judged("equivalent", "better")])
    assert (found.both, found.tie_and_win, found.unreadable, found.steered) == (1, 1, 1, 1)
    assert orders([]).first_chosen.value is None


def test_kappa_meets_the_reference() -> None:
    assert chance_corrected(0.85, 0.5, 100).value == pytest.approx(0.70)


def test_kappa_of_two_runs() -> None:
    first: list[Verdict | None] = ["better"] * 50 + ["worse"] * 50 + [None]
    second: list[Verdict | None] = ["better"] * 45 + ["worse"] * 45 + ["better"] * 10 + ["worse"]
    found = kappa(first, second)
    assert (found.pairs, found.observed) == (100, 0.85)
    assert found.expected == pytest.approx(0.5)
    assert found.kappa.value == pytest.approx(0.70)


def test_kappa_is_unknown_where_both_runs_say_one_thing_and_without_pairs() -> None:
    assert kappa(["worse"] * 5, ["worse"] * 5).kappa.value is None
    assert kappa([None], ["worse"]).pairs == 0
    with pytest.raises(ValueError, match="zip"):
        kappa(["worse"], [])


@given(st.lists(st.tuples(st.sampled_from(VERDICTS), st.sampled_from(VERDICTS)), min_size=1, max_size=60))
def test_kappa_is_symmetric_and_bounded(pairs: list[tuple[Verdict, Verdict]]) -> None:
    one, two = kappa(*zip(*pairs, strict=True)), kappa(*zip(*[(b, a) for a, b in pairs], strict=True))
    assert (one.kappa.value is None) == (two.kappa.value is None)
    if one.kappa.value is not None and two.kappa.value is not None:
        assert one.kappa.value == pytest.approx(two.kappa.value)
        assert -1 <= one.kappa.value <= 1 + 1e-12


def test_mcnemar_meets_the_reference() -> None:
    found = discordance(25, 10, 100)
    assert (found.chi2, found.chi2_corrected) == pytest.approx((6.4286, 5.6), abs=1e-4)
    assert found.p == pytest.approx(0.016674, abs=1e-6)


@pytest.mark.parametrize(
    ("gained", "lost", "difference", "lower", "upper", "p"),
    [(80, 105, -0.01471, -0.0304, 0.0010, 0.0774), (55, 959, -0.5318, -0.5584, -0.5051, 0.0)],
)
def test_real_upgrades(gained: int, lost: int, difference: float, lower: float, upper: float, p: float) -> None:
    found = discordance(gained, lost, 1700)
    interval = found.difference.interval
    assert (found.difference.value, interval.lower, interval.upper) == pytest.approx(
        (difference, lower, upper), abs=1e-4
    )
    assert found.p == pytest.approx(p, abs=1e-4)


def test_no_discordant_pair_is_no_evidence() -> None:
    found = discordance(0, 0, 10)
    assert (found.chi2, found.chi2_corrected, found.p) == (0.0, 0.0, 1.0)
