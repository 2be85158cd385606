"""The official OpenAI SDK reads what the simulator answers, and OpenAI's own refusals are there."""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator

import openai
import pytest

from modelux_providers.simulator.reply import pieces
from modelux_providers.simulator.scenario import Behaviour, Rule, Scenario
from modelux_providers.simulator.server import Simulator

WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "unit": {"enum": ["C", "F"]}, "days": {"type": "integer"}},
        },
    },
}
HELLO = [{"role": "user", "content": "Hello there, wide world"}]


@pytest.fixture
async def client(sim: Simulator) -> AsyncIterator[openai.AsyncOpenAI]:
    async with openai.AsyncOpenAI(base_url=f"{sim.url}/v1", api_key="sk-test", max_retries=0) as made:
        yield made


async def test_answers_the_same_request_with_the_same_answer(client):
    first = await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    again = await client.chat.completions.create(model="gpt-4o-mini", messages=HELLO)
    other = await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert first == again
    assert first.choices[0].message.content != other.choices[0].message.content
    assert first.choices[0].finish_reason == "stop"
    assert first.usage.total_tokens == first.usage.prompt_tokens + first.usage.completion_tokens


async def test_streams_the_text_and_usage_of_the_whole_answer(client):
    """Usage in one more chunk without choices; null on the others (include_usage's exact shape)."""
    options = {"model": "gpt-4o", "messages": HELLO, "n": 2}
    stream = await client.chat.completions.create(**options, stream=True, stream_options={"include_usage": True})
    chunks = [chunk async for chunk in stream]
    *content, usage = chunks
    assert usage.choices == []
    assert usage.usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in content)
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in chunks}) == 1
    for index in (0, 1):
        mine = [choice for chunk in content for choice in chunk.choices if choice.index == index]
        assert mine[0].delta.role == "assistant"
        assert all(choice.delta.role is None for choice in mine[1:])
        assert [choice.finish_reason for choice in mine].count("stop") == 1
        assert mine[-1].finish_reason == "stop"
    texts = ["".join(c.delta.content or "" for k in content for c in k.choices if c.index == i) for i in (0, 1)]
    assert texts[0] != texts[1]


@pytest.mark.parametrize("order", ["in_order", "interleaved", "shuffled"])
async def test_streams_parallel_tool_calls_as_fragments(sim, client, order):
    sim.use(Scenario(behaviour=Behaviour(tool_calls=2, tool_order=order)))
    request = {"model": "gpt-4o", "messages": HELLO, "tools": [WEATHER]}
    calls: dict[int, list[str]] = {}
    async for chunk in await client.chat.completions.create(**request, stream=True):
        for fragment in chunk.choices[0].delta.tool_calls or ():
            opened = fragment.index in calls
            assert opened == (fragment.id is None) == (fragment.function.name is None) == (fragment.type is None)
            calls.setdefault(fragment.index, []).append(fragment.function.arguments)
        finish = chunk.choices[0].finish_reason
    assert finish == "tool_calls"
    assert sorted(calls) == [0, 1]
    for parts in calls.values():
        assert json.loads("".join(parts)).keys() == {"city", "unit", "days"}


async def test_goes_through_a_tool_loop(client):
    request = {"model": "gpt-4o", "tools": [WEATHER]}
    asked = await client.chat.completions.create(**request, messages=HELLO)
    message = asked.choices[0].message
    assert message.content is None
    assert asked.choices[0].finish_reason == "tool_calls"
    result = {"role": "tool", "tool_call_id": message.tool_calls[0].id, "content": "sunny"}
    answered = await client.chat.completions.create(**request, messages=[*HELLO, message.model_dump(), result])
    assert answered.choices[0].finish_reason == "stop"
    with pytest.raises(openai.BadRequestError, match="must be followed by tool messages"):
        await client.chat.completions.create(**request, messages=[*HELLO, message.model_dump()])


async def test_follows_tool_choice(client):
    request = {"model": "gpt-4o", "messages": HELLO, "tools": [WEATHER]}
    none = await client.chat.completions.create(**request, tool_choice="none")
    named = {"type": "function", "function": {"name": "weather"}}
    forced = await client.chat.completions.create(**request, tool_choice=named)
    assert none.choices[0].message.tool_calls is None
    assert forced.choices[0].message.tool_calls[0].function.name == "weather"


async def test_gives_log_probabilities_and_stops_at_the_limit(client):
    answer = await client.chat.completions.create(
        model="gpt-4o", messages=HELLO, logprobs=True, top_logprobs=3, max_completion_tokens=5
    )
    choice = answer.choices[0]
    assert choice.finish_reason == "length"
    assert answer.usage.completion_tokens == 5
    assert "".join(item.token for item in choice.logprobs.content) == choice.message.content
    assert all(len(item.top_logprobs) == 3 and item.logprob < 0 for item in choice.logprobs.content)


async def test_fits_the_asked_schema(client):
    schema = {
        "type": "object",
        "properties": {"tags": {"type": "array", "items": {"$ref": "#/$defs/tag"}}, "score": {"type": "number"}},
        "$defs": {"tag": {"enum": ["a", "b"]}},
    }
    answer = await client.chat.completions.create(
        model="gpt-4o",
        messages=HELLO,
        response_format={"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}},
    )
    value = json.loads(answer.choices[0].message.content)
    assert set(value["tags"]) <= {"a", "b"}
    assert isinstance(value["score"], float)


async def test_counts_cached_and_reasoning_tokens(sim, client):
    sim.use(Scenario(behaviour=Behaviour(input_tokens=100, cached_tokens=64, reasoning_tokens=40, output_tokens=10)))
    answer = await client.chat.completions.create(model="o3", messages=HELLO)
    assert answer.usage.prompt_tokens == 100
    assert answer.usage.prompt_tokens_details.cached_tokens == 64
    assert answer.usage.completion_tokens == 50
    assert answer.usage.completion_tokens_details.reasoning_tokens == 40
    assert answer.choices[0].message.reasoning_content


@pytest.mark.parametrize(
    "behaviour", [Behaviour(output_tokens=10), Behaviour(output_tokens=10, reasoning="one two three")]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_visible_reasoning_is_counted_in_the_usage(sim, client, behaviour, stream):
    sim.use(Scenario(behaviour=behaviour))
    effort = "none" if behaviour.reasoning else "high"
    ask = {"model": "o3", "messages": HELLO, "reasoning_effort": effort}
    if stream:
        ask |= {"stream": True, "stream_options": {"include_usage": True}}
        chunks = [chunk async for chunk in await client.chat.completions.create(**ask)]
        shown = "".join(getattr(c.choices[0].delta, "reasoning_content", "") or "" for c in chunks if c.choices)
        usage = chunks[-1].usage
    else:
        answer = await client.chat.completions.create(**ask)
        shown, usage = answer.choices[0].message.reasoning_content, answer.usage
    assert usage.completion_tokens_details.reasoning_tokens == len(pieces(shown)) > 0
    assert usage.completion_tokens == 10 + len(pieces(shown))


async def test_reasoning_counts_against_the_limit(sim, client):
    sim.use(Scenario(behaviour=Behaviour(reasoning="one two three", text="a b c d e")))
    answer = await client.chat.completions.create(model="o3", messages=HELLO, max_completion_tokens=5)
    assert (answer.usage.completion_tokens, answer.choices[0].finish_reason) == (5, "length")


@pytest.mark.parametrize(
    "given",
    [
        pytest.param("one text", id="a text"),
        pytest.param(["one text", "two texts"], id="texts"),
        pytest.param([1, 2, 3], id="tokens"),
        pytest.param([[1, 2], [3]], id="lists of tokens"),
    ],
)
async def test_embeds_in_order_the_same_as_floats_and_as_base64(client, given):
    """The SDK asks for base64 unless told otherwise."""
    packed = await client.embeddings.create(model="text-embedding-3-small", input=given)
    plain = await client.embeddings.create(model="text-embedding-3-small", input=given, encoding_format="float")
    assert [item.index for item in plain.data] == list(range(len(plain.data)))
    for one, other in zip(packed.data, plain.data, strict=True):
        assert len(one.embedding) == 1536
        assert math.isclose(sum(value * value for value in other.embedding), 1, abs_tol=1e-6)
        assert all(math.isclose(a, b, abs_tol=1e-6) for a, b in zip(one.embedding, other.embedding, strict=True))


async def test_embeds_texts_that_share_words_close_to_each_other(client):
    texts = ["the quick brown fox", "the quick red fox", "colourless ideas sleep"]
    answer = await client.embeddings.create(model="text-embedding-3-small", input=texts, dimensions=256)
    near, far = (
        sum(a * b for a, b in zip(answer.data[0].embedding, answer.data[i].embedding, strict=True)) for i in (1, 2)
    )
    assert len(answer.data[0].embedding) == 256
    assert near > 0.6 > 0.3 > far


async def test_lists_models(client):
    names = [model.id async for model in client.models.list()]
    assert "gpt-4o-mini" in names
    assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


@pytest.mark.parametrize(
    ("behaviour", "error", "code"),
    [
        (Behaviour(status=401), openai.AuthenticationError, "invalid_api_key"),
        (Behaviour(status=404), openai.NotFoundError, "model_not_found"),
        (Behaviour(status=429, retry_after="7"), openai.RateLimitError, "rate_limit_exceeded"),
        (Behaviour(status=429, error_code="insufficient_quota"), openai.RateLimitError, "insufficient_quota"),
        (
            Behaviour(status=400, error_code="context_length_exceeded"),
            openai.BadRequestError,
            "context_length_exceeded",
        ),
        (Behaviour(status=503), openai.InternalServerError, None),
        (Behaviour(rejects=("messages",)), openai.BadRequestError, "unsupported_parameter"),
        (Behaviour(requires=("user",)), openai.BadRequestError, "missing_required_parameter"),
    ],
)
async def test_fails_as_openai_does(sim, client, behaviour, error, code):
    sim.use(Scenario(behaviour=behaviour))
    with pytest.raises(error) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    assert caught.value.code == code
    assert caught.value.response.json()["error"].keys() == {"message", "type", "param", "code"}
    assert caught.value.response.headers.get("retry-after", "") == behaviour.retry_after


async def test_refuses_keys_and_models_that_it_does_not_know(sim, client):
    sim.use(Scenario(accepted_keys=("sk-other",)))
    with pytest.raises(openai.AuthenticationError):
        await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    sim.use(Scenario(accepted_keys=("sk-test",), known_models_only=True))
    await client.chat.completions.create(model="gpt-4o", messages=HELLO)
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="gpt-17", messages=HELLO)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{", None),
        (b'{"model":"m"}', None),
        (b'{"model":"m","messages":[]}', "messages"),
        (b'{"model":"m","messages":[{"role":"user","content":"x"}],"stream_options":{}}', "stream_options"),
        (
            b'{"model":"m","messages":[{"role":"user","content":"x"}],"max_tokens":1,"max_completion_tokens":1}',
            "max_tokens",
        ),
    ],
)
async def test_refuses_what_openai_refuses(sim, post, body, param):
    answer = await post(sim, "/v1/chat/completions", body)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == param


async def test_accepts_lone_surrogates_in_a_request(sim, post):
    body = b'{"model":"m","messages":[{"role":"user","content":"cut \\ud83d here"}]}'
    answer = await post(sim, "/v1/chat/completions", body)
    assert answer.status == 200


async def test_knows_azure_paths_and_chunks(sim, post):
    sim.use(Scenario(rules=(Rule(behaviour=Behaviour(azure=True)),)))
    path = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21"
    answer = await post(sim, path, {"messages": HELLO, "stream": True}, headers={"api-key": "k"})
    chunks = answer.chunks()
    assert chunks[0]["choices"] == []
    assert "prompt_filter_results" in chunks[0]
    assert {chunk["model"] for chunk in chunks} == {"my-gpt"}
    sim.use(Scenario(behaviour=Behaviour(azure=True, status=400, error_code="content_filter")))
    refused = await post(sim, path, {"messages": HELLO})
    assert refused.json()["error"]["innererror"]["code"] == "ResponsibleAIPolicyViolation"
