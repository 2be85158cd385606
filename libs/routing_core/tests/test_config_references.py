"""What policies refer to: other policies, models and budgets, and what is said where they are not there."""

from __future__ import annotations

from typing import Any

import pytest

from routing_core.config import (
    Ref,
    dump_policy,
    model_names,
    parse_policy,
    parse_reference,
    references,
    validate,
)
from routing_core.errors import InvalidConfig


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


KNOWN = {
    "leaf": "m",
    "leaf:2": "n",
    "loop": "@loop2",
    "loop2": "@loop",
    "two": {"strategy": "ab_test", "split": [{"weight": 1, "policy": "@leaf"}, {"weight": 1, "policy": "m"}]},
    "three": {"strategy": "custom_rules", "rules": [{"when": "true", "then": "@two"}], "otherwise": "@leaf:2"},
    "back": "@mine",
}


def known() -> dict[str, Any]:
    return {key: parse_policy(doc) for key, doc in KNOWN.items()}


@pytest.mark.parametrize("doc", ["m", "@leaf", "@leaf:2", "@two", KNOWN["three"], nested(5)])
def test_references_that_lead_somewhere_are_fine(doc: object) -> None:
    assert validate(parse_policy(doc), known(), slug="mine") == ()


@pytest.mark.parametrize(
    ("doc", "where", "text"),
    [
        pytest.param("@leave", "", "Did you mean '@leaf'?", id="near miss"),
        pytest.param("@qqqqqq", "", "Create it first", id="unknown"),
        pytest.param("@leaf:9", "", "there is no policy @leaf:9", id="unknown version"),
        pytest.param("@mine", "", "circle: @mine -> @mine", id="itself"),
        pytest.param("@back", "", "circle: @mine -> @back -> @mine", id="D11 back to itself"),
        pytest.param("@loop", "", "circle: @loop -> @loop2 -> @loop", id="a circle elsewhere"),
        pytest.param(
            {**split(1, 1), "split": [{"weight": 1, "policy": "m"}, {"weight": 1, "policy": "@back"}]},
            "split[1].policy",
            "circle",
            id="path",
        ),
        pytest.param(rules("true", otherwise="@gone"), "otherwise", "there is no policy @gone", id="otherwise"),
    ],
)
def test_references_that_lead_nowhere_are_refused(doc: object, where: str, text: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        validate(parse_policy(doc), known(), slug="mine")
    assert caught.value.where == where
    assert text in str(caught.value)


def test_depth_counts_what_references_lead_to() -> None:
    one_more: Any = {"strategy": "custom_rules", "rules": [{"when": "true", "then": "m"}], "otherwise": "@three"}
    with pytest.raises(InvalidConfig, match="nest at most 5 deep, @three makes it"):
        validate(parse_policy(one_more), known())
    chain = {f"c{i}": parse_policy(f"@c{i + 1}") for i in range(2000)} | {"c2000": parse_policy("m")}
    with pytest.raises(InvalidConfig, match="nest at most 5 deep"):
        validate(parse_policy("@c0"), chain)


def test_wide_nests_of_references_are_walked_once() -> None:
    def level(number: int) -> Any:
        arms = [{"weight": 1, "name": f"a{i}", "policy": f"@l{number + 1}"} for i in range(20)]
        return parse_policy({"strategy": "ab_test", "split": arms})

    with pytest.raises(InvalidConfig, match="nest at most 5 deep, @l0 makes it 12"):
        validate(parse_policy("@l0"), {f"l{i}": level(i) for i in range(5)} | {"l5": parse_policy("m")})


def test_models_that_nobody_offers_are_warned_of() -> None:
    doc = {
        "strategy": "ab_test",
        "split": [
            {"weight": 1, "policy": {"strategy": "cost_optimized", "allow": ["gpt-4o"], "deny": ["gpt-3"]}},
            {"weight": 1, "policy": {"strategy": "latency_optimized", "models": ["gpt-4p", "gpt-4o"]}},
        ],
    }
    found = validate(parse_policy(doc), {}, models={"gpt-4o", "o1"})
    assert [(w.where, w.hint) for w in found] == [
        ("split[0].policy.deny[0]", "Did you mean 'gpt-4o'?"),
        ("split[1].policy.models[0]", "Did you mean 'gpt-4o'?"),
    ]
    assert "no credential offers 'gpt-4p'" in found[1].message


def test_rules_about_budgets_that_are_gone_are_refused() -> None:
    rule = parse_policy(rules("stream && budgets['bud_1'].used_fraction > 0.5 && tags.a == 'b'"))
    both = {"strategy": "ab_test", "split": [{"weight": 1, "policy": dump_policy(rule)}, {"weight": 1, "policy": "m"}]}
    assert validate(rule, {}, budgets={"bud_1"}) == ()
    assert validate(rule, {}) == ()
    with pytest.raises(InvalidConfig, match="there is no budget 'bud_1'") as caught:
        validate(parse_policy(both), {}, budgets=())
    assert caught.value.where == "split[0].policy.rules[0].when"


def test_what_a_policy_names() -> None:
    policy = parse_policy({**rules("true"), "otherwise": members("a", "b")})
    assert list(model_names(policy)) == [
        ("rules[0].then.model", "m"),
        ("otherwise.members[0].model", "a"),
        ("otherwise.members[1].model", "b"),
    ]
    assert list(model_names(parse_policy(fallback()))) == [("attempts[0].model", "m")]
    assert list(model_names(parse_policy("@x"))) == []
    assert list(references(parse_policy({**rules("true"), "otherwise": "@x:2"}))) == [("otherwise", Ref("x", 2))]
    assert parse_reference("@x:2") == Ref("x", 2)
