"""The trace: its stored shape, its times and its sums."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from routing_core.flow import Attempt, Step
from routing_core.trace import Trace, from_json, offsets
from routing_core.types import Answer, Outcome, Target, Usage
from routing_core.world import Budget

TRACES = sorted((Path(__file__).parent / "traces").glob("*.json"))
BIG, MINI, HAIKU = "gpt-4o:openai", "gpt-4o-mini:openai", "claude-haiku-4-5:anthropic"
FALLBACK = {"strategy": "fallback", "attempts": [{"model": "claude-haiku-4-5", "timeout_ms": 2000}, "gpt-4o-mini"]}
PAGE_FIELDS = (
    "request_id policy_type policy_name policy_version path candidates excluded attempts selected selection_reason "
    "selected_attempt saw measured"
)


def holds(told: object, stored: object) -> bool:
    """Whether everything stored is told again; fields added since then stand beside it."""
    if isinstance(stored, dict) and isinstance(told, dict):
        return all(name in told and holds(told[name], value) for name, value in stored.items())
    if isinstance(stored, list) and isinstance(told, list):
        return len(stored) == len(told) and all(map(holds, told, stored))
    return told == stored


@pytest.mark.parametrize("path", TRACES, ids=lambda p: p.stem)
def test_stored_traces_are_read_forever(path: Path) -> None:
    stored = path.read_text()
    trace = from_json(stored)
    assert path.stem.startswith("old") or holds(json.loads(msgspec.json.encode(trace)), json.loads(stored))
    assert from_json(msgspec.json.encode(trace)) == trace
    assert trace.request_id.startswith("req_")


def test_there_are_stored_traces() -> None:
    assert {path.stem for path in TRACES} >= {
        "old_page",
        "fallback_v1",
        "ensemble_v1",
        "cascade_v1",
        "ab_test_v1",
        "refused_v1",
    }


def test_the_fields_stand_in_the_order_of_the_pages() -> None:
    assert [field.name for field in fields(Trace)] == PAGE_FIELDS.split()


def test_what_is_stored_keeps_the_order_and_every_digit(stage: Any) -> None:
    stage.feel(HAIKU, p50=100)
    stage.budgets = (Budget("bud_1", 10_000_000_000, 1_234_567_891),)
    trace = stage.play(FALLBACK, {HAIKU: "timeout"}).trace
    stored = msgspec.json.encode(trace)
    assert list(json.loads(stored)) == PAGE_FIELDS.split()
    assert from_json(stored) == trace
    assert trace.saw.budgets[0].spent_usd == 1.234567891


def test_answers_leave_traits_and_no_text(stage: Any) -> None:
    doc = {"strategy": "ensemble", "members": ["gpt-4o", "gpt-4o-mini"]}
    trace = stage.play(doc, {BIG: Answer("the secret word"), MINI: Answer("x", "stop", 2)}).trace
    assert b"secret" not in msgspec.json.encode(trace)
    assert trace.attempts[1].answer.tool_calls == 2
    assert from_json(msgspec.json.encode(trace)) == trace


def test_final_outcomes_give_the_times_and_the_costs(stage: Any) -> None:
    played = stage.play(FALLBACK, {HAIKU: "timeout"})
    first, second = played.run.outcomes
    final = [
        replace(first, latency_ms=2000.0004, cost_nano=100),
        replace(second, latency_ms=900.1239, ttft_ms=100.5, usage=Usage(7, 8, 1, 2, 3, True), cost_nano=410_000),
    ]
    trace = played.run.trace(final, [1.0, 2003.25])
    assert [a.latency_ms for a in trace.attempts] == [2000.0, 900.124]
    assert [a.started_ms for a in trace.attempts] == [1.0, 2003.25]
    assert trace.attempts[1].cost_usd == 0.00041
    assert trace.attempts[1].usage.estimated is True
    assert (trace.measured.cost_usd, trace.measured.latency_ms, trace.measured.ttft_ms) == (
        0.0004101,
        2903.374,
        2103.75,
    )


def test_a_failed_request_took_as_long_as_its_last_attempt(stage: Any) -> None:
    played = stage.play(FALLBACK, {HAIKU: 503, MINI: 503})
    assert played.trace.measured.latency_ms == 100.0
    assert played.trace.measured.ttft_ms is None
    assert [a.started_ms for a in played.trace.attempts] == [0, 50]


def test_a_success_without_a_first_token_time(stage: Any) -> None:
    played = stage.play("gpt-4o")
    trace = played.run.trace([replace(played.run.outcomes[0], ttft_ms=None)])
    assert trace.measured.ttft_ms is None


def test_steps_follow_each_other_without_a_clock() -> None:
    target = Target("m", "p", "c")

    def ended(kind: Any, latency: float) -> Outcome:
        return Outcome(target, kind, latency_ms=latency)

    one = (Attempt(target),)
    steps = [Step(one * 2, "race"), Step(one * 2, "all"), Step(one * 2, "race"), Step(one), Step(one)]
    outcomes = [ended("cancelled", 40), ended("ok", 30), ended("ok", 10), ended("status", 50)]
    assert offsets(steps, [*outcomes, ended("timeout", 5), ended("status", 7), ended("ok", 1)]) == [
        0,
        0,
        30,
        30,
        80,
        80,
        87,
    ]


@pytest.mark.parametrize("text", ["", "{}", "[]", "null", '{"request_id": 1}', '{"request_id":"r","path":[{}]}'])
def test_what_is_no_trace_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not a decision trace|Expecting"):
        from_json(text)


def test_unknown_fields_of_later_versions_are_left_out(stage: Any) -> None:
    trace = stage.play("gpt-4o").trace
    doc = json.loads(msgspec.json.encode(trace))
    doc["later"] = 1
    doc["attempts"][0]["later"] = {}
    doc["saw"]["later"] = []
    assert from_json(json.dumps(doc)) == trace
