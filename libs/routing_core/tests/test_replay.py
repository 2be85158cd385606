"""Replay equals live: the same policy, fed what was recorded, leaves the same trace, however the attempts end."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from routing_core.config import NamedPolicy, parse_policy
from routing_core.engine import Run
from routing_core.flow import Step
from routing_core.pricing import Price
from routing_core.replay import policies_from, recorded_outcomes, replay, world_from
from routing_core.trace import Trace, from_json
from routing_core.types import Answer, Outcome, Request, Target, Usage
from routing_core.world import Budget, Health, Offer, World

TARGETS = [
    Target("gpt-4o", "openai", "pc_1"),
    Target("gpt-4o", "openai", "pc_2"),
    Target("gpt-4o", "azure", "pc_3"),
    Target("mini", "openai", "pc_1"),
    Target("haiku", "anthropic", "pc_4"),
    Target("llama3:8b", "ollama", "pc_5"),
]
MODELS = ["gpt-4o", "mini", "haiku", "llama3:8b", "gpt-4o:azure", "gone"]
OFFERS: dict[str, tuple[Offer, ...]] = {}
for place, one in enumerate(TARGETS):
    row = None if one.model == "haiku" else Price((7 - place) * 10**9, 10**9)
    OFFERS[one.model] = (*OFFERS.get(one.model, ()), Offer(one, row, tier=1 + place % 4, context_tokens=8000))
INNER = {"strategy": "fallback", "attempts": ["haiku", "mini"], "retry_on": ["5xx"]}
POLICIES = {
    "inner": NamedPolicy("inner", 3, parse_policy(INNER)),
    "inner:1": NamedPolicy("inner", 1, parse_policy("mini")),
}
VERSIONS = {("inner", 3): POLICIES["inner"], ("inner", 1): POLICIES["inner:1"], ("inner", 4): POLICIES["inner:1"]}
"""All there ever were; version 3 is the active one."""

model = st.sampled_from(MODELS)
timeout = st.none() | st.integers(1, 9000)
retry_on = st.lists(
    st.sampled_from(["429", "5xx", "timeout", "connect", "cut", "invalid", "credentials", 404]), max_size=5
)
confidence = st.fixed_dictionaries(
    {},
    optional={
        "min_logprob_mean": st.floats(-3, 0),
        "json": st.booleans(),
        "no_refusal": st.just(True),
        "self_score": st.fixed_dictionaries({"marker": st.just("score:"), "min": st.floats(0, 1)}),
        "matches": st.sampled_from(["a+b", "^[0-9]+$", "yes|no"]),
    },
).filter(bool)


def present(**fields: Any) -> Any:
    """Objects without the fields that came out as None."""
    return st.fixed_dictionaries(fields).map(
        lambda doc: {key: value for key, value in doc.items() if value is not None}
    )


def distinct(items: Any, key: str = "model") -> Any:
    return st.lists(items, min_size=1, max_size=5, unique_by=lambda item: item[key])


calling = st.one_of(
    present(strategy=st.just("single"), model=model, timeout_ms=timeout),
    present(
        strategy=st.just("fallback"),
        attempts=distinct(present(model=model, timeout_ms=timeout)),
        retry_on=st.none() | retry_on,
    ),
    present(
        strategy=st.just("cost_optimized"),
        allow=st.none() | st.lists(model, min_size=1, unique=True),
        min_tier=st.none() | st.integers(1, 4),
        retry_on=st.none() | retry_on,
    ),
    present(
        strategy=st.just("latency_optimized"),
        models=st.lists(model, min_size=1, unique=True),
        metric=st.sampled_from([None, "ttft", "p50"]),
        explore=st.sampled_from([None, 0, 0.5, 1]),
    ),
    present(
        strategy=st.just("ensemble"),
        aggregation=st.sampled_from(["voting", "first_valid", "weighted"]),
        members=st.lists(present(model=model, weight=st.integers(1, 9)), min_size=2, max_size=6),
        valid=st.none() | confidence,
    ),
    present(
        strategy=st.just("cascade"),
        attempts=distinct(present(model=model, confidence=st.none() | confidence)),
        retry_on=st.none() | retry_on,
    ),
)
when = st.sampled_from(
    ["input_tokens > 500", "tags.team == 'a'", "budget.used_fraction > 0.5", "latency_ms['gpt-4o'] < 300", "1 / 0 > 1"]
)


def delegating(inner: Any) -> Any:
    unit = st.sampled_from([None, "end_user_id", "tag:team", "key_id"])
    arm = present(weight=st.integers(1, 9), policy=inner)
    return st.one_of(
        present(strategy=st.just("ab_test"), split=st.lists(arm, min_size=2, max_size=3), sticky_by=unit),
        present(
            strategy=st.just("custom_rules"),
            rules=st.lists(present(when=when, then=inner), min_size=1, max_size=2),
            otherwise=inner,
        ),
    )


leaves = calling | st.sampled_from(["@inner", "@inner:1", "@gone", "mini"])
documents = leaves | delegating(leaves) | delegating(delegating(leaves))
answers = st.builds(
    Answer,
    text=st.sampled_from(["yes", "Yes.", "no", "7", '{"a": 1}', "score: 0.9", "I can't assist", "aab score: 10%", ""]),
    finish_reason=st.sampled_from([None, "stop", "content_filter"]),
    tool_calls=st.integers(0, 1),
    logprob_mean=st.none() | st.floats(-4, 0),
)
milliseconds = st.floats(0, 60_000)
healths = st.builds(
    Health,
    state=st.sampled_from(["closed", "closed", "open", "probe"]),
    p50_ms=st.none() | milliseconds,
    ttft_ms=st.none() | milliseconds,
    error_rate=st.floats(0, 1),
    samples=st.integers(0, 99),
    inflight=st.integers(0, 9),
    reason=st.sampled_from(["", "rate limited", "5 failures in a row"]),
)
budgets = st.builds(
    Budget,
    st.sampled_from(["b1", "b2"]),
    st.integers(0, 10**15),
    st.integers(0, 10**15),
    st.sampled_from(["", "runs"]),
    st.sampled_from(["", "", "mini", "@inner", "@gone"]),
    st.sampled_from([0, 500_000, 1_000_000]),
)
worlds = st.builds(
    World,
    offers=st.just(OFFERS),
    health=st.dictionaries(st.sampled_from(TARGETS), healths),
    policies=st.just(POLICIES),
    budgets=st.lists(budgets, max_size=2).map(tuple),
    price_version=st.just("v1"),
)
requests = st.builds(
    Request,
    request_id=st.integers(0, 10**6).map("req_{}".format),
    project_id=st.just("proj_1"),
    stream=st.booleans(),
    input_tokens=st.integers(0, 9000),
    max_tokens=st.none() | st.integers(1, 900),
    tags=st.dictionaries(st.just("team"), st.sampled_from(["a", "b"])),
    end_user_id=st.sampled_from([None, "u1", "u2"]),
    key_id=st.just("key_1"),
    at_ms=st.integers(0, 2 * 10**12),
)
KINDS = ["ok", "ok", "ok", 429, 401, 503, 400, "timeout", "connect", "invalid", "cut", "cancelled", "budget_exceeded"]


def live(policy: NamedPolicy, request: Request, world: World, data: st.DataObject) -> Trace:
    """Drive as the proxy does: answers are read only where the step says so, and a selected stream may still break."""
    run = Run(policy, request, world)
    final: list[Outcome] = []
    started: list[float] = []
    step = run.start()
    while isinstance(step, Step):
        if data.draw(st.integers(0, 12)) == 0:
            step = run.abandon("no retry budget left")
            break
        outcomes = [ending(attempt.target, step, data) for attempt in step.attempts]
        started += [data.draw(milliseconds) for _ in outcomes]
        final += outcomes
        told = [
            outcome
            if step.until == "body"
            else Outcome(outcome.target, outcome.kind, outcome.status, error_code=outcome.error_code)
            for outcome in outcomes
        ]
        step = run.send(told)
    if run.decision is not None and run.decision.selected == len(final) - 1 and run.steps[-1].until == "head":
        final[-1] = data.draw(st.sampled_from([final[-1], Outcome(final[-1].target, "cut", 200, 7.5)]))
    return run.trace(final, started)


def ending(target: Target, step: Step, data: st.DataObject) -> Outcome:
    kind = data.draw(st.sampled_from(KINDS))
    latency, cost = data.draw(milliseconds), data.draw(st.integers(0, 10**12))
    if isinstance(kind, int):
        return Outcome(target, "status", kind, latency, error_code="x")
    if kind == "budget_exceeded":
        return Outcome(target, "connect", error_code=kind)
    if kind != "ok":
        return Outcome(target, kind, None, latency, cost_nano=cost)  # type: ignore[arg-type]  # one of the kinds
    answer = data.draw(st.none() | answers) if step.until == "body" else None
    return Outcome(target, "ok", 200, latency, data.draw(milliseconds), Usage(3, 4, 1), cost, answer=answer)


@settings(max_examples=250, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(doc=documents, request=requests, world=worlds, data=st.data())
def test_replay_equals_live(doc: Any, request: Request, world: World, data: st.DataObject) -> None:
    policy = NamedPolicy("production", 4, parse_policy(doc))
    trace = live(policy, request, world, data)
    stored = from_json(msgspec.json.encode(trace))
    assert stored == trace
    assert replay(stored, policy, request, world_from(stored, OFFERS, policies_from(stored, VERSIONS))) == trace


@pytest.mark.parametrize("changed", [{"strategy": "fallback", "attempts": ["haiku", "mini"]}, "haiku"])
def test_another_policy_is_given_up_where_nothing_was_recorded(changed: Any) -> None:
    request = Request("req_1", "proj_1", input_tokens=10)
    world = World(OFFERS)
    run = Run(NamedPolicy("production", 4, parse_policy("mini")), request, world)
    step = run.start()
    assert isinstance(step, Step)
    run.send([Outcome(step.attempts[0].target, "ok", 200, 5.0)])
    again = replay(run.trace(), NamedPolicy("candidate", 1, parse_policy(changed)), request, world)
    assert (again.selected, again.attempts, again.policy_name) == (None, (), "candidate")


def test_recorded_outcomes_are_those_that_ended() -> None:
    request = Request("req_1", "proj_1")
    run = Run(NamedPolicy("", 0, parse_policy("llama3:8b")), request, World(OFFERS))
    step = run.start()
    assert isinstance(step, Step)
    run.send([Outcome(step.attempts[0].target, "ok")])
    cut = Outcome(step.attempts[0].target, "cut", 200, 99.0, 5.0, Usage(1, 2), 123_456_789, "stream_cut")
    assert recorded_outcomes(run.trace([cut])) == (cut,)
