"""Policy documents: what is read, what is refused and how, and what is written back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import routing_core.config
from routing_core.config import (
    AbTest,
    Cascade,
    Confidence,
    CostOptimized,
    Ensemble,
    Fallback,
    LatencyOptimized,
    Ref,
    Single,
    Try,
    dump_policy,
    parse_policy,
)
from routing_core.errors import InvalidConfig
from routing_core.shapes import DEFAULT_RETRY_ON, Member

CONFIGS = Path(__file__).parent / "configs"


def golden() -> list[Path]:
    return sorted(CONFIGS.glob("*.json"))


def fallback(**attempt: object) -> dict[str, object]:
    return {"strategy": "fallback", "attempts": [{"model": "m", **attempt}]}


def split(*weights: object) -> dict[str, object]:
    return {
        "strategy": "ab_test",
        "split": [{"weight": w, "name": f"a{i}", "policy": "m"} for i, w in enumerate(weights)],
    }


def members(*found: object, **more: object) -> dict[str, object]:
    return {"strategy": "ensemble", "members": list(found), **more}


def rules(when: object, **more: object) -> dict[str, object]:
    return {"strategy": "custom_rules", "rules": [{"when": when, "then": "m"}], "otherwise": "m", **more}


def nested(depth: int) -> object:
    return (
        "m"
        if depth == 1
        else {
            "strategy": "ab_test",
            "split": [{"weight": 1, "policy": nested(depth - 1)}, {"weight": 1, "policy": "m"}],
        }
    )


@pytest.mark.parametrize("path", golden(), ids=lambda p: p.stem)
def test_stored_documents_are_read_forever(path: Path) -> None:
    doc = json.loads(path.read_text())
    policy = parse_policy(doc["document"])
    assert dump_policy(policy) == doc["canonical"]
    assert parse_policy(doc["canonical"]) == policy


def test_every_strategy_has_a_stored_document() -> None:
    kept = {json.loads(path.read_text())["document"].get("strategy") for path in golden()}
    assert kept >= set(routing_core.config.STRATEGIES)


@pytest.mark.parametrize(
    ("doc", "policy"),
    [
        pytest.param("gpt-4o", Single("gpt-4o"), id="a model's name"),
        pytest.param("llama3:8b", Single("llama3:8b"), id="with a colon"),
        pytest.param("@cheap", Ref("cheap"), id="a reference"),
        pytest.param("@cheap:12", Ref("cheap", 12), id="a pinned reference"),
        pytest.param({"ref": "@cheap"}, Ref("cheap"), id="a reference object"),
        pytest.param(
            {"strategy": "single", "model": "m", "provider_credential_id": "pc", "timeout_ms": 5},
            Single("m", "pc", 5),
            id="single",
        ),
        pytest.param(
            {"strategy": "fallback", "attempts": ["m"]}, Fallback((Try("m"),), DEFAULT_RETRY_ON), id="defaults"
        ),
        pytest.param(
            {**fallback(timeout_ms=600_000), "retry_on": [429, "503", "5xx", "cut"]},
            Fallback((Try("m", None, 600_000),), frozenset({"429", "503", "5xx", "cut"})),
            id="statuses as numbers",
        ),
        pytest.param({"strategy": "cost_optimized"}, CostOptimized(), id="cost optimized over everything"),
        pytest.param({"strategy": "cost_optimized", "quality": "frontier"}, CostOptimized(min_tier=4), id="quality"),
        pytest.param(
            {"strategy": "latency_optimized", "models": ["m"], "explore": 1},
            LatencyOptimized(("m",), explore=1.0),
            id="latency optimized",
        ),
        pytest.param(
            members("m", {"model": "n", "weight": 0.5}, aggregation="weighted_vote"),
            Ensemble((Member("m"), Member("n", 0.5)), "weighted"),
            id="weighted_vote",
        ),
        pytest.param(
            {"strategy": "cascade", "attempts": [{"model": "m", "confidence": {"json": True}}]},
            Cascade((Try("m", confidence=Confidence(json_valid=True)),)),
            id="cascade",
        ),
    ],
)
def test_reads(doc: object, policy: object) -> None:
    assert parse_policy(doc) == policy


def test_arms_without_names_are_numbered() -> None:
    policy = parse_policy(
        {"strategy": "ab_test", "split": [{"weight": 0, "policy": "m"}, {"weight": 2.5, "policy": "n"}]}
    )
    assert isinstance(policy, AbTest)
    assert [(arm.name, arm.weight) for arm in policy.split] == [("arm_1", 0), ("arm_2", 2.5)]


REFUSED: list[Any] = [
    pytest.param(None, "", "a policy is an object", id="null"),
    pytest.param([], "", "a policy is an object", id="a list"),
    pytest.param("", "", "must not be empty", id="empty text"),
    pytest.param({}, "strategy", "'strategy' is missing", id="no strategy"),
    pytest.param({"strategy": "falback"}, "strategy", "Did you mean 'fallback'?", id="near miss of a strategy"),
    pytest.param({"strategy": ["x"]}, "strategy", "a list is none of", id="strategy of another type"),
    pytest.param({"strategy": "single"}, "model", "'model' is missing", id="no model"),
    pytest.param({"strategy": "single", "model": 4}, "model", "expected text, found 4", id="model a number"),
    pytest.param({"strategy": "single", "model": "  "}, "model", "must not be empty", id="blank model"),
    pytest.param(
        {"strategy": "single", "model": "m", "modle": "x"}, "modle", "Did you mean 'model'?", id="unknown field"
    ),
    pytest.param({"strategy": "single", "model": "m", "zzz": 1}, "zzz", "Known here: strategy", id="far field"),
    pytest.param({"strategy": "single", "model": "m", 7: 1}, "7", "unknown field 7", id="key of another type"),
    pytest.param({"strategy": "single", "model": "m", "k" * 500: 1}, "k" * 100, "unknown field", id="huge key"),
    pytest.param({"strategy": "single", "model": "m" * 201}, "model", "at most 200 characters", id="long model"),
    pytest.param({"strategy": "single", "model": "gpt\u202e-4o"}, "model", "U+202E", id="direction override"),
    pytest.param({"strategy": "single", "model": "g\u0440t-4o"}, "model", "U+0440", id="Cyrillic look-alike"),
    pytest.param({"strategy": "single", "model": "gpt 4o"}, "model", "U+0020", id="space"),
    pytest.param({"strategy": "single", "model": "gpt\ud800"}, "model", "U+D800", id="lone surrogate"),
    pytest.param({"strategy": "single", "model": "@cheap"}, "model", "is a policy", id="policy for a model"),
    pytest.param({"strategy": "fallback", "attempts": []}, "attempts", "at least 1", id="D13 empty"),
    pytest.param(
        {"strategy": "fallback", "attempts": [f"m{i}" for i in range(100)]}, "attempts", "at most 10", id="D13 100"
    ),
    pytest.param(
        {"strategy": "fallback", "attempts": ["m", "m"]},
        "attempts[1].model",
        "same model as in attempt 1",
        id="D13 twice",
    ),
    pytest.param(
        {"strategy": "fallback", "attempts": {"model": "m"}},
        "attempts",
        "expected a list, found an object",
        id="object",
    ),
    pytest.param({"strategy": "fallback", "attempts": [7]}, "attempts[0]", "expected an object, found 7", id="number"),
    pytest.param(fallback(timeout_ms=0), "attempts[0].timeout_ms", "between 1 and 600000, is 0", id="D14 zero"),
    pytest.param(fallback(timeout_ms=10**9), "attempts[0].timeout_ms", "between 1 and 600000", id="D14 1e9"),
    pytest.param(fallback(timeout_ms=10**5000), "attempts[0].timeout_ms", "a number too large", id="5000 digits"),
    pytest.param(fallback(timeout_ms=-1), "attempts[0].timeout_ms", "between", id="negative timeout"),
    pytest.param(fallback(timeout_ms=2.5), "attempts[0].timeout_ms", "whole number, found 2.5", id="fraction"),
    pytest.param(
        fallback(timeout_ms=True), "attempts[0].timeout_ms", "whole number, found true", id="true for a number"
    ),
    pytest.param(fallback(timeout_ms=None), "attempts[0].timeout_ms", "found null", id="null for a number"),
    pytest.param(
        fallback(confidence={"json": True}), "attempts[0].confidence", "'cascade'", id="confidence in a fallback"
    ),
    pytest.param(fallback(policy="m"), "attempts[0].policy", "names a model", id="a policy in an attempt"),
    pytest.param({**fallback(), "retry_on": ["5XX"]}, "retry_on[0]", "Did you mean '5xx'?", id="case"),
    pytest.param({**fallback(), "retry_on": [200]}, "retry_on[0]", "200 is no error status", id="200"),
    pytest.param({**fallback(), "retry_on": [True]}, "retry_on[0]", "true is none of", id="true"),
    pytest.param({**fallback(), "retry_on": [[]]}, "retry_on[0]", "a list is none of", id="list in retry_on"),
    pytest.param({**fallback(), "retry_on": "5xx"}, "retry_on", "expected a list", id="text for a list"),
    pytest.param({**fallback(), "retry_on": ["429"] * 31}, "retry_on", "at most 30", id="long retry_on"),
    pytest.param({"strategy": "cost_optimized", "min_tier": 5}, "min_tier", "between 1 and 4", id="tier 5"),
    pytest.param({"strategy": "cost_optimized", "quality": "best"}, "quality", "none of light", id="unknown quality"),
    pytest.param({"strategy": "cost_optimized", "quality": "light", "min_tier": 1}, "quality", "Keep one", id="both"),
    pytest.param({"strategy": "cost_optimized", "allow": ["m"], "deny": ["m"]}, "deny", "every model", id="all denied"),
    pytest.param({"strategy": "cost_optimized", "allow": ["m", "m"]}, "allow[1]", "same model", id="allowed twice"),
    pytest.param({"strategy": "cost_optimized", "allow": []}, "allow", "at least 1", id="nothing allowed"),
    pytest.param(
        {"strategy": "cost_optimized", "expected_output_tokens": 0}, "expected_output_tokens", "between", id="0 tokens"
    ),
    pytest.param({"strategy": "latency_optimized"}, "models", "'models' is missing", id="no models"),
    pytest.param(
        {"strategy": "latency_optimized", "models": ["m"], "metric": "p99"}, "metric", "'p99' is none of", id="p99"
    ),
    pytest.param(
        {"strategy": "latency_optimized", "models": ["m"], "explore": 1.1}, "explore", "between 0 and 1", id="1.1"
    ),
    pytest.param(
        {"strategy": "latency_optimized", "models": ["m"], "explore": "a"}, "explore", "expected a number", id="text"
    ),
    pytest.param(split(0, 0), "split", "sum to 0", id="D12 sum 0"),
    pytest.param(split(1, -1), "split[1].weight", "between 0 and 1e+06, is -1", id="D12 negative"),
    pytest.param(split(1, float("nan")), "split[1].weight", "is nan", id="D12 NaN"),
    pytest.param(split(1, float("inf")), "split[1].weight", "is inf", id="D12 infinity"),
    pytest.param(split(1, 1e308), "split[1].weight", "is 1e+308", id="D12 1e308"),
    pytest.param(split(1, 10**400), "split[1].weight", "a number too large", id="D12 400 digits"),
    pytest.param(split(1), "split", "at least 2", id="one arm"),
    pytest.param(split(*[1] * 21), "split", "at most 20", id="21 arms"),
    pytest.param({**split(1, 1), "sticky_by": "user"}, "sticky_by", "none of request_id", id="unknown unit"),
    pytest.param({**split(1, 1), "sticky_by": "tag:"}, "sticky_by", "none of request_id", id="no tag"),
    pytest.param({**split(1, 1), "sticky_by": 5}, "sticky_by", "expected text", id="unit a number"),
    pytest.param(
        {"strategy": "ab_test", "split": [{"weight": 1, "name": "a", "policy": "m"}] * 2},
        "split[1].name",
        "same name",
        id="arms",
    ),
    pytest.param(
        {"strategy": "ab_test", "split": [{"weight": 1}, 2]}, "split[0].policy", "missing", id="arm without policy"
    ),
    pytest.param(
        {
            "strategy": "ab_test",
            "split": [{"weight": 1, "policy": "m"}, {"weight": 1, "policy": fallback(timeout_ms=0)}],
        },
        "split[1].policy.attempts[0].timeout_ms",
        "between",
        id="a path from the root",
    ),
    pytest.param(members("m"), "members", "at least 2", id="ensemble of one"),
    pytest.param(members(*["m"] * 11), "members", "at most 10", id="D15 fan-out 11"),
    pytest.param(
        members("m", {"model": "n", "policy": members("m", "n")}), "members[1].policy", "not a policy", id="D15 nested"
    ),
    pytest.param(members("m", members("m", "n")), "members[1].strategy", "not a policy", id="D15 nested at once"),
    pytest.param(members("m", 7), "members[1]", "expected an object, found 7", id="a number for a member"),
    pytest.param(members("m", {1, 2}), "members[1]", "found set", id="a set for a member"),
    pytest.param(members("m", "@x"), "members[1]", "is a policy", id="D15 reference"),
    pytest.param(members("m", "n", aggregation="vote"), "aggregation", "Did you mean 'voting'?", id="aggregation"),
    pytest.param(members("m", "n", valid={}), "valid", "says nothing", id="empty validity"),
    pytest.param(members("m", "n", valid={"json": 1}), "valid.json", "expected true or false", id="1 for true"),
    pytest.param(
        members("m", "n", valid={"json": True, "json_valid": True}), "valid.json", "Keep one", id="json twice"
    ),
    pytest.param(members("m", "n", valid={"matches": "(a"}), "valid.matches column", "", id="broken pattern"),
    pytest.param(
        members("m", "n", valid={"min_logprob_mean": 1}), "valid.min_logprob_mean", "between -100 and 0", id="logprob"
    ),
    pytest.param(
        members("m", "n", valid={"self_score": {"min": 1}}), "valid.self_score.marker", "missing", id="no marker"
    ),
    pytest.param(
        members({"model": "m", "weight": 0}, {"model": "n", "weight": 0}, aggregation="weighted"),
        "members",
        "sum to 0",
        id="D12 w",
    ),
    pytest.param(rules(""), "rules[0].when column 1", "empty", id="D1 empty rule"),
    pytest.param(rules("x" * 102_401), "rules[0].when", "at most 102400 characters", id="D2 100 KiB"),
    pytest.param(rules("(" * 10_000), "rules[0].when column", "", id="D3 nesting"),
    pytest.param(rules("input_token > 1"), "rules[0].when column 1", "input_tokens", id="D4 unknown field"),
    pytest.param(rules("input_tokens > 'a'"), "rules[0].when column", "", id="D5 type error"),
    pytest.param(rules("__import__('os')"), "rules[0].when column 1", "", id="D8 import"),
    pytest.param(rules(7), "rules[0].when", "a rule is text", id="a number for a rule"),
    pytest.param({"strategy": "custom_rules", "rules": []}, "otherwise", "missing", id="no otherwise"),
    pytest.param({"strategy": "custom_rules", "rules": [], "otherwise": "m"}, "rules", "at least 1", id="no rules"),
    pytest.param(
        {"strategy": "custom_rules", "rules": [{"name": "a", "when": "true", "then": "m"}] * 2, "otherwise": "m"},
        "rules[1].name",
        "same name",
        id="rules of one name",
    ),
    pytest.param({"ref": "cheap"}, "ref", "Write '@slug'", id="reference without @"),
    pytest.param({"ref": "@cheap", "model": "m"}, "model", "unknown field", id="reference with more"),
    pytest.param("@Cheap", "", "no valid slug", id="capital slug"),
    pytest.param("@", "", "no valid slug", id="no slug"),
    pytest.param("@" + "a" * 64, "", "no valid slug", id="long slug"),
    pytest.param("@cheap:0", "", "no version", id="version 0"),
    pytest.param("@cheap:x", "", "no version", id="version x"),
    pytest.param("@cheap:" + "9" * 5000, "", "at most 200", id="version of 5000 digits"),
    pytest.param("@cheap:99999999999", "", "no version", id="version too large"),
    pytest.param(nested(6), "split[0].policy" + ".split[0].policy" * 4, "nest at most 5 deep", id="6 deep"),
]


@pytest.mark.parametrize(("doc", "where", "text"), REFUSED)
def test_refuses_with_the_place_and_the_fix(doc: object, where: str, text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        parse_policy(doc)
    assert caught.value.where == where or (where.endswith("column") and caught.value.where.startswith(where))
    assert text in str(caught.value)
    assert len(str(caught.value)) < 600


def test_five_deep_is_read() -> None:
    parse_policy(nested(5))


def test_a_document_that_holds_itself_is_refused() -> None:
    doc: dict[str, Any] = {"strategy": "custom_rules", "rules": [{"when": "true", "then": "m"}]}
    doc["otherwise"] = doc
    with pytest.raises(InvalidConfig, match="nest at most 5"):
        parse_policy(doc)


FIELDS = [
    "strategy",
    "model",
    "attempts",
    "split",
    "members",
    "rules",
    "otherwise",
    "policy",
    "weight",
    "retry_on",
    "when",
    "then",
]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["@a", "m", "5xx"]),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(FIELDS) | st.text(max_size=4), inner, max_size=5)
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(sorted(routing_core.config.STRATEGIES)))
def test_any_document_is_read_or_refused(doc: object, strategy: str) -> None:
    for candidate in (doc, {**doc, "strategy": strategy} if isinstance(doc, dict) else doc):
        try:
            policy = parse_policy(candidate)
        except InvalidConfig:
            continue
        assert parse_policy(json.loads(json.dumps(dump_policy(policy)))) == policy


def test_what_equals_its_default_is_not_written() -> None:
    docs: list[Any] = [
        {"strategy": "cascade", "attempts": [{"model": "m", "confidence": {"no_refusal": True}}]},
        {"strategy": "cascade", "attempts": [{"model": "m", "confidence": {"matches": "a"}}, "n"]},
        {"strategy": "latency_optimized", "models": ["m"], "retry_on": []},
        {"strategy": "ensemble", "aggregation": "voting", "members": ["m", "m"]},
    ]
    assert dump_policy(parse_policy(docs[0])) == docs[0]
    assert [dump_policy(parse_policy(dump_policy(parse_policy(doc)))) for doc in docs] == [
        dump_policy(parse_policy(doc)) for doc in docs
    ]
    spelt_out = {
        "strategy": "latency_optimized",
        "models": ["m"],
        "explore": 0.05,
        "retry_on": ["429", "5xx", "timeout", "connect", "credentials"],
    }
    assert dump_policy(parse_policy(spelt_out)) == {"strategy": "latency_optimized", "models": ["m"]}


def test_public_names_exist() -> None:
    names = routing_core.config.__all__
    assert len(set(names)) == len(names)
    assert all(hasattr(routing_core.config, name) for name in names)
