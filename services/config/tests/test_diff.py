"""Differences between policies, by meaning."""

from __future__ import annotations

from typing import Any

import pytest

from modelux_config.diff import diff, summary

FALLBACK: dict[str, Any] = {
    "strategy": "fallback",
    "attempts": [
        {"model": "claude-haiku-4-5", "timeout_ms": 2000},
        {"model": "gpt-4o-mini", "timeout_ms": 3000},
    ],
}


def _with(**changes: object) -> dict[str, Any]:
    return {**FALLBACK, **changes}


SPLIT = {
    "strategy": "ab_test",
    "split": [
        {"weight": 90, "name": "control", "policy": {"strategy": "single", "model": "gpt-4o"}},
        {"weight": 10, "name": "candidate", "policy": {"strategy": "cost_optimized", "allow": ["gpt-4o-mini"]}},
    ],
}
SHIFTED = {
    "strategy": "ab_test",
    "split": [
        {"weight": 50, "name": "control", "policy": {"strategy": "single", "model": "gpt-4o"}},
        {"weight": 50, "name": "candidate", "policy": {"strategy": "single", "model": "gpt-4o-mini"}},
    ],
}


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        pytest.param(FALLBACK, FALLBACK, [], id="the same"),
        pytest.param(
            FALLBACK,
            _with(attempts=[FALLBACK["attempts"][0], {"model": "gpt-4o-mini", "timeout_ms": 2500}]),
            [("attempts[1].timeout_ms", "changed", "timeout_ms of attempt gpt-4o-mini changed from 3,000 to 2,500")],
            id="a timeout",
        ),
        pytest.param(
            FALLBACK,
            _with(attempts=[*FALLBACK["attempts"], {"model": "gemini-2.5-flash"}]),
            [("attempts[2]", "added", "Added attempt 3: gemini-2.5-flash")],
            id="an attempt more",
        ),
        pytest.param(
            FALLBACK,
            _with(attempts=FALLBACK["attempts"][1:]),
            [("attempts[0]", "removed", "Removed attempt 1: claude-haiku-4-5")],
            id="an attempt less does not shift the rest",
        ),
        pytest.param(
            FALLBACK,
            _with(attempts=FALLBACK["attempts"][::-1]),
            [
                ("attempts[0]", "moved", "Moved attempt gpt-4o-mini from place 2 to 1"),
                ("attempts[1]", "moved", "Moved attempt claude-haiku-4-5 from place 1 to 2"),
            ],
            id="another order",
        ),
        pytest.param(
            FALLBACK,
            _with(retry_on=["429"]),
            [("retry_on", "added", 'retry_on set to ["429"]')],
            id="a field more",
        ),
        pytest.param(
            _with(retry_on=["429", "5xx"]),
            _with(retry_on=["429", "timeout"]),
            [
                ("retry_on[1]", "removed", "Removed retry_on: 5xx"),
                ("retry_on[1]", "added", "Added retry_on: timeout"),
            ],
            id="entries of a set",
        ),
        pytest.param(
            FALLBACK,
            {"strategy": "single", "model": "gpt-4o"},
            [("", "changed", "Strategy changed from fallback to single")],
            id="another strategy",
        ),
        pytest.param(
            SPLIT,
            SHIFTED,
            [
                ("split[0].weight", "changed", "weight of arm control changed from 90 to 50"),
                ("split[1].weight", "changed", "weight of arm candidate changed from 10 to 50"),
                ("split[1].policy", "changed", "Strategy of arm candidate changed from cost_optimized to single"),
            ],
            id="arms of a test",
        ),
        pytest.param(
            {"ref": "@a"},
            {"ref": "@b"},
            [("", "changed", "Strategy changed from a reference to @a to a reference to @b")],
            id="another reference",
        ),
        pytest.param(
            {"strategy": "single", "model": "a"},
            {"strategy": "single", "model": "b"},
            [("model", "changed", 'model changed from "a" to "b"')],
            id="another model",
        ),
    ],
)
def test_finds(old: object, new: object, found: list[tuple[str, str, str]]) -> None:
    differences = diff(old, new)
    assert [(each.path, each.kind, each.text) for each in differences] == found


def test_values_stand_in_the_difference() -> None:
    (change,) = diff({"strategy": "single", "model": "a"}, {"strategy": "single", "model": "b"})
    assert (change.old, change.new) == ("a", "b")


def test_the_summary_is_one_line() -> None:
    assert summary(diff(FALLBACK, FALLBACK)) == "No difference"
    assert summary(diff(SPLIT, SHIFTED)).count(";") == 2
