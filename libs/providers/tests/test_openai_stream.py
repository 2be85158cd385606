"""A stream that already speaks OpenAI passes as it is; usage, errors and its end are noticed on the way."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletionChunk

from modelux_providers.dialects.base import ChatCall, Chunk, Done, Failed, StreamEvent, UsageSeen, VendorFacts
from modelux_providers.dialects.openai import OpenAI
from modelux_providers.dialects.openai_stream import OpenAIStream
from routing_core.types import Usage

HEAD = '"id":"c","object":"chat.completion.chunk","created":1,"model":"m","x_vendor":1.10'


def chunk(choices: str, extra: str = "") -> bytes:
    return f'data: {{{HEAD},"choices":[{choices}]{extra}}}\n\n'.encode()


ROLE = chunk('{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}')
TEXT = chunk('{"index":0,"delta":{"content":"h\u20ac"},"finish_reason":null}')
END = chunk('{"index":0,"delta":{},"finish_reason":"stop"}')
COUNTS = '"usage":{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"x":1.10}'
NULL = ',"usage":null'
DONE = b"data: [DONE]\n\n"


def parser(*, wants_usage: bool = False, supported: bool = True) -> OpenAIStream:
    vendor = VendorFacts("v", supports_stream_options=supported)
    return OpenAI().stream(ChatCall(b"{}", "m", vendor, stream=True, wants_usage=wants_usage))


def run(*parts: bytes, wants_usage: bool = False, supported: bool = True) -> list[StreamEvent]:
    reader = parser(wants_usage=wants_usage, supported=supported)
    return [event for part in parts for event in reader.feed(part)] + reader.eof()


def written(events: list[StreamEvent]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Chunk)]


def failure(events: list[StreamEvent]) -> Failed:
    last = events[-1]
    assert isinstance(last, Failed)
    assert not any(isinstance(event, (Done, Failed)) for event in events[:-1])
    return last


def test_events_pass_as_their_own_bytes() -> None:
    events = run(ROLE + TEXT, END, DONE)
    assert events == [Chunk(ROLE, False), Chunk(TEXT, True), Chunk(END, False), Done()]


def test_usage_not_asked_for_is_noticed_and_taken_out() -> None:
    nulled = [event.replace(b"]}\n\n", b"]" + NULL.encode() + b"}\n\n") for event in (ROLE, TEXT, END)]
    events = run(*nulled, chunk("", "," + COUNTS), DONE)
    assert written(events) == [ROLE, TEXT, END]
    assert UsageSeen(Usage(9, 5)) in events


def test_usage_asked_for_passes_exactly() -> None:
    wire = [TEXT.replace(b"]}\n\n", b'],"usage":null}\n\n'), END, chunk("", "," + COUNTS)]
    events = run(*wire, DONE, wants_usage=True)
    assert written(events) == wire
    assert [type(event) for event in events] == [Chunk, Chunk, UsageSeen, Chunk, Done]


def test_usage_on_content_chunks_is_split_off_into_one_last_chunk() -> None:
    content = '{"index":0,"delta":{"content":"a"},"finish_reason":null}'
    first, last = chunk(content, ',"usage":{"prompt_tokens":9,"completion_tokens":1}'), chunk(content, "," + COUNTS)
    events = run(first, last, END, DONE, wants_usage=True)
    assert written(events)[0] == chunk(content, ',"usage":null')
    counts = json.loads(written(events)[-1][6:])
    assert counts["choices"] == []
    assert counts["usage"] == {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14, "x": 1.1}
    assert [event.usage for event in events if isinstance(event, UsageSeen)] == [Usage(9, 1), Usage(9, 5)]
    assert written(run(first, last, END, DONE)) == [chunk(content), chunk(content), END]
    assert written(run(first, last, END, DONE, supported=False)) == [chunk(content), chunk(content), END]


def test_unbelievable_usage_counts_for_nothing() -> None:
    events = run(TEXT, END, chunk("", ',"usage":{"prompt_tokens":-1,"completion_tokens":1e30}'), DONE, wants_usage=True)
    assert not any(isinstance(event, UsageSeen) for event in events)
    assert written(events) == [TEXT, END]


def test_a_usage_chunk_for_a_caller_whose_provider_sent_none() -> None:
    reader = parser(wants_usage=True, supported=False)
    reader.feed(TEXT)
    parsed = ChatCompletionChunk.model_validate_json(reader.usage_chunk(Usage(3, 4, reasoning=1))[6:])
    assert (parsed.id, parsed.model, parsed.created, parsed.choices) == ("c", "m", 1, [])
    assert parsed.usage is not None
    assert parsed.usage.total_tokens == 7


@pytest.mark.parametrize(
    ("delta", "output"),
    [
        ('{"role":"assistant"}', False),
        ('{"content":null}', False),
        ('{"content":"x"}', True),
        ('{"tool_calls":[{"index":0}]}', True),
        ('{"reasoning_content":"x"}', True),
        ('{"reasoning":"x"}', True),
        ('{"refusal":"x"}', True),
        ('{"content":[{"type":"text","text":"x"}]}', True),
    ],
)
def test_which_deltas_are_output(delta: str, output: bool) -> None:
    (event,) = parser().feed(chunk('{"index":0,"delta":' + delta + "}"))
    assert isinstance(event, Chunk)
    assert event.has_content is output


def test_what_is_written_otherwise_is_made_canonical() -> None:
    payload = TEXT[6:-2]
    first, second = payload[: payload.index(b'"choices"')], payload[payload.index(b'"choices"') :]
    wire = b": ping\r\n\r\nevent: message\r\nid: 1\r\ndata:" + first + b"\r\ndata: " + second + b"\r\n\r\n"
    events = run(wire, END, DONE)
    assert isinstance(events[0], Chunk)
    assert json.loads(events[0].data[6:]) == json.loads(payload)
    assert b"\n" not in events[0].data[:-2]


@pytest.mark.parametrize(
    ("tail", "done"),
    [
        pytest.param(END, True, id="finished without [DONE]"),
        pytest.param(END + b"data: [DONE]", True, id="[DONE] without its blank line"),
        pytest.param(DONE, True, id="[DONE] without a finish"),
        pytest.param(b"", False, id="nothing"),
        pytest.param(END[:-20], False, id="half an event"),
        pytest.param(chunk('{"index":1,"delta":{"content":"x"}}') + END, False, id="one of two choices unfinished"),
    ],
)
def test_a_stream_is_done_when_every_choice_has_finished(tail: bytes, done: bool) -> None:
    events = run(TEXT, tail)
    if done:
        assert events[-1] == Done()
    else:
        assert failure(events).error.kind == "cut"


def test_an_empty_stream_is_cut() -> None:
    assert failure(run()).error.code == "upstream_cut"


@pytest.mark.parametrize(
    ("wire", "status", "code"),
    [
        pytest.param(b'data: {"error":{"message":"m","code":"server_error"}}\n\n', 500, "server_error", id="openai"),
        pytest.param(b'data: {"error":"text"}\n\n', 502, None, id="a text"),
        pytest.param(b'event: error\ndata: {"message":"m","code":429}\n\n', 429, None, id="named"),
        pytest.param(
            b'data: {"choices":[{"index":0,"finish_reason":"error"}],"error":{"code":502,"message":"m"}}\n\n',
            502,
            None,
            id="openrouter",
        ),
        pytest.param(b"data: {oops}\n\n", 502, "upstream_invalid", id="no json"),
        pytest.param(b"data: [1]\n\n", 502, "upstream_invalid", id="no object"),
        pytest.param(b'data: {"choices":7}\n\n', 502, "upstream_invalid", id="no chunk"),
        pytest.param(b"data: <html>\n\n", 502, "upstream_invalid", id="a page"),
    ],
)
def test_errors_end_the_stream_without_done(wire: bytes, status: int, code: str | None) -> None:
    events = run(TEXT, wire + TEXT, DONE)
    assert events[0] == Chunk(TEXT, True)
    error = failure(events).error
    assert (error.status, error.code) == (status, code)


def test_an_endless_event_is_invalid() -> None:
    reader = parser()
    events: list[StreamEvent] = []
    for _ in range(12):
        events += reader.feed(b"data: " + b"x" * (1 << 20))
    assert failure(events).error.kind == "invalid"


def test_what_follows_done_is_ignored() -> None:
    reader = parser()
    assert reader.feed(TEXT + END + DONE + TEXT) == [Chunk(TEXT, True), Chunk(END, False), Done()]
    assert reader.feed(TEXT) == []
    assert reader.eof() == []


def test_lone_surrogates_pass_and_nan_does_not() -> None:
    cut = chunk('{"index":0,"delta":{"content":"\\ud83d"}}')
    assert run(cut, END, DONE)[0] == Chunk(cut, True)
    nan = chunk('{"index":0,"delta":{"content":"a"},"logprob":NaN}')
    event = run(nan, END, DONE)[0]
    assert isinstance(event, Chunk)
    assert json.loads(event.data[6:])["choices"][0]["logprob"] is None


def test_tool_fragments_pass_in_whatever_order_they_come() -> None:
    late = chunk('{"index":0,"delta":{"tool_calls":[{"index":3,"function":{"arguments":"{"}}]}}')
    early = chunk('{"index":0,"delta":{"tool_calls":[{"index":1,"id":"x","function":{"name":"f","arguments":""}}]}}')
    assert written(run(late, early, END, DONE)) == [late, early, END]


WIRE = (
    ROLE.replace(b"\n\n", b"\r\n\r\n")
    + b": ping\n\n"
    + TEXT
    + chunk('{"index":0,"delta":{"content":"\\ud83d"}}', NULL)
    + chunk('{"index":0,"delta":{"content":"x"}}', "," + COUNTS)
    + b"event: x\ndata: {}\n\n"
    + END
    + chunk("", "," + COUNTS)
    + DONE
    + TEXT
)


@settings(deadline=None, derandomize=True)
@given(st.sets(st.integers(1, len(WIRE) - 1)), st.booleans())
def test_any_split_gives_the_same_events(cuts: set[int], wants_usage: bool) -> None:
    parts = [WIRE[start:end] for start, end in pairwise([0, *sorted(cuts), len(WIRE)])]
    assert run(*parts, wants_usage=wants_usage) == run(WIRE, wants_usage=wants_usage)
