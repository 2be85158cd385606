"""Nesting, naming, giving up and misuse of runs."""

from __future__ import annotations

from typing import Any

import pytest

from routing_core.config import AbTest, NamedPolicy, Ref, parse_policy
from routing_core.engine import Run, Seen
from routing_core.flow import Decision, Step
from routing_core.policies.ab_test import at
from routing_core.replay import replay, world_from
from routing_core.types import Answer, Outcome, Target
from routing_core.world import Budget, Health, World

BIG, MINI = "gpt-4o:openai", "gpt-4o-mini:openai"
SPLIT = {
    "strategy": "ab_test",
    "split": [
        {"weight": 90, "name": "control", "policy": {"strategy": "single", "model": "gpt-4o"}},
        {"weight": 10, "name": "candidate", "policy": {"strategy": "cost_optimized", "allow": ["gpt-4o-mini"]}},
    ],
}


def arms(stage: Any, doc: Any, count: int = 400, **changes: Any) -> list[str]:
    found = []
    for number in range(count):
        stage.ask(request_id=f"req_{number}", **changes)
        found.append(stage.play(doc).trace.path[0].chose)
    return found


def test_a_lineup_kept_between_requests_still_obeys_an_open_circuit(stage: Any) -> None:
    policy = NamedPolicy("production", 1, parse_policy({"strategy": "fallback", "attempts": [BIG, MINI]}))
    world, targets = stage.world(), [stage.target(BIG), stage.target(MINI)]

    def first(health: dict[Target, Health]) -> Step:
        seen = World(world.offers, health, world.policies, world.budgets, world.price_version, world.memo)
        step = Run(policy, stage.request, seen).start()
        assert isinstance(step, Step)
        return step

    healthy = first({})
    assert [attempt.target for attempt in healthy.attempts] == targets[:1]
    assert world.memo
    assert first({}) == healthy
    opened = first({targets[0]: Health("open")})
    assert [attempt.target for attempt in opened.attempts] == targets[1:]
    assert [each.model for each in opened.excluded] == [BIG]
    assert first({}) == healthy


def test_a_split_follows_its_weights_and_logs_the_propensity(stage: Any) -> None:
    found = arms(stage, SPLIT)
    assert 20 < found.count("candidate") < 65
    played = stage.play(SPLIT)
    (hop,) = played.trace.path
    assert (hop.policy_type, hop.policy_name) == ("ab_test", "production")
    assert hop.propensity == {"control": 0.9, "candidate": 0.1}[hop.chose]
    assert hop.reason == f"{hop.propensity} of the traffic, by request_id"
    assert hop.draw == played.trace.saw.draw


def test_the_arm_names_the_policy_that_decided(stage: Any) -> None:
    doc = {**SPLIT, "split": [{**SPLIT["split"][0], "weight": 0}, SPLIT["split"][1]]}
    trace = stage.play(doc).trace
    assert (trace.policy_type, trace.policy_name, trace.policy_version) == ("cost_optimized", "candidate", 4)
    assert trace.selection_reason == "cheapest"


@pytest.mark.parametrize(
    ("unit", "changes"),
    [("end_user_id", {"end_user_id": "u7"}), ("key_id", {"key_id": "k"}), ("tag:run_id", {"tags": {"run_id": "r"}})],
)
def test_a_unit_sticks_to_its_arm(stage: Any, unit: str, changes: Any) -> None:
    half = {**SPLIT, "split": [{**arm, "weight": 50} for arm in SPLIT["split"]], "sticky_by": unit}
    assert len(set(arms(stage, half, 40, **changes))) == 1
    stage.ask(end_user_id=None, key_id="", tags={})
    assert len(set(arms(stage, half, 40))) == 2
    assert stage.play(half).trace.path[0].reason.endswith(f"by request_id, for it has no {unit}")


def test_nested_splits_draw_independently(stage: Any) -> None:
    inner = {
        "strategy": "ab_test",
        "split": [{"weight": 1, "policy": "gpt-4o"}, {"weight": 1, "policy": "gpt-4o-mini"}],
    }
    outer = {
        "strategy": "ab_test",
        "split": [{"weight": 1, "policy": inner}, {"weight": 1, "policy": "claude-haiku-4-5"}],
    }
    models = set()
    for number in range(60):
        stage.ask(request_id=f"req_{number}")
        models.add(stage.play(outer).trace.selected)
    assert len(models) == 3


def test_a_salt_binds_two_tests_together(stage: Any) -> None:
    one = [a == "control" for a in arms(stage, {**SPLIT, "salt": "s"}, 100)]
    again = []
    for number in range(100):
        stage.ask(request_id=f"req_{number}")
        again.append(stage.play({**SPLIT, "salt": "s"}, name="other").trace.path[0].chose == "control")
    assert one == again


def test_the_first_rule_that_holds_decides(stage: Any) -> None:
    doc = {
        "strategy": "custom_rules",
        "rules": [
            {"name": "gold", "when": "tags.tier ==   'gold'", "then": "gpt-4o"},
            {"when": "input_tokens / 0 > 1", "then": "gpt-4o"},
            {"when": "budget.used_fraction > 0.8", "then": "gpt-4o-mini"},
        ],
        "otherwise": "claude-haiku-4-5",
    }
    stage.ask(tags={"tier": "gold"})
    trace = stage.play(doc).trace
    (hop,) = trace.path
    assert (trace.selected, trace.policy_name) == (BIG, "gold")
    assert (hop.policy_type, hop.chose, hop.reason) == ("custom_rules", "gold", "tags.tier == 'gold'")
    stage.ask(tags={"tier": "free"})
    trace = stage.play(doc).trace
    assert trace.path[0].chose == "otherwise"
    assert trace.path[0].reason.startswith("no rule holds; rule 2: ")
    stage.budgets = (Budget("b", 1_000_000_000, 900_000_000),)
    trace = stage.play(doc).trace
    assert (trace.selected, trace.path[0].chose, trace.policy_name) == (MINI, "rule 3", "production")
    assert trace.saw.budgets[0].spent_usd == 0.9


def test_a_long_rule_is_shortened_in_the_trace(stage: Any) -> None:
    doc = {
        "strategy": "custom_rules",
        "rules": [{"when": " || ".join(["stream"] * 60 + ["true"]), "then": "gpt-4o"}],
        "otherwise": "x",
    }
    assert len(stage.play(doc).trace.path[0].reason) == 200


def test_references_follow_the_active_or_the_pinned_version(stage: Any) -> None:
    stage.name("cheap", "gpt-4o-mini", version=7)
    stage.name("cheap:3", "gpt-4o", version=3)
    trace = stage.play("@cheap").trace
    assert (trace.selected, trace.policy_name, trace.policy_version) == (MINI, "cheap", 7)
    assert [(h.policy_type, h.policy_name, h.chose, h.reason) for h in trace.path] == [
        ("reference", "production", "@cheap (v7)", "active version")
    ]
    trace = stage.play({"ref": "@cheap:3"}).trace
    assert (trace.selected, trace.policy_version, trace.path[0].reason) == (BIG, 3, "pinned version")


def test_an_arm_inside_a_reference_bears_its_own_name_and_the_references_version(stage: Any) -> None:
    stage.name("split", SPLIT, version=9)
    trace = stage.play("@split").trace
    assert trace.policy_name in ("control", "candidate")
    assert trace.policy_version == 9
    assert [hop.policy_name for hop in trace.path] == ["production", "split"]


def test_a_missing_reference_decides_against(stage: Any) -> None:
    played = stage.play("@gone")
    assert (played.decision.code, played.decision.policy_type) == ("policy_not_found", "reference")
    assert played.trace.selection_reason == "there is no policy @gone"


def test_a_circle_ends_at_the_deepest_level(stage: Any) -> None:
    stage.policies["a"] = NamedPolicy("a", 1, Ref("b"))
    stage.policies["b"] = NamedPolicy("b", 1, Ref("a"))
    played = stage.play("@a")
    assert played.decision.code == "policy_too_deep"
    assert len(played.trace.path) == 5


def test_a_plain_model_call_has_no_policy_name(stage: Any) -> None:
    trace = stage.play("gpt-4o", name="").trace
    assert (trace.policy_name, trace.policy_version, trace.policy_type) == ("", 0, "single")


def run_of(stage: Any, doc: Any) -> Run:
    return Run(NamedPolicy("production", 4, parse_policy(doc)), stage.request, stage.world())


def test_a_run_can_be_given_up_between_steps(stage: Any) -> None:
    doc = {"strategy": "fallback", "attempts": ["gpt-4o", "gpt-4o-mini"]}
    stage.name("inner", doc)
    run = run_of(stage, "@inner")
    assert isinstance(run.start(), Step)
    assert isinstance(run.send([Outcome(stage.target(BIG), "status", 503, 20.0)]), Step)
    decision = run.abandon("no retry budget left", "retry_budget")
    assert decision is run.decision
    assert (decision.selected, decision.code, decision.policy_type) == (None, "retry_budget", "fallback")
    trace = run.trace()
    assert (trace.policy_name, trace.selection_reason) == ("inner", "no retry budget left")
    assert [attempt.model for attempt in trace.attempts] == [BIG]
    assert [hop.chose for hop in trace.path] == ["@inner (v1)"]
    with pytest.raises(ValueError, match="decided"):
        run.abandon("again")


def test_a_cascade_that_is_given_up_returns_the_answer_it_holds(stage: Any) -> None:
    attempts = [{"model": MINI, "confidence": {"json": True}}, {"model": BIG}, "claude-haiku-4-5"]
    run = run_of(stage, {"strategy": "cascade", "attempts": attempts})
    run.start()
    run.send([Outcome(stage.target(MINI), "ok", answer=Answer("not JSON"))])
    run.send([Outcome(stage.target(BIG), "status", 503)])
    decision = run.abandon("no retry budget left", "attempts_failed")
    assert decision.selected == 0
    assert decision.reason == "no retry budget left; the last answer given stands"
    stored = run.trace()
    assert [attempt.answer is not None for attempt in stored.attempts] == [True, False]
    assert replay(stored, run.policy, run.request, world_from(stored, run.world.offers, {})) == stored


def test_a_run_can_be_given_up_before_it_starts(stage: Any) -> None:
    run = run_of(stage, "gpt-4o")
    assert run.abandon("shutting down").policy_name == "production"
    with pytest.raises(ValueError, match="decided"):
        run.start()


def test_a_run_is_used_in_order(stage: Any) -> None:
    run = run_of(stage, "gpt-4o")
    with pytest.raises(ValueError, match="not started"):
        run.send([])
    with pytest.raises(ValueError, match="no decision yet"):
        run.trace()
    run.start()
    with pytest.raises(ValueError, match="started"):
        run.start()
    done = run.send([Outcome(stage.target(BIG), "ok")])
    assert isinstance(done, Decision)
    with pytest.raises(ValueError, match="decided"):
        run.send([Outcome(stage.target(BIG), "ok")])
    with pytest.raises(ValueError, match="0 final outcomes for 1"):
        run.trace([])


def test_health_is_read_once(stage: Any) -> None:
    live = {stage.target(BIG): Health(p50_ms=1)}
    seen = Seen(live)
    assert seen[stage.target(BIG)].p50_ms == 1
    assert seen.get(stage.target(MINI)) is None
    live[stage.target(BIG)] = Health(p50_ms=2)
    live[stage.target(MINI)] = Health(p50_ms=2)
    assert seen[stage.target(BIG)].p50_ms == 1
    with pytest.raises(KeyError):
        seen[stage.target(MINI)]
    assert seen.looked == {stage.target(BIG): Health(p50_ms=1), stage.target(MINI): None}
    assert (set(seen), len(seen)) == (set(live), 2)


def test_the_trace_holds_the_health_of_what_was_looked_at(stage: Any) -> None:
    stage.feel(BIG, p50=120)
    stage.feel(MINI, p50=90)
    stage.offer("gpt-4o:openai#pc_2")
    stage.feel("gpt-4o:openai#pc_2", p50=130)
    trace = stage.play("gpt-4o").trace
    assert {name: h.p50_ms for name, h in trace.saw.health.items()} == {BIG: 120, f"{BIG}#pc_2": 130}
    assert (trace.saw.price_version, trace.saw.at_ms) == ("prices-1", stage.request.at_ms)


def test_rounding_at_the_end_of_the_line_falls_on_the_last_arm_with_weight() -> None:
    policy = parse_policy(
        {"strategy": "ab_test", "split": [{"weight": 0.1, "policy": "a"}, {"weight": 0, "policy": "b"}]}
    )
    assert isinstance(policy, AbTest)
    assert at(policy.split, 0.1).name == "arm_1"
