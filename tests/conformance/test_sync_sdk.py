"""The synchronous SDK, as most scripts use it: answers, streams, a whole tool loop, errors, vectors, models."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import closing

import openai
import pytest

MODELS = [
    pytest.param("gpt-4o", id="openai"),
    pytest.param("claude-sonnet-4-5", id="anthropic"),
    pytest.param("gemini-2.5-flash", id="google"),
    pytest.param("@production", id="fallback"),
    pytest.param("@both", id="ensemble"),
]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
TOOLS = [{"type": "function", "function": {"name": name, "parameters": SCHEMA}} for name in ("weather", "time")]
ASK = [{"role": "user", "content": "[[sim: tool_calls=2]]"}]
SAY = [{"role": "user", "content": "[[sim: text='one two three']]"}]


@pytest.fixture
def script(rig):
    """Runs a function with a synchronous client, in a thread of its own."""

    async def run(work: Callable[[openai.OpenAI], None]) -> None:
        http = openai.DefaultHttpxClient(verify=False)
        client = openai.OpenAI(base_url=f"{rig.url}/v1", api_key="mlx_sk_conformance", max_retries=0, http_client=http)
        with closing(client):
            await asyncio.to_thread(work, client)

    return run


@pytest.mark.conformance(16)
@pytest.mark.conformance(20)
@pytest.mark.conformance(23)
@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_reads_as_the_whole_answer_does(script, model):
    def work(client: openai.OpenAI) -> None:
        whole = client.chat.completions.create(model=model, messages=SAY)
        stream = client.chat.completions.create(
            model=model, messages=SAY, stream=True, stream_options={"include_usage": True}
        )
        *chunks, last = stream
        text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
        assert text == whole.choices[0].message.content == "one two three"
        assert chunks[-1].choices[0].finish_reason == whole.choices[0].finish_reason == "stop"
        assert (last.choices, last.usage.completion_tokens) == ([], 3)
        assert whole.usage.completion_tokens == 3

    await script(work)


@pytest.mark.conformance(31)
@pytest.mark.conformance(36)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", MODELS)
async def test_a_whole_tool_loop(script, model, streamed):
    def work(client: openai.OpenAI) -> None:
        asked = {"model": model, "messages": ASK, "tools": TOOLS}
        if streamed:
            with client.chat.completions.stream(**asked) as stream:
                message = stream.get_final_completion().choices[0].message
        else:
            message = client.chat.completions.create(**asked).choices[0].message
        calls = message.tool_calls
        assert [call.function.name for call in calls] == ["weather", "time"]
        assert all(json.loads(call.function.arguments)["city"] for call in calls)
        results = [{"role": "tool", "tool_call_id": call.id, "content": "sun"} for call in calls]
        again = [*ASK, message.to_dict(), *results, *SAY]
        answer = client.chat.completions.create(model=model, messages=again, tools=TOOLS, tool_choice="none")
        assert answer.choices[0].message.content == "one two three"

    await script(work)


@pytest.mark.conformance(3)
@pytest.mark.conformance(17)
async def test_errors_are_the_sdks_own_exceptions(script):
    def work(client: openai.OpenAI) -> None:
        create = client.chat.completions.create
        with pytest.raises(openai.RateLimitError) as limited:
            create(model="gpt-4o", messages=[{"role": "user", "content": "[[sim: status=429 retry_after=3]]"}])
        assert limited.value.response.headers["retry-after"] == "3"
        cut = [{"role": "user", "content": "[[sim: cut_after=8 per_token_ms=1 output_tokens=20]]"}]
        stream = create(model="gpt-4o", messages=cut, stream=True)
        with pytest.raises(openai.APIError) as broken:
            list(stream)
        assert broken.value.code == "upstream_cut"

    await script(work)


@pytest.mark.conformance(48)
@pytest.mark.conformance(55)
async def test_vectors_and_models(script):
    def work(client: openai.OpenAI) -> None:
        answer = client.embeddings.create(model="text-embedding-3-small", input=["a", "b", "a"])
        assert [each.index for each in answer.data] == [0, 1, 2]
        assert answer.data[0].embedding == answer.data[2].embedding != answer.data[1].embedding
        assert {"@production", "gpt-4o"} < {each.id for each in client.models.list()}
        assert client.models.retrieve("@production").id == "@production"

    await script(work)
