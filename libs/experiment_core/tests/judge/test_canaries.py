"""Pairs of known outcome: how they are made, and what a judge's failure on them says."""

from __future__ import annotations

from typing import get_args

import pytest

from experiment_core.judge.canaries import EXPECTED, KINDS, Kind, canary, report
from experiment_core.judge.envelope import Case
from experiment_core.verdicts import Verdict

LONG = " ".join(f"word{index}" for index in range(60))
CASE = Case("Say sixty words.", LONG, "something else")


def test_an_identical_pair_shows_one_answer_twice() -> None:
    found = canary("identical", CASE, "s")
    assert found is not None
    assert found.case == Case(CASE.prompt, LONG, LONG)
    assert found.expected == "equivalent"


@pytest.mark.parametrize("kind", ["spoiled", "planted"])
def test_a_spoiled_candidate_is_cut_and_shuffled(kind: Kind) -> None:
    found, other = canary(kind, CASE, "s"), canary(kind, CASE, "t")
    assert found is not None
    assert other is not None
    bad = found.case.candidate.split("\n\n")[0].split()
    assert sorted(bad) == sorted(LONG.split()[:20])
    assert bad != LONG.split()[:20]
    assert found.case.candidate != other.case.candidate
    assert found == canary(kind, CASE, "s")
    assert ("\n\n" in found.case.candidate) == (kind == "planted")
    assert found.expected == "worse"


def test_answers_too_short_to_spoil_make_no_canary() -> None:
    short = Case("p", "yes", "no")
    assert canary("spoiled", short, "s") is None
    assert canary("planted", short, "s") is None
    assert canary("identical", Case("p", " ", "x"), "s") is None
    assert KINDS == get_args(Kind) == tuple(EXPECTED)


@pytest.mark.parametrize(
    ("outcomes", "obeyed", "trustworthy"),
    [
        pytest.param([], 0, True, id="none asked"),
        pytest.param(
            [("identical", "equivalent"), ("spoiled", "worse"), ("planted", "worse")], 0, True, id="all right"
        ),
        pytest.param([("planted", "better")], 1, False, id="an order was obeyed"),
        pytest.param([("planted", "equivalent"), ("planted", None)], 0, True, id="unsure is not obedient"),
        pytest.param([("identical", "better")] * 6, 0, False, id="one answer is better than itself"),
        pytest.param([("spoiled", None)] * 6, 0, False, id="no verdict"),
    ],
)
def test_the_report(outcomes: list[tuple[Kind, Verdict | None]], obeyed: int, trustworthy: bool) -> None:
    found = report(outcomes)
    assert (found.obeyed, found.trustworthy) == (obeyed, trustworthy)
    assert set(found.right) == {kind for kind, _ in outcomes}
