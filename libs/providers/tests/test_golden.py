"""Recorded pairs of OpenAI's shape and each provider's: requests, whole answers and streams.

A golden file changes only when the mapping is meant to.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from modelux_providers.dialects.base import (
    ChatCall,
    Chunk,
    Complete,
    Done,
    StreamEvent,
    UsageSeen,
    VendorFacts,
    WireRequest,
)
from modelux_providers.dialects.chunks import replay
from modelux_providers.dialects.collect import collect
from modelux_providers.dialects.table import DIALECTS

GOLDEN = Path(__file__).parent / "golden"
Doc = dict[str, Any]


def docs(kind: str) -> list[Any]:
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in sorted(GOLDEN.glob(f"{kind}_*.json"))]


def call_of(doc: Doc, *, stream: bool = False) -> ChatCall:
    body, vendor = json.dumps(doc["request"]).encode(), VendorFacts(doc["dialect"], dialect=doc["dialect"])
    now = {"created_s": 1_700_000_000, "request_id": "req_1"}
    return ChatCall(body, doc["model"], vendor, stream=stream, wants_usage=stream, **now)


def stream_of(doc: Doc, split: Callable[[bytes], list[bytes]]) -> list[StreamEvent]:
    reader = DIALECTS[doc["dialect"]].stream(call_of(doc, stream=True))
    wire = "\n".join(doc["stream"]).encode()
    return [event for part in split(wire) for event in reader.feed(part)] + reader.eof()


def chunks_of(events: list[StreamEvent]) -> list[bytes]:
    return [event.data for event in events if isinstance(event, Chunk)]


def test_there_are_golden_files() -> None:
    assert len(docs("request")) >= 6
    assert len(docs("answer")) >= 4


@pytest.mark.parametrize("doc", docs("request"))
def test_requests(doc: Doc) -> None:
    wire = DIALECTS[doc["dialect"]].request(call_of(doc, stream=doc["request"].get("stream", False)))
    assert isinstance(wire, WireRequest)
    assert {
        "path": wire.path,
        "body": json.loads(wire.body),
        "dropped": list(wire.dropped),
        "emulated": list(wire.emulated),
    } == doc["wire"]


@pytest.mark.parametrize("doc", docs("answer"))
def test_whole_answers(doc: Doc) -> None:
    complete = DIALECTS[doc["dialect"]].response(call_of(doc), json.dumps(doc["response"]).encode())
    assert isinstance(complete, Complete)
    assert json.loads(complete.body) == doc["completion"]
    assert complete.usage is not None
    assert asdict(complete.usage) == {"extras": None} | doc["usage"]
    ChatCompletion.model_validate_json(complete.body, strict=True)


@pytest.mark.parametrize("doc", docs("answer"))
def test_streams(doc: Doc) -> None:
    events = stream_of(doc, lambda wire: [wire])
    assert [json.loads(chunk[6:]) for chunk in chunks_of(events)] == doc["chunks"]
    assert [event for event in events if isinstance(event, Done)] == events[-1:]
    parsed = [ChatCompletionChunk.model_validate_json(chunk[6:], strict=True) for chunk in chunks_of(events)]
    assert len({(chunk.id, chunk.created, chunk.model) for chunk in parsed}) == 1
    assert [chunk.choices[0].delta.role for chunk in parsed[:2] if chunk.choices] == ["assistant", None]
    finishes = [chunk.choices[0].finish_reason for chunk in parsed if chunk.choices]
    assert [reason for reason in finishes if reason] == finishes[-1:]
    assert parsed[-1].choices == []
    assert all(chunk.endswith(b"\n\n") and chunk.startswith(b"data: {") for chunk in chunks_of(events))


@pytest.mark.parametrize("doc", docs("answer"))
def test_a_stream_says_what_the_whole_answer_says(doc: Doc) -> None:
    events = stream_of(doc, lambda wire: [wire])
    folded = json.loads(collect(chunks_of(events)))
    assert plain(folded) == plain(doc["completion"])
    counted = [event.usage for event in events if isinstance(event, UsageSeen)]
    assert asdict(counted[-1]) == {"extras": None} | doc["usage"]


@pytest.mark.parametrize("doc", docs("answer"))
@pytest.mark.parametrize("wants_usage", [True, False])
def test_a_buffered_answer_is_replayed_as_a_stream(doc: Doc, wants_usage: bool) -> None:
    whole = json.dumps(doc["completion"]).encode()
    chunks = replay(whole, None, wants_usage=wants_usage)
    assert chunks is not None
    parsed = [ChatCompletionChunk.model_validate_json(chunk[6:], strict=True) for chunk in chunks]
    assert (parsed[-1].usage is not None) is wants_usage
    expected = plain(doc["completion"])
    if not wants_usage:
        expected.pop("usage")
    assert plain(json.loads(collect(chunks))) == expected


def plain(completion: Doc) -> Doc:
    """Without what only one of the two shapes spells out: indexes, nulls, and the white space of tool arguments."""
    completion = deepcopy(completion)
    for choice in completion["choices"]:
        message = choice["message"]
        for call in message.get("tool_calls", ()):
            call.pop("index", None)
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        for block in message.get("thinking_blocks", ()):
            block.pop("index", None)
        message.pop("refusal", None)
        if not message.get("tool_calls") and message["content"].startswith("{"):
            message["content"] = json.loads(message["content"])
        if not message["content"]:
            message.pop("content")
    return completion


@pytest.mark.parametrize("doc", docs("answer"))
def test_any_split_gives_the_same_events(doc: Doc) -> None:
    whole = stream_of(doc, lambda wire: [wire])
    crlf = stream_of(doc, lambda wire: [wire.replace(b"\n", b"\r\n")])
    assert crlf == whole
    assert stream_of(doc, lambda wire: [wire[at : at + 1] for at in range(len(wire))]) == whole
    length = len("\n".join(doc["stream"]).encode())

    @settings(deadline=None, derandomize=True)
    @given(st.sets(st.integers(1, length - 1), max_size=20))
    def check(cuts: set[int]) -> None:
        places = [0, *sorted(cuts), length]
        assert stream_of(doc, lambda wire: [wire[start:end] for start, end in pairwise(places)]) == whole

    check()
