"""Which budgets a call draws on, on which accounts, and how much it reserves there."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from routing_core.budgets import MAX_VALUE, NOTHING, BudgetRule, account_value, compile_rules
from routing_core.ledger.meters import Meter, Want
from routing_core.types import Request, Target

REQUEST = Request("req_1", "proj_1", tags={"run_id": "r1", "team": ""}, end_user_id="u1", key_id="key_1")
TARGET = Target("gpt-4o", "openai", "pc_1")


def rule(scope: Any, scope_key: str = "", **more: Any) -> BudgetRule:
    return BudgetRule("bud_1", scope, "org_1", scope_key=scope_key, **({"cap_nano": 10**9} | more))


def meters(of: BudgetRule, request: Request = REQUEST, target: Target = TARGET, **ids: str) -> list[Meter]:
    matcher = compile_rules([of], "org_1", "proj_1", "key_1")
    return [want.meter for want in matcher.for_target(matcher.for_request(request, ids), target).wants(5)]


def one(value: str = "") -> list[Meter]:
    return [Meter("bud_1", value, "usd")]


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        pytest.param(rule("organization"), one(), id="organization"),
        pytest.param(rule("organization", project_id="proj_2"), [], id="of another project"),
        pytest.param(replace(rule("organization"), organization_id="org_2"), [], id="of another organization"),
        pytest.param(rule("project", project_id="proj_1"), one(), id="project by its field"),
        pytest.param(rule("project", "proj_1"), one(), id="project by its key"),
        pytest.param(rule("project", "proj_2"), [], id="another project"),
        pytest.param(rule("project", each=True), one("proj_1"), id="each project"),
        pytest.param(rule("key", "key_1"), one(), id="key"),
        pytest.param(rule("key", "key_2"), [], id="another key"),
        pytest.param(rule("key", each=True), one("key_1"), id="each key"),
        pytest.param(rule("tag", "run_id=r1"), one(), id="tag with its value"),
        pytest.param(rule("tag", "run_id=r2"), [], id="tag with another value"),
        pytest.param(rule("tag", "run_id"), one(), id="all values of a tag in one account"),
        pytest.param(rule("tag", "run_id", each=True), one("r1"), id="each value of a tag"),
        pytest.param(rule("tag", "team", each=True), [], id="an empty value"),
        pytest.param(rule("tag", "nope", each=True), [], id="a missing tag"),
        pytest.param(rule("end_user", "u1"), one(), id="end user"),
        pytest.param(rule("end_user", "u2"), [], id="another end user"),
        pytest.param(rule("end_user", each=True), one("u1"), id="each end user"),
        pytest.param(rule("provider", "openai"), one(), id="provider"),
        pytest.param(rule("provider", "azure"), [], id="another provider"),
        pytest.param(rule("provider", each=True), one("openai"), id="each provider"),
        pytest.param(rule("model", "gpt-4o"), one(), id="model"),
        pytest.param(rule("model", "gpt-4o:openai"), one(), id="model at a provider"),
        pytest.param(rule("model", "gpt-4o:azure"), [], id="model at another provider"),
        pytest.param(rule("model", each=True), one("gpt-4o"), id="each model"),
        pytest.param(rule("experiment", each=True), [], id="no experiment"),
        pytest.param(rule("organization", cap_nano=None), [], id="nothing is capped"),
    ],
)
def test_what_a_rule_holds_for(of: BudgetRule, expected: list[Meter]) -> None:
    assert meters(of) == expected


def test_experiments_and_judge_runs_are_named_by_tags_or_outright() -> None:
    tagged = replace(REQUEST, tags={"experiment_id": "exp_1", "judge_run_id": "jr_1"})
    assert meters(rule("experiment", "exp_1"), tagged) == one()
    assert meters(rule("judge_run", each=True), tagged) == one("jr_1")
    assert meters(rule("experiment", "exp_1"), experiment="exp_1") == one()
    assert meters(rule("judge_run", "jr_2"), judge_run="jr_1") == []


def test_a_value_that_is_missing_matches_nothing() -> None:
    nobody = replace(REQUEST, tags={}, end_user_id=None)
    assert meters(rule("end_user", each=True), nobody) == meters(rule("tag", "run_id"), nobody) == []


def test_no_length_of_a_value_escapes_a_cap() -> None:
    exactly, longer = "r" * MAX_VALUE, "r" * (MAX_VALUE + 1)
    assert account_value(exactly) == exactly
    (meter,) = meters(rule("tag", "run_id", each=True), replace(REQUEST, tags={"run_id": longer}))
    assert meter.value == account_value(longer)
    assert len(meter.value) == 71
    assert account_value(longer) != account_value(longer + "r")


def test_a_guard_of_runs_reserves_one_call() -> None:
    guard = rule("tag", "run_id", each=True, max_duration_s=60)
    matcher = compile_rules([guard, rule("organization")], "org_1", "proj_1", "key_1")
    draw = matcher.for_request(REQUEST)
    assert draw.wants(700) == (
        Want(Meter("bud_1", "", "usd"), 700),
        Want(Meter("bud_1", "r1", "usd"), 700),
        Want(Meter("bud_1", "r1", "calls"), 1),
    )
    assert draw.amounts(3) == [3, 3, 1]
    assert draw.wants(0)[0].amount == 1
    only_calls = compile_rules([rule("organization", cap_nano=None, max_calls=5)], "org_1", "proj_1", "key_1")
    assert only_calls.static.wants(700) == (Want(Meter("bud_1", "", "calls"), 1),)


def test_alerts_can_be_left_out() -> None:
    rules = [rule("organization", action="alert"), replace(rule("key", "key_1"), id="bud_2")]
    draw = compile_rules(rules, "org_1", "proj_1", "key_1").static
    assert draw.hard
    assert [each.rule.id for each in draw.hard_only().applied] == ["bud_2"]
    assert not compile_rules(rules[:1], "org_1", "proj_1", "key_1").static.hard


def test_what_is_made_ready_is_used_again() -> None:
    rules = [rule("organization"), rule("provider", "openai"), rule("tag", "other", each=True)]
    matcher = compile_rules(rules, "org_1", "proj_1", "key_1")
    draw = matcher.for_request(REQUEST)
    assert draw is matcher.static
    assert matcher.for_target(draw, TARGET) is matcher.for_target(draw, TARGET)
    tagged = matcher.for_request(replace(REQUEST, tags={"other": "x"}))
    assert [each.value for each in matcher.for_target(tagged, TARGET).applied] == ["", "x", ""]
    assert [each.rule.scope for each in matcher.anywhere()] == ["provider"]


def test_without_rules_there_is_nothing_to_do() -> None:
    matcher = compile_rules([], "org_1", "proj_1", "key_1")
    assert not matcher
    assert matcher.for_target(matcher.for_request(REQUEST), TARGET).wants(5) == NOTHING.wants(5) == ()
