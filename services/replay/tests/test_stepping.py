"""Steps of a rollout, played over made traffic: broken candidates go back, equal ones reach the whole."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_arms import SECOND_US, Traffic, look, play

from experiment_core.criteria import parse_criteria
from modelux_replay.rollout.guards import Arm, Arms
from modelux_replay.rollout.stepping import ALPHA, Plan, Standing

ERRORS = {"metric": "error_rate_delta_pct", "op": "<=", "value": 1}
P95 = {"metric": "p95_latency_delta_pct", "op": "<=", "value": 20}
PLAN = Plan((5, 25, 50, 100), 300 * SECOND_US, 200, parse_criteria({"predicates": [ERRORS, P95]}, "guards"))
FINE = Traffic()
PLAYED = 60


@pytest.mark.parametrize(
    ("candidate", "move"),
    [
        pytest.param(FINE, "go", id="equal"),
        pytest.param(Traffic(errors=1.0), "back", id="all errors"),
        pytest.param(Traffic(errors=0.1), "back", id="one in ten"),
        pytest.param(Traffic(latency_ms=700), "back", id="slow"),
        pytest.param(Traffic(breaks_s=250), "back", id="breaks later"),
    ],
)
def test_where_a_rollout_ends(candidate: Traffic, move: str) -> None:
    assert play(PLAN, FINE, candidate, per_s=40).move == move


@pytest.mark.parametrize("per_s", [2.0, 20.0])
def test_a_broken_candidate_is_back_within_100_requests(per_s: float) -> None:
    for seed in range(PLAYED):
        ended = play(PLAN, FINE, Traffic(errors=1.0), seed=seed, per_s=per_s, poll_s=1.0)
        assert (ended.move, ended.percent) == ("back", 5), ended
        assert ended.requests <= 40, ended


@pytest.mark.parametrize("percent", [5, 50])
def test_one_that_breaks_late_is_back_within_100_requests(percent: int) -> None:
    plan = replace(PLAN, steps=(percent, 100), step_us=900 * SECOND_US)
    late = Traffic(breaks_s=400)
    for seed in range(PLAYED // 4):
        ended = play(plan, FINE, late, seed=seed, poll_s=0.5, most_s=900)
        assert ended.move == "back"
        assert ended.requests <= 60, ended


def test_an_equal_candidate_reaches_the_whole_and_is_seldom_rolled_back() -> None:
    ended = [play(PLAN, FINE, FINE, seed=seed, per_s=40.0, poll_s=15.0, most_s=3_000) for seed in range(PLAYED)]
    assert sum(each.move == "go" for each in ended) >= 0.95 * PLAYED
    assert sum(each.move == "back" for each in ended) <= ALPHA * PLAYED


def test_one_at_the_margin_is_seldom_rolled_back_and_seldom_goes_on() -> None:
    """The worst case of both: its true loss is the margin itself. With a look every other second."""
    plan = replace(PLAN, steps=(50, 100), step_us=60 * SECOND_US)
    ended = [
        play(plan, FINE, Traffic(errors=0.02), seed=seed, per_s=40.0, poll_s=2.0, most_s=300) for seed in range(PLAYED)
    ]
    assert sum(each.move == "back" for each in ended) <= ALPHA * PLAYED
    assert sum(each.move == "go" for each in ended) <= ALPHA * PLAYED


def no_arms() -> Arms:
    none = np.zeros(0, np.int64)
    nobody = Arm(none, none.astype(np.bool_), none, none)
    return Arms(nobody, nobody)


def some(count: int, seconds: float, seed: int = 0) -> Arms:
    draws = np.random.default_rng(seed)
    return Arms(FINE.arm(draws, count, seconds), FINE.arm(draws, count, seconds))


def test_no_step_goes_on_before_its_time_and_its_requests() -> None:
    early = look(PLAN, Standing.new(0), some(5_000, 299), 299 * SECOND_US)
    assert (early.move, early.standing.hold_looks) == ("stay", 0)
    assert early.standing.next_look_us == PLAN.step_us, "and not later than the end of its time"
    few = look(PLAN, Standing.new(0), some(150, 300), PLAN.step_us)
    assert (few.move, few.reason) == ("stay", "the candidate's arm needs 50 more requests")
    assert look(PLAN, Standing.new(0), some(5_000, 300), PLAN.step_us).move == "go"


def test_looks_that_are_not_due_spend_nothing() -> None:
    first = look(PLAN, Standing.new(0), some(500, 100), 100 * SECOND_US)
    assert (first.standing.looks, first.standing.quick_looks) == (1, 1)
    again = look(PLAN, first.standing, some(500, 100), 101 * SECOND_US)
    assert again.standing == first.standing
    assert look(PLAN, first.standing, some(600, 111), 111 * SECOND_US).standing.looks == 2
    nothing = look(PLAN, Standing.new(0), no_arms(), 2 * SECOND_US)
    assert (nothing.standing.looks, nothing.standing.quick_looks) == (0, 0)


def test_a_step_that_stays_open_is_told_once() -> None:
    bound_us = PLAN.step_us + 3_600 * SECOND_US
    before = look(PLAN, Standing.new(0), no_arms(), bound_us - 1)
    assert (before.tells, before.reason) == (False, "the candidate's arm has had no requests yet")
    told = look(PLAN, Standing.new(0), no_arms(), bound_us)
    assert (told.move, told.tells) == ("stay", True)
    assert told.reason.startswith("the step stays open")
    again = look(PLAN, told.standing, no_arms(), bound_us + 400 * SECOND_US)
    assert (again.move, again.tells) == ("stay", False)
