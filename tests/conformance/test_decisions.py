"""Policies that see whole answers: how they stream, what losers cost, and what time is recorded of every attempt."""

from __future__ import annotations

import asyncio
import itertools
import json
import time

import pytest

from modelux_calling.clock import Clock
from modelux_providers.simulator.scenario import Behaviour

CHAT = {"model": "@both", "messages": [{"role": "user", "content": "hi"}], "stream": True}
FORTY_TWO = Behaviour(text="forty-two")


@pytest.mark.conformance(60)
async def test_an_ensemble_streams_nothing_before_its_decision_and_then_chunks(start):
    late = Behaviour(text="forty-two", headers_ms=200)
    async with start(rules={"gpt-4o": FORTY_TWO, "spare": late}) as rig, rig.opened(CHAT) as wire:
        await rig.simulator.until(lambda calls: any(call.ended == "completed" for call in calls))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(wire.reader.read(1), 0.05)
        await wire.until(b"\r\n\r\n")
        body = await wire.rest()
        assert [call.ended for call in rig.calls()] == ["completed", "completed"]
        assert b'"content":"forty-two"' in body
        assert body.count(b"[DONE]") == 1
        event = await rig.event()
        assert event.ttft_us >= 200_000  # the caller's first byte, not the first member's
        assert [call.stream for call in rig.calls()] == [False, False]


@pytest.mark.conformance(60)
async def test_every_member_of_an_ensemble_is_billed(start):
    async with start(rules={"gpt-4o": FORTY_TWO, "spare": FORTY_TWO}) as rig:
        answer = await rig.chat(model="@both")
        event = await rig.event()
        assert answer.headers["x-modelux-attempts"] == "2"
        assert [each.kind for each in event.attempts] == ["ok", "ok"]
        assert all(each.cost_nano > 0 for each in event.attempts)
        assert event.cost_nano == sum(each.cost_nano for each in event.attempts)


@pytest.mark.conformance(60)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("behaviour", [Behaviour(hang_headers=True), Behaviour(hang_after=3)])
async def test_the_losers_of_a_race_are_cancelled_and_billed(start, behaviour, stream):
    async with start(rules={"gpt-4o": behaviour, "spare": FORTY_TWO}) as rig:
        answer = await rig.chat("word " * 40, model="@first", stream=stream)
        assert (answer.status, answer.headers["x-modelux-model"]) == (200, "spare")
        calls = await rig.simulator.until(lambda calls: all(call.ended != "open" for call in calls))
        assert {call.model: call.ended for call in calls} == {"gpt-4o": "cancelled", "spare": "completed"}
        loser, winner = (await rig.event()).attempts
        assert (loser.kind, winner.kind) == ("cancelled", "ok")
        assert loser.usage.estimated
        assert loser.cost_nano > 0


@pytest.mark.conformance(60)
@pytest.mark.parametrize("asked", [{"logprobs": True}, {}], ids=["asked for", "not asked for"])
@pytest.mark.parametrize("logprob", [-0.05, -2.0])
async def test_a_cascade_streams_only_the_answer_it_decided_for(start, logprob, asked):
    rules = {"gpt-4o": Behaviour(text="doubt", logprob=logprob), "spare": Behaviour(text="sure")}
    async with start(rules=rules) as rig:
        answer = await rig.stream(model="@climb", usage=True, **asked)
        assert answer.text() == ("doubt" if logprob > -1 else "sure")
        event = await rig.event()
        assert len(event.attempts) == (1 if logprob > -1 else 2)
        assert all(each.cost_nano > 0 for each in event.attempts)


@pytest.mark.conformance(60)
@pytest.mark.parametrize("model", ["@both", "@climb"])
async def test_tools_and_usage_survive_the_replay_as_chunks(rig, model):
    tool = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object", "properties": {}}}}
    answer = await rig.stream("[[sim: tool_calls=2]]", model=model, tools=[tool], usage=True)
    calls = [call for delta in answer.deltas() for call in delta.get("tool_calls") or ()]
    assert [(call["index"], call["type"], call["function"]["name"]) for call in calls if "id" in call] == [
        (0, "function", "weather"),
        (1, "function", "weather"),
    ]
    assert answer.finishes()[-1] == "tool_calls"
    assert answer.chunks()[-1]["usage"]["completion_tokens"] > 0


@pytest.mark.conformance(61)
@pytest.mark.parametrize("stream", [False, True])
async def test_each_attempt_has_its_start_first_content_and_end(start, stream):
    rules = {
        "gpt-4o": Behaviour(headers_ms=80, status=503),
        "spare": Behaviour(ttft_ms=60, per_token_ms=20, text="one two three four"),
    }
    async with start(rules=rules) as rig:
        began = time.monotonic()
        await rig.chat(model="@production", stream=stream)
        whole_us = (time.monotonic() - began) * 1e6
        event = await rig.event()
    first, second = event.attempts
    assert first.latency_us >= 80_000
    assert first.ttft_us == -1
    assert second.started_us >= first.started_us + first.latency_us
    assert second.latency_us >= 120_000
    if stream:
        assert 60_000 <= second.ttft_us <= second.latency_us - 40_000
        assert event.ttft_us >= second.started_us + second.ttft_us
    assert 0 <= first.started_us < 50_000  # the time spent before anybody was called
    assert second.started_us + second.latency_us <= event.latency_us + 1000
    assert event.latency_us <= whole_us
    assert 0 <= event.overhead_us <= event.latency_us - first.latency_us - second.latency_us + 1000
    trace = json.loads(event.trace_json)
    assert [each["outcome"] for each in trace["attempts"]] == ["status", "ok"]
    assert [each["latency_ms"] for each in trace["attempts"]] == pytest.approx(
        [first.latency_us / 1000, second.latency_us / 1000], abs=1
    )


@pytest.mark.conformance(61)
async def test_a_wall_clock_that_jumps_does_not_touch_what_is_measured(start):
    jumps = itertools.count(1_800_000_000_000_000_000, -3_600_000_000_000)  # an hour back at every look
    clock = Clock(now_ns=lambda: next(jumps))
    async with start(clock=clock, rules={"gpt-4o": Behaviour(headers_ms=50)}) as rig:
        answer = await rig.chat()
        assert answer.status == 200
        event = await rig.event()
        assert event.started_at_us == 1_800_000_000_000_000
        assert 50_000 <= event.latency_us < 5_000_000
        assert 50_000 <= event.attempts[0].latency_us <= event.latency_us
