"""Budgets that name something cheaper: when it serves, what the trace says, and that it never leads on."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec
import pytest

from routing_core.breaker import verdict
from routing_core.engine import Run
from routing_core.flow import Decision, Step
from routing_core.policies.downgrade import used
from routing_core.replay import replay, world_from
from routing_core.trace import from_json
from routing_core.types import Answer, Outcome
from routing_core.world import Budget

BIG, MINI, HAIKU = "gpt-4o:openai", "gpt-4o-mini:openai", "claude-haiku-4-5:anthropic"
RUNS = Budget("bud_1", 50_000_000, 40_000_000, "runs", "gpt-4o-mini", 800_000)
CHAIN = {"strategy": "fallback", "attempts": [BIG, HAIKU], "retry_on": ["5xx"]}


def denying(stage: Any, doc: Any, *denied: str) -> Any:
    return stage.play(doc, dict.fromkeys(denied, "budget_exceeded"))


@pytest.mark.parametrize(
    ("budgets", "calls"),
    [
        pytest.param([RUNS], [MINI], id="at its share"),
        pytest.param([replace(RUNS, spent_nano=39_999_999)], [BIG], id="below its share"),
        pytest.param([replace(RUNS, downgrade_at_ppm=0, spent_nano=50_000_000)], [BIG], id="only when denied"),
        pytest.param([replace(RUNS, downgrade_to="")], [BIG], id="names nothing"),
        pytest.param([replace(RUNS, cap_nano=0, spent_nano=0)], [MINI], id="a cap of nothing"),
        pytest.param(
            [RUNS, replace(RUNS, budget_id="bud_2", spent_nano=45_000_000, downgrade_to="claude-haiku-4-5")],
            [HAIKU],
            id="the tightest decides",
        ),
        pytest.param(
            [RUNS, replace(RUNS, budget_id="bud_2", spent_nano=45_000_000, downgrade_at_ppm=990_000)],
            [MINI],
            id="one that is not due yet does not stand in the way",
        ),
    ],
)
def test_what_serves_first(stage: Any, budgets: list[Budget], calls: list[str]) -> None:
    stage.budgets = tuple(budgets)
    assert stage.play(BIG).calls == calls


def test_the_trace_prints_the_operands(stage: Any) -> None:
    stage.budgets = (RUNS,)
    trace = stage.play(BIG).trace
    (hop,) = trace.path
    assert (hop.policy_type, hop.policy_name, hop.chose) == ("budget", "production", "gpt-4o-mini")
    assert hop.reason == "80.0 % of $0.05 of budget 'runs' is used"
    assert (trace.selected, trace.policy_name, trace.policy_version) == (MINI, "production", 4)


def test_a_slug_serves_in_its_active_version(stage: Any) -> None:
    stage.name("cheap", {"strategy": "fallback", "attempts": [HAIKU, MINI]}, 7)
    stage.budgets = (replace(RUNS, downgrade_to="@cheap"),)
    trace = stage.play(BIG).trace
    assert [hop.chose for hop in trace.path] == ["@cheap", "@cheap (v7)"]
    assert (trace.selected, trace.policy_name, trace.policy_version) == (HAIKU, "cheap", 7)


def test_a_slug_that_is_gone_fails_in_plain_words(stage: Any) -> None:
    stage.budgets = (replace(RUNS, downgrade_to="@gone"),)
    decision = stage.play(BIG).decision
    assert (decision.selected, decision.code) == (None, "policy_not_found")


def test_after_a_denial_it_serves_once(stage: Any) -> None:
    stage.budgets = (replace(RUNS, spent_nano=25_000_000),)
    played = denying(stage, CHAIN, BIG, HAIKU)
    assert played.calls == [BIG, HAIKU, MINI]
    assert played.decision.selected == 2
    assert played.trace.selected == MINI
    (hop,) = played.trace.path
    assert hop.reason == "over budget; 50.0 % of $0.05 of budget 'runs' was used"
    assert played.trace.attempts[1].error_code == "budget_exceeded"


def test_a_denied_downgrade_is_the_end(stage: Any) -> None:
    stage.budgets = (RUNS, replace(RUNS, budget_id="bud_2", downgrade_to="claude-haiku-4-5"))
    played = denying(stage, BIG, MINI, HAIKU)
    assert played.calls == [MINI]
    assert (played.decision.selected, played.decision.code) == (None, "attempts_failed")
    assert "over budget" in played.decision.reason


@pytest.mark.parametrize("last", [503, "timeout", "circuit_open"])
def test_another_failure_is_no_denial(stage: Any, last: Any) -> None:
    stage.budgets = (replace(RUNS, spent_nano=0),)
    assert stage.play(BIG, {BIG: last}).calls == [BIG]


def test_an_answer_in_hand_is_not_thrown_away(stage: Any) -> None:
    stage.budgets = (replace(RUNS, spent_nano=0),)
    doc = {"strategy": "cascade", "attempts": [{"model": BIG, "confidence": {"json": True}}, {"model": HAIKU}]}
    assert denying(stage, doc, HAIKU).decision.selected == 0


def test_a_policy_is_not_downgraded_to_itself(stage: Any) -> None:
    stage.name("production", BIG)
    stage.budgets = (replace(RUNS, downgrade_to="@production"),)
    assert denying(stage, BIG, BIG).calls == [BIG]
    assert stage.play(BIG).trace.path == ()
    stage.budgets = (replace(RUNS, downgrade_to=MINI),)
    assert denying(stage, MINI, MINI).calls == [MINI]
    assert stage.play(MINI, name="").trace.path == ()


def test_what_was_read_of_answers_keeps_its_attempt(stage: Any) -> None:
    stage.name(
        "vote", {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": MINI}, {"model": HAIKU}]}
    )
    stage.budgets = (replace(RUNS, spent_nano=0, downgrade_to="@vote"),)
    run = Run(stage_policy(stage), stage.request, stage.world())
    step = run.start()
    assert isinstance(step, Step)
    step = run.send([stage.outcome(stage.target(BIG), {BIG: "budget_exceeded"})])
    assert isinstance(step, Step)
    answers = [stage.outcome(each.target, {each.target.name: Answer("42")}) for each in step.attempts]
    decision = run.send(answers)
    assert isinstance(decision, Decision)
    assert (decision.selected, sorted(decision.traits)) == (1, [1, 2])


def stage_policy(stage: Any) -> Any:
    stage.name("production", BIG)
    return stage.policies["production"]


def test_given_up_within_the_downgrade_the_trace_still_tells_of_it(stage: Any) -> None:
    stage.budgets = (RUNS,)
    run = Run(stage_policy(stage), stage.request, stage.world())
    run.start()
    decision = run.abandon("no retry budget left")
    assert (decision.reason, decision.path[0].policy_type) == ("no retry budget left", "budget")


def test_a_stored_trace_replays_to_the_same(stage: Any) -> None:
    stage.budgets = (replace(RUNS, spent_nano=25_000_000),)
    played = denying(stage, CHAIN, BIG, HAIKU)
    stored = from_json(msgspec.json.encode(played.trace))
    world = world_from(stored, stage.offers, {})
    assert world.budgets == stage.budgets
    assert replay(stored, played.run.policy, stage.request, world) == played.trace
    forgotten = replace(world, budgets=())
    assert replay(stored, played.run.policy, stage.request, forgotten).path == ()


def test_a_denial_says_nothing_of_the_target(stage: Any) -> None:
    target = stage.target(BIG)
    assert verdict(Outcome(target, "connect", error_code="budget_exceeded")) == "nothing"
    assert verdict(Outcome(target, "connect", error_code="circuit_open")) == "nothing"
    assert verdict(Outcome(target, "connect", error_code="connect_failed")) == "failure"
    assert verdict(Outcome(target, "status", 402, error_code="budget_exceeded")) == "credential"


@pytest.mark.parametrize(
    ("budget", "told"),
    [
        (Budget("bud_1", 10**9, 999_999_999), "99.9 % of $1.00 of budget 'bud_1'"),
        (Budget("bud_1", 10**9, 2 * 10**9, "a"), "200.0 % of $1.00 of budget 'a'"),
        (Budget("bud_1", 0, 0, "a"), "100.0 % of $0.00 of budget 'a'"),
    ],
)
def test_shares_are_never_rounded_up(budget: Budget, told: str) -> None:
    assert used(budget) == told
