"""Streams: headers, framing, the grammar of chunks, the one [DONE], and what a stream that broke looks like."""

from __future__ import annotations

import asyncio
import json

import msgspec
import openai
import pytest

from modelux_providers.simulator.scenario import Behaviour

MODELS = [
    pytest.param("gpt-4o", id="openai"),
    pytest.param("claude-sonnet-4-5", id="anthropic"),
    pytest.param("gemini-2.5-flash", id="google"),
]
EVERY_WAY = [*MODELS, pytest.param("@production", id="fallback"), pytest.param("@both", id="ensemble")]
TEXT = "Grüße, 世界 😀 — naïve café"
UNTIDY = [
    pytest.param({"line_end": "crlf"}, id="CRLF"),
    pytest.param({"line_end": "cr"}, id="CR"),
    pytest.param({"comments": True}, id="comments"),
    pytest.param({"event_lines": True}, id="event, id and retry lines"),
    pytest.param({"no_space": True}, id="no space after the colon"),
    pytest.param({"multiline": True}, id="data in several lines"),
    pytest.param({"bom": True}, id="a byte order mark"),
    pytest.param({"split": 1}, id="one byte per segment"),
    pytest.param({"split": 7}, id="seven bytes per segment"),
    pytest.param({"split": 3, "line_end": "crlf", "comments": True}, id="CRLF torn apart"),
    pytest.param({"join": 5}, id="several events per segment"),
    pytest.param({"framing": "close"}, id="ended by the connection"),
]


@pytest.mark.conformance(13)
@pytest.mark.parametrize("model", EVERY_WAY)
async def test_the_headers_of_a_stream(rig, model):
    answer = await rig.stream(model=model, headers={"accept-encoding": "gzip, br"})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["transfer-encoding"] == "chunked"
    assert not {"content-length", "content-encoding"} & answer.headers.keys()
    assert answer.whole


@pytest.mark.conformance(14)
async def test_no_status_is_sent_before_the_providers_is_known(start):
    late = {"gpt-4o": Behaviour(headers_ms=150, status=503)}
    async with start(rules=late, keepalive_s=0.02) as rig:
        body = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
        async with rig.opened(body) as wire:
            await rig.simulator.until(lambda calls: len(calls) == 1)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(wire.reader.read(1), 0.1)
            assert (await wire.rest()).startswith(b"HTTP/1.1 503 ")


@pytest.mark.conformance(14)
@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param({"status": 500}, id="an error"),
        pytest.param({"cut_after": 0}, id="cut before any event"),
        pytest.param({"cut_after": 1}, id="cut after the role"),
        pytest.param({"reset_after": 1}, id="reset after the role"),
        pytest.param({"error_after": 1}, id="an error event after the role"),
        pytest.param({"bad_json_after": 1}, id="broken JSON after the role"),
        pytest.param({"malformed_chunk_after": 0}, id="broken framing"),
        pytest.param({"body": "html"}, id="a page"),
    ],
)
async def test_another_provider_takes_over_until_the_first_content(start, behaviour):
    async with start(rules={"gpt-4o": Behaviour(**behaviour)}) as rig:
        answer = await rig.stream("[[sim: text=42]]", model="@production")
        assert answer.status == 200
        assert answer.headers["x-modelux-model"] == "spare"
        assert answer.text() == "42"
        assert [delta["role"] for delta in answer.deltas() if "role" in delta] == ["assistant"]
        assert {chunk["model"] for chunk in answer.chunks()} == {"spare"}


@pytest.mark.conformance(15)
@pytest.mark.parametrize("untidy", UNTIDY)
@pytest.mark.parametrize("model", MODELS)
async def test_every_form_of_the_event_stream_is_read(start, model, untidy):
    prompt = f'[[sim: text="{TEXT}"]]'
    async with start() as rig:
        tidy = await rig.stream(prompt, model=model, usage=True)
        rig.simulator.use(_scenario(rig, untidy))
        answer = await rig.stream(prompt, model=model, usage=True)
        assert answer.text() == TEXT
        assert _undated(answer) == _undated(tidy)


def _scenario(rig, behaviour):
    return msgspec.structs.replace(rig.simulator.scenario, behaviour=Behaviour(**behaviour))


def _undated(answer):
    return [{k: v for k, v in chunk.items() if k != "created"} for chunk in answer.chunks()]


@pytest.mark.conformance(15)
async def test_tidy_events_of_an_openai_provider_pass_byte_for_byte(rig):
    answer = await rig.stream(f'[[sim: text="{TEXT}" vendor_fields=true]]', usage=True)
    assert all(event.endswith(VENDOR) for event in answer.events()[:-1])


VENDOR = ',"x_vendor_field":{"big":12345678901234567890123,"decimal":0.10000000000000000001,"k":1,"k":2}}'


@pytest.mark.conformance(16)
@pytest.mark.parametrize("done", ["once", "missing", "twice", "then_more"])
@pytest.mark.parametrize("model", MODELS)
async def test_done_comes_exactly_once_and_last(rig, model, done):
    answer = await rig.stream(f"[[sim: text=42 done={done}]]", model=model)
    if done == "missing" and model.startswith("gemini"):  # Gemini has no end mark; the simulator leaves the finish out.
        assert json.loads(answer.events()[-1])["error"]["code"] == "upstream_cut"
        return
    assert answer.events().count("[DONE]") == 1
    assert answer.text() == "42"
    assert answer.whole


@pytest.mark.conformance(16)
@pytest.mark.parametrize("model", [pytest.param("@both", id="ensemble"), pytest.param("@climb", id="cascade")])
async def test_a_replayed_answer_ends_with_one_done(rig, model):
    answer = await rig.stream("[[sim: text=42]]", model=model)
    assert answer.events().count("[DONE]") == 1
    assert answer.text() == "42"


BROKEN = [
    pytest.param({"cut_after": 6}, "upstream_cut", id="cut"),
    pytest.param({"reset_after": 6}, "upstream_cut", id="reset"),
    pytest.param({"cut_after": 6, "framing": "close"}, "upstream_cut", id="cut where the end is the connection's"),
    pytest.param({"bad_json_after": 6}, "upstream_invalid", id="broken JSON"),
    pytest.param({"error_after": 6, "error_code": "some_code"}, None, id="an error event"),
    pytest.param({"malformed_chunk_after": 6}, None, id="broken framing"),
]


@pytest.mark.conformance(17)
@pytest.mark.parametrize(("behaviour", "code"), BROKEN)
@pytest.mark.parametrize("model", MODELS)
async def test_a_stream_that_broke_ends_with_an_error_and_without_done(start, model, behaviour, code):
    async with start(rules={model: Behaviour(**behaviour, output_tokens=20, per_token_ms=1)}) as rig:
        answer = await rig.stream(model=model)
        assert answer.status == 200
        *chunks, last = answer.events()
        assert "[DONE]" not in answer.events()
        error = json.loads(last)["error"]
        assert set(error) == {"message", "type", "param", "code"}
        assert error["message"]
        assert code is None or error["code"] == code
        assert any(json.loads(chunk)["choices"][0]["delta"].get("content") for chunk in chunks)
        assert all(json.loads(chunk)["choices"][0]["finish_reason"] is None for chunk in chunks)
        event = await rig.event()
        assert event.outcome == "error"


@pytest.mark.conformance(17)
@pytest.mark.parametrize(("behaviour", "code"), BROKEN)
async def test_the_sdk_raises_where_a_stream_broke(start, behaviour, code):
    async with (
        start(rules={"gpt-4o": Behaviour(**behaviour, output_tokens=20, per_token_ms=1)}) as rig,
        rig.sdk() as sdk,
    ):
        stream = await sdk.chat.completions.create(
            model="gpt-4o", messages=[{"role": "user", "content": "hi"}], stream=True
        )
        chunks = []
        with pytest.raises(openai.APIError):
            await _drained(stream, chunks)
        assert chunks


async def _drained(stream, seen):
    async for chunk in stream:
        seen.append(chunk)


@pytest.mark.conformance(18)
@pytest.mark.parametrize("prompt", ["hi", "[[sim: reasoning_tokens=3]]"])
@pytest.mark.parametrize("model", EVERY_WAY)
async def test_the_role_comes_first_and_once(rig, model, prompt):
    answer = await rig.stream(prompt, model=model)
    first, *others = answer.deltas()
    assert first["role"] == "assistant"
    assert not first.get("content")
    assert all("role" not in delta for delta in others)


@pytest.mark.conformance(18)
@pytest.mark.parametrize("model", ["gpt-4o", "gemini-2.5-flash"])
async def test_each_of_several_choices_begins_with_its_role(rig, model):
    answer = await rig.stream(model=model, n=3)
    for index in range(3):
        assert [delta.get("role") for delta in answer.deltas(index)].index("assistant") == 0


@pytest.mark.conformance(19)
@pytest.mark.parametrize("model", EVERY_WAY)
async def test_id_time_and_model_are_the_same_on_all_chunks(rig, model):
    answer = await rig.stream(model=model, usage=True)
    chunks = answer.chunks()
    assert len({(chunk["id"], chunk["created"], chunk["model"], chunk["object"]) for chunk in chunks}) == 1
    assert chunks[0]["object"] == "chat.completion.chunk"
    assert chunks[0]["created"] > 1_700_000_000
    assert chunks[0]["model"] == answer.headers["x-modelux-model"]


@pytest.mark.conformance(20)
@pytest.mark.parametrize("model", [*EVERY_WAY, pytest.param("plain", id="a vendor that counts nothing")])
async def test_usage_that_was_asked_for_comes_once_without_choices(rig, model):
    answer = await rig.stream("[[sim: text='one two three' cached_tokens=2]] " + "word " * 20, model=model, usage=True)
    *chunks, last = answer.chunks()
    assert last["choices"] == []
    usage = last["usage"]
    assert usage["prompt_tokens"] > 0
    assert usage["completion_tokens"] > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
    assert all(chunk["choices"] for chunk in chunks)
    if model != "plain":
        assert all(chunk["usage"] is None for chunk in chunks)
        assert usage["completion_tokens"] == 3
        assert usage["prompt_tokens_details"]["cached_tokens"] == 2


@pytest.mark.conformance(20)
@pytest.mark.parametrize("model", MODELS)
async def test_the_sdk_finds_the_usage(rig, model):
    async with rig.sdk() as sdk:
        stream = await sdk.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": "[[sim: text='one two three']]"}],
            stream=True,
            stream_options={"include_usage": True},
        )
        usages = [chunk.usage async for chunk in stream]
    assert usages[-1].completion_tokens == 3
    assert not any(usages[:-1])


@pytest.mark.conformance(21)
@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": False}}, {"stream_options": None}])
@pytest.mark.parametrize("model", EVERY_WAY)
async def test_usage_nobody_asked_for_is_taken_and_not_shown(rig, model, options):
    answer = await rig.stream("[[sim: text='one two three']]", model=model, **options)
    assert b"usage" not in answer.body
    assert all(chunk["choices"] for chunk in answer.chunks())
    event = await rig.event()
    assert event.usage.output == 3
    assert not event.usage.estimated
    if model == "gpt-4o":
        assert rig.sent()["stream_options"] == {"include_usage": True}


@pytest.mark.conformance(21)
async def test_the_callers_other_stream_options_stay(rig):
    await rig.stream(stream_options={"include_obfuscation": False, "x_new": 1})
    assert rig.sent()["stream_options"] == {"include_obfuscation": False, "x_new": 1, "include_usage": True}


@pytest.mark.conformance(21)
async def test_a_vendor_that_rejects_stream_options_gets_none_and_is_counted_here(start):
    async with start(rules={"plain": Behaviour(rejects=("stream_options",), text="one two three")}) as rig:
        answer = await rig.stream("word " * 40, model="plain", usage=True)
        assert answer.text() == "one two three"
        assert "stream_options" not in rig.sent()
        event = await rig.event()
        assert event.usage.estimated
        assert event.usage.output == 3
        assert 40 <= event.usage.input <= 100
        assert event.cost_nano > 0


@pytest.mark.conformance(22)
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("where", ["auto", "on_finish", "every_chunk"])
async def test_usage_is_found_wherever_the_provider_puts_it(rig, where, asked):
    answer = await rig.stream(f"[[sim: text='one two three' usage={where}]]", usage=asked)
    event = await rig.event()
    assert (event.usage.output, event.usage.estimated) == (3, False)
    assert answer.finishes()[-1] == "stop"
    if not asked:
        assert b"usage" not in answer.body
        return
    *chunks, last = answer.chunks()
    assert (last["choices"], last["usage"]["completion_tokens"]) == ([], 3)
    assert all(chunk["choices"] and chunk["usage"] is None for chunk in chunks)


@pytest.mark.conformance(22)
@pytest.mark.parametrize("asked", [False, True])
@pytest.mark.parametrize("where", ["missing", "after_done", "null", "negative", "string", "huge", "nan"])
async def test_usage_that_never_comes_or_cannot_be_believed_is_estimated(rig, where, asked):
    answer = await rig.stream(f"[[sim: text='one two three' usage={where}]] " + "word " * 40, usage=asked)
    event = await rig.event()
    assert event.usage.estimated
    assert 1 <= event.usage.output <= 10
    assert 40 <= event.usage.input <= 120
    assert answer.text() == "one two three"
    if asked:
        last = answer.chunks()[-1]
        assert last["choices"] == []
        assert last["usage"]["completion_tokens"] == event.usage.output


@pytest.mark.conformance(22)
async def test_a_replayed_answer_without_usage_gets_an_estimate(rig):
    answer = await rig.stream("[[sim: text='one two three' usage=missing]] " + "word " * 40, model="@both", usage=True)
    last = answer.chunks()[-1]
    assert last["choices"] == []
    assert last["usage"]["completion_tokens"] > 0


@pytest.mark.conformance(22)
async def test_an_interrupted_stream_is_charged_by_what_came(start):
    async with start(rules={"gpt-4o": Behaviour(output_tokens=50, cut_after=11)}) as rig:
        await rig.stream("word " * 40)
        event = await rig.event()
        assert event.usage.estimated
        assert event.usage.output == 10
        assert event.cost_nano > 0


@pytest.mark.conformance(23)
@pytest.mark.parametrize("prompt", ["hi", "[[sim: output_tokens=1]]"])
@pytest.mark.parametrize("model", EVERY_WAY)
async def test_there_is_one_finish_reason_and_it_comes_last(rig, model, prompt):
    *before, last = (await rig.stream(prompt, model=model)).finishes()
    assert last == "stop"
    assert before
    assert all(reason is None for reason in before)


@pytest.mark.conformance(23)
@pytest.mark.parametrize("model", ["gpt-4o", "gemini-2.5-flash"])
async def test_each_of_several_choices_finishes_once(rig, model):
    answer = await rig.stream(model=model, n=2)
    for index in range(2):
        reasons = answer.finishes(index)
        assert reasons[-1] == "stop"
        assert reasons.count(None) == len(reasons) - 1
