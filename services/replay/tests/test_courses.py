"""Runs that follow a known course are those of the engine: the same steps, decision, looks and trace."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from made_log import CREDENTIALS, FLASH, HAIKU, MINI, START_US, STRONG

from modelux_providers.catalog import Catalog
from modelux_replay.simulation.courses import Courses, Known
from routing_core.config import NamedPolicy, parse_policy
from routing_core.engine import Run
from routing_core.flow import Step
from routing_core.types import Outcome, Request, Target
from routing_core.world import Budget, Health, World

OFFERS = Catalog.load().offers(CREDENTIALS, (), START_US // 1000)
TARGETS = [offer.target for model in (MINI, STRONG, HAIKU, FLASH) for offer in OFFERS[model]]
REQUEST = Request("req_1", "proj_1", model=MINI, input_tokens=10, at_ms=START_US // 1000)
_try = st.one_of(
    st.sampled_from([MINI, STRONG, HAIKU, FLASH, "no-such-model", f"{MINI}:openai"]),
    st.builds(lambda model, ms: {"model": model, "timeout_ms": ms}, st.sampled_from([MINI, HAIKU]), st.just(900)),
)


def _model(attempt: object) -> object:
    return attempt["model"] if isinstance(attempt, dict) else attempt


_fallback = st.fixed_dictionaries(
    {"strategy": st.just("fallback"), "attempts": st.lists(_try, min_size=1, max_size=4, unique_by=_model)},
    optional={"retry_on": st.sampled_from([["429"], ["timeout"], ["5xx", "connect"]])},
)
_single = st.builds(lambda model: {"strategy": "single", "model": model}, st.sampled_from([MINI, STRONG, "gone"]))
_others = st.sampled_from(
    [{"strategy": "cost_optimized", "allow": [MINI, HAIKU]}, {"strategy": "latency_optimized", "models": [MINI, HAIKU]}]
)
_rules = st.builds(
    lambda first, second, otherwise: {
        "strategy": "custom_rules",
        "rules": [
            {"name": "gold", "when": 'tags.tier == "gold"', "then": first},
            {"when": f'latency_ms["{MINI}"] > 100', "then": second},
            {"when": "input_tokens > 50", "then": "@split"},
        ],
        "otherwise": otherwise,
    },
    *[st.sampled_from([MINI, "@chain", "@ranked", "@missing", "gone"])] * 3,
)
_split = st.builds(
    lambda first, second: {
        "strategy": "ab_test",
        "split": [{"weight": 3, "policy": first}, {"weight": 1, "policy": second}],
    },
    st.sampled_from([HAIKU, "@chain", "@ranked", "@rules"]),
    st.sampled_from([MINI, "@itself", "@chain"]),
)
_policy = st.one_of(
    _single,
    _fallback,
    st.sampled_from(["@chain", "@ranked", "@itself", "@missing", "@split", "@rules"]),
    _others,
    _rules,
    _split,
)
_health = st.dictionaries(
    st.sampled_from(TARGETS),
    st.builds(
        lambda state, p50: Health(state, p50, reason="5 failures in a row" if state == "open" else ""),
        st.sampled_from(["closed", "closed", "closed", "probe", "open"]),
        st.sampled_from([None, 20.0, 400.0]),
    ),
)
_end = st.one_of(
    st.just(("ok", 200, None)),
    st.builds(lambda status: ("status", status, "told"), st.sampled_from([400, 401, 429, 500, 503])),
    st.builds(lambda kind: (kind, None, None), st.sampled_from(["timeout", "connect", "cut", "invalid", "cancelled"])),
    st.builds(lambda code: ("connect", None, code), st.sampled_from(["budget_exceeded", "circuit_open", "other"])),
)
_budgets = st.sampled_from([(), (Budget("b", 10, 9),), (Budget("b", 10, 9, "b", MINI, 500_000),)])
_asked = st.builds(
    lambda number, tokens, tags: replace(REQUEST, request_id=f"req_{number}", input_tokens=tokens, tags=tags),
    st.integers(0, 9),
    st.sampled_from([10, 100]),
    st.sampled_from([{}, {"tier": "gold"}, {"tier": "free"}]),
)
_requests = st.lists(st.tuples(_asked, _health, st.lists(_end, max_size=6), _budgets), min_size=1, max_size=6)


def told(run: Run, ends: list[tuple[str, int | None, str | None]]) -> tuple[object, ...]:
    """What a run comes to where attempts end so; it is given up where no more ends are told."""
    left = list(ends)
    step = run.start()
    while isinstance(step, Step):
        if len(left) < len(step.attempts):
            step = run.abandon("no time is left")
            break
        outcomes = [_outcome(attempt.target, *left.pop(0)) for attempt in step.attempts]
        step = run.send(outcomes)
    return run.decision, run.steps, run.outcomes, list(run.seen.looked.items()), run.trace()


def _outcome(target: Target, kind: str, status: int | None, code: str | None) -> Outcome:
    return Outcome(target, kind, status, 12.5, error_code=code)  # type: ignore[arg-type]  # one of the kinds


@given(document=_policy, requests=_requests)
def test_a_known_course_is_the_engines(document: object, requests: list[tuple[object, ...]]) -> None:
    chain = {"strategy": "fallback", "attempts": [HAIKU, MINI]}
    others: dict[str, object] = {
        "chain": chain,
        "ranked": {"strategy": "cost_optimized", "allow": [MINI, HAIKU]},
        "itself": "@itself",
        "split": {"strategy": "ab_test", "split": [{"weight": 1, "policy": MINI}, {"weight": 1, "policy": "@chain"}]},
        "rules": {
            "strategy": "custom_rules",
            "rules": [{"when": 'tags.tier == "gold"', "then": "@split"}],
            "otherwise": "@chain",
        },
    }
    policies = {slug: NamedPolicy(slug, 3, parse_policy(each)) for slug, each in others.items()}
    policy, courses = NamedPolicy("asked", 1, parse_policy(document)), Courses()
    for request, health, ends, budgets in requests * 2:
        world = World(OFFERS, health, policies, budgets, "v1")  # type: ignore[arg-type]  # as drawn
        known = told(courses.run(policy, request, world), ends)  # type: ignore[arg-type]
        assert known == told(Run(policy, request, world), ends)  # type: ignore[arg-type]


def test_what_hangs_on_more_is_run_by_the_engine() -> None:
    courses, policy = Courses(), NamedPolicy("f", 1, parse_policy({"strategy": "fallback", "attempts": [HAIKU, MINI]}))
    opened = {target: Health("open") for target in TARGETS if target.model == MINI}
    short = (Budget("b", 10, 9, "b", MINI, 500_000),)
    plain = World(OFFERS)
    ranked = NamedPolicy("c", 1, parse_policy({"strategy": "cost_optimized", "allow": [MINI, HAIKU]}))
    assert isinstance(courses.run(policy, REQUEST, plain), Known)
    assert not isinstance(courses.run(policy, REQUEST, World(OFFERS, opened)), Known)
    assert not isinstance(courses.run(policy, REQUEST, World(OFFERS, {}, plain.policies, short)), Known)
    assert not isinstance(courses.run(ranked, REQUEST, plain), Known)


def test_rules_and_splits_are_followed_to_the_course_they_lead_to() -> None:
    split = {"strategy": "ab_test", "split": [{"weight": 1, "policy": MINI}, {"weight": 1, "policy": HAIKU}]}
    rules = {"strategy": "custom_rules", "rules": [{"when": "input_tokens > 50", "then": split}], "otherwise": STRONG}
    courses, policy, world = Courses(), NamedPolicy("r", 1, parse_policy(rules)), World(OFFERS)
    long = [replace(REQUEST, request_id=f"req_{number}", input_tokens=60) for number in range(20)]
    for request in [REQUEST, *long]:
        ends: list[tuple[str, int | None, str | None]] = [("ok", 200, None)]
        assert told(courses.run(policy, request, world), ends) == told(Run(policy, request, world), ends)
    runs = [courses.run(policy, request, world) for request in [REQUEST, *long]]
    assert all(isinstance(run, Known) for run in runs)
    models = [step.attempts[0].target.model for run in runs if isinstance(step := run.start(), Step)]
    assert (models[0], set(models[1:])) == (STRONG, {MINI, HAIKU})
