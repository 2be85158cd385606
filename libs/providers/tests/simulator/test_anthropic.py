"""Anthropic's dialect: the grammar of its stream, its usage, its errors and its refusals."""

from __future__ import annotations

import json

import pytest

from modelux_providers.simulator.scenario import Behaviour, Scenario

PATH = "/v1/messages"
ASK = {"model": "claude-sonnet-4-5", "max_tokens": 500, "messages": [{"role": "user", "content": "Hello"}]}
TOOLS = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]


async def test_streams_what_the_whole_message_says(sim, post):
    sim.use(Scenario(behaviour=Behaviour(tool_calls=2, cached_tokens=8, cache_write_tokens=4, input_tokens=20)))
    ask = {**ASK, "tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    whole = (await post(sim, PATH, ask)).json()
    events = (await post(sim, PATH, {**ask, "stream": True})).chunks()
    kinds = [event["type"] for event in events]
    assert kinds[0] == "message_start"
    assert kinds[1:3] == ["content_block_start", "ping"]
    assert kinds[-2:] == ["message_delta", "message_stop"]
    built = [dict(event["content_block"]) for event in events if event["type"] == "content_block_start"]
    inputs = ["" for _ in built]
    for event in events:
        if event["type"] != "content_block_delta":
            continue
        delta, block = dict(event["delta"]), built[event["index"]]
        delta.pop("type")
        inputs[event["index"]] += delta.pop("partial_json", "")
        for name, value in delta.items():
            block[name] += value
    for block, text in zip(built, inputs, strict=True):
        if block["type"] == "tool_use":
            block["input"] = json.loads(text)
    assert [block["type"] for block in built] == ["thinking", "tool_use", "tool_use"]
    # Ids and made texts depend on the request's bytes, and `stream` is one of them.
    assert [block["type"] for block in whole["content"]] == [block["type"] for block in built]
    assert [block.keys() for block in whole["content"]] == [block.keys() for block in built]
    assert whole["stop_reason"] == events[-2]["delta"]["stop_reason"] == "tool_use"
    usage = events[0]["message"]["usage"]
    assert (usage["input_tokens"], usage["cache_read_input_tokens"], usage["cache_creation_input_tokens"]) == (8, 8, 4)


async def test_names_each_event(sim, post):
    answer = await post(sim, PATH, {**ASK, "stream": True})
    named = [line[7:] for line in answer.body.decode().split("\n") if line.startswith("event: ")]
    assert named == [chunk["type"] for chunk in answer.chunks()]


async def test_takes_the_results_of_a_signed_tool_turn_back(sim, post):
    ask = {**ASK, "tools": TOOLS, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    used = (await post(sim, PATH, ask)).json()
    tool = next(block for block in used["content"] if block["type"] == "tool_use")
    result = {"type": "tool_result", "tool_use_id": tool["id"], "content": "sunny"}

    async def again(assistant, user):
        turns = [*ASK["messages"], {"role": "assistant", "content": assistant}, {"role": "user", "content": user}]
        return await post(sim, PATH, {**ask, "messages": turns})

    good = await again(used["content"], [result, {"type": "text", "text": "go on"}])
    assert good.status == 200
    assert good.json()["stop_reason"] == "end_turn"
    for bad in (
        await again([tool], [result]),
        await again([{"type": "thinking", "thinking": "x"}, tool], [result]),
        await again(used["content"], "no result"),
        await again(used["content"], [{"type": "text", "text": "go on"}, result]),
        await again(used["content"], [result, {"type": "text", "text": ""}]),
    ):
        assert bad.status == 400
        assert bad.json()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"max_tokens": None}, id="no max_tokens"),
        pytest.param({"messages": []}, id="no messages"),
        pytest.param({"stop_sequences": [" "]}, id="white stop"),
        pytest.param({"temperature": 1.5}, id="temperature over 1"),
        pytest.param({"messages": [{"role": "system", "content": "x"}]}, id="system as a role"),
        pytest.param({"messages": [{"role": "user", "content": ""}]}, id="empty text"),
    ],
)
async def test_refuses_what_anthropic_refuses(sim, post, change):
    ask = {name: value for name, value in {**ASK, **change}.items() if value is not None}
    answer = await post(sim, PATH, ask)
    assert answer.status == 400
    assert answer.json()["type"] == "error"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(429, "rate_limit_error"), (529, "overloaded_error"), (500, "api_error"), (401, "authentication_error")],
)
async def test_names_its_errors(sim, post, status, kind):
    sim.use(Scenario(behaviour=Behaviour(status=status)))
    answer = await post(sim, PATH, ASK)
    assert answer.status == status
    assert answer.json()["error"]["type"] == kind


async def test_breaks_a_stream_off_with_an_error_event(sim, post):
    sim.use(Scenario(behaviour=Behaviour(error_after=4, error_type="overloaded_error")))
    answer = await post(sim, PATH, {**ASK, "stream": True})
    assert answer.body.decode().split("\n\n")[-2].startswith("event: error\n")
    assert answer.chunks()[-1]["error"]["type"] == "overloaded_error"
    assert len(answer.chunks()) == 5
