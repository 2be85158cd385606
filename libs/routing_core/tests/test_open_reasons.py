"""Why a circuit is open: from the call that opened it, over what a policy sees, into the trace and its replay."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from routing_core.health import Registry
from routing_core.replay import replay, world_from
from routing_core.trace import from_json
from routing_core.types import Outcome, Target

HAIKU, MINI = "claude-haiku-4-5:anthropic", "gpt-4o-mini:openai"
FALLBACK = {"strategy": "fallback", "attempts": ["claude-haiku-4-5", "gpt-4o-mini"]}
TARGET = Target("claude-haiku-4-5", "anthropic", "pc_anthropic")
CASES = [
    pytest.param(
        [Outcome(TARGET, "status", 429, retry_after_ms=2000)], "rate limited", "rate limited", id="a 429 with a wait"
    ),
    pytest.param([Outcome(TARGET, "status", 401)], "credential refused", "credential refused", id="a dead key"),
    pytest.param([Outcome(TARGET, "timeout")] * 5, "5 failures in a row", "circuit open", id="failures"),
]


def seen(outcomes: list[Outcome], stage: Any) -> None:
    registry = Registry()
    for outcome in outcomes:
        registry.observe(outcome, 0)
    stage.health[TARGET] = registry.view(1000)[TARGET]


@pytest.mark.parametrize(("outcomes", "reason", "told"), CASES)
def test_the_trace_says_why_and_replays(stage: Any, outcomes: list[Outcome], reason: str, told: str) -> None:
    seen(outcomes, stage)
    played = stage.play(FALLBACK)
    assert [(e.model, e.reason) for e in played.trace.excluded] == [(HAIKU, f"circuit open: {reason}")]
    assert played.trace.selection_reason == f"primary {told}, secondary healthy"
    assert played.trace.saw.health[HAIKU].reason == reason
    stored = from_json(msgspec.json.encode(played.trace))
    world = world_from(stored, stage.offers, {})
    assert replay(stored, played.run.policy, stage.request, world) == played.trace


def test_a_closed_circuit_has_no_reason() -> None:
    registry = Registry()
    registry.observe(Outcome(TARGET, "status", 429, retry_after_ms=2000), 0)
    assert [registry.view(now_ms)[TARGET].reason for now_ms in (1999, 2000)] == ["rate limited", ""]


def test_a_trace_from_before_reasons_were_kept_replays_as_it_was_told(stage: Any) -> None:
    stage.feel(HAIKU, "open")
    played = stage.play(FALLBACK)
    document = json.loads(msgspec.json.encode(played.trace))
    del document["saw"]["health"][HAIKU]["reason"]
    stored = from_json(json.dumps(document))
    assert [e.reason for e in stored.excluded] == ["circuit open"]
    assert replay(stored, played.run.policy, stage.request, world_from(stored, stage.offers, {})) == stored
