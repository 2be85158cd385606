"""Each dialect against the simulator over real HTTP: what one writes, the other reads."""

from __future__ import annotations

import json
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from modelux_providers.client import Client, Deadlines, Origin
from modelux_providers.dialects.base import (
    ChatCall,
    Chunk,
    Complete,
    Done,
    EmbeddingsCall,
    ProviderError,
    StreamEvent,
    UsageSeen,
    VendorFacts,
    WireRequest,
)
from modelux_providers.dialects.collect import collect
from modelux_providers.dialects.table import DIALECTS
from modelux_providers.egress import Guard
from modelux_providers.simulator.server import Simulator
from routing_core.types import Usage

VENDORS = {
    "openai": ("/v1", "gpt-4o-mini", VendorFacts("openai")),
    "anthropic": ("/v1", "claude-sonnet-4-5", VendorFacts("anthropic", "anthropic", "x-api-key", embeddings_path=None)),
    "google": ("/v1beta", "gemini-2.5-flash", VendorFacts("google", "google", "x-goog-api-key")),
}
SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}},
    "required": ["city"],
    "additionalProperties": False,
}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": SCHEMA}}
FORMAT = {"type": "json_schema", "json_schema": {"name": "place", "schema": SCHEMA}}
ASKED: list[Any] = [
    pytest.param({}, id="text"),
    pytest.param({"tools": [TOOL], "tool_choice": "required"}, id="tools"),
    pytest.param({"response_format": FORMAT}, id="schema"),
]


def call_of(dialect: str, fields: dict[str, Any], *, stream: bool = False) -> ChatCall:
    _, model, vendor = VENDORS[dialect]
    messages = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What of the weather in Paris?"},
    ]
    body = json.dumps({"model": "@production", "messages": messages} | fields).encode()
    return ChatCall(body, model, vendor, stream=stream, wants_usage=stream, created_s=1, request_id="req_1")


async def exchange(client: Client, url: str, base: str, wire: WireRequest) -> Any:
    host, _, port = url.removeprefix("http://").partition(":")
    origin = Origin("http", host, int(port), allow_private=True)
    headers = (*wire.headers, (b"authorization", b"Bearer sk-x"), (b"x-api-key", b"k"), (b"x-goog-api-key", b"k"))
    return await client.send(origin, "POST", base + wire.path, headers, wire.body, deadlines=Deadlines())


@pytest.mark.parametrize("fields", ASKED)
@pytest.mark.parametrize("dialect", sorted(VENDORS))
async def test_whole_and_streamed_answers(dialect: str, fields: dict[str, Any]) -> None:
    known = DIALECTS[dialect]  # type: ignore[index]  # a str of the table
    base = VENDORS[dialect][0]
    async with Simulator.start() as sim:
        client = Client(Guard(allow_private=True))
        try:
            call = call_of(dialect, fields)
            wire = known.request(call)
            assert isinstance(wire, WireRequest)
            whole = known.response(call, await (await exchange(client, sim.url, base, wire)).read(1 << 20))
            assert isinstance(whole, Complete)
            streamed = call_of(dialect, fields, stream=True)
            wire = known.request(streamed)
            assert isinstance(wire, WireRequest)
            events = await _events(known.stream(streamed), await exchange(client, sim.url, base, wire))
        finally:
            await client.close()
    assert events[-1] == Done()
    chunks = [event.data for event in events if isinstance(event, Chunk)]
    for chunk in chunks:
        ChatCompletionChunk.model_validate_json(chunk[6:])
    counted = [event.usage for event in events if isinstance(event, UsageSeen)]
    _check(ChatCompletion.model_validate_json(whole.body), fields, whole.usage)
    _check(ChatCompletion.model_validate_json(collect(chunks)), fields, counted[-1])


def _check(answer: ChatCompletion, fields: dict[str, Any], counted: Usage | None) -> None:
    choice = answer.choices[0]
    calls = [call.function for call in choice.message.tool_calls or [] if call.type == "function"]
    assert choice.finish_reason == ("tool_calls" if "tools" in fields else "stop")
    assert {call.name for call in calls} == ({"get_weather"} if "tools" in fields else set())
    assert all(isinstance(json.loads(call.arguments)["city"], str) for call in calls)
    if "response_format" in fields:
        assert isinstance(json.loads(choice.message.content or "")["city"], str)
    assert choice.message.content or calls
    assert answer.usage is not None
    assert counted is not None
    assert (counted.input, counted.output) == (answer.usage.prompt_tokens, answer.usage.completion_tokens)


async def _events(parser: Any, response: Any) -> list[StreamEvent]:
    assert response.status == 200
    events: list[StreamEvent] = []
    while data := await response.chunk():
        events += parser.feed(data)
    return events + parser.eof()


@pytest.mark.parametrize("dialect", sorted(VENDORS))
async def test_a_rate_limit_is_the_same_error_everywhere(dialect: str) -> None:
    known = DIALECTS[dialect]  # type: ignore[index]  # a str of the table
    async with Simulator.start() as sim:
        client = Client(Guard(allow_private=True))
        try:
            turn = {"role": "user", "content": "[[sim: status=429 retry_after=2]]"}
            wire = known.request(call_of(dialect, {"messages": [turn]}))
            assert isinstance(wire, WireRequest)
            response = await exchange(client, sim.url, VENDORS[dialect][0], wire)
            error = known.error(response.status, response.headers, await response.read(1 << 20))
        finally:
            await client.close()
    assert (error.status, error.code, error.retry_after_ms) == (429, "rate_limit_exceeded", 2000)


@pytest.mark.parametrize("dialect", ["openai", "google"])
@pytest.mark.parametrize("given", ["one text", ["first", "second"]])
async def test_embeddings(dialect: str, given: str | list[str]) -> None:
    known = DIALECTS[dialect]  # type: ignore[index]  # a str of the table
    base, _, vendor = VENDORS[dialect]
    body = json.dumps({"model": "@e", "input": given, "encoding_format": "base64"}).encode()
    async with Simulator.start() as sim:
        client = Client(Guard(allow_private=True))
        try:
            call = EmbeddingsCall(body, "embedder", vendor)
            wire = known.request(call)
            assert isinstance(wire, WireRequest)
            answer = known.response(call, await (await exchange(client, sim.url, base, wire)).read(1 << 20))
        finally:
            await client.close()
    assert not isinstance(answer, ProviderError)
    data = json.loads(answer.body)["data"]
    assert [each["index"] for each in data] == list(range(1 if isinstance(given, str) else 2))
    assert all(isinstance(each["embedding"], str) for each in data)
    assert answer.usage is not None
    assert CreateEmbeddingResponse.model_construct(**json.loads(answer.body)).usage is not None
