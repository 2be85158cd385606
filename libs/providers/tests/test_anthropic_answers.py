"""What Anthropic answers: finish reasons, usage, errors, broken streams."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelux_providers.dialects.anthropic import Anthropic
from modelux_providers.dialects.base import (
    ChatCall,
    Chunk,
    Complete,
    Done,
    Failed,
    ProviderError,
    StreamEvent,
    UsageSeen,
    VendorFacts,
)
from routing_core.types import Usage

DIALECT = Anthropic()
VENDOR = VendorFacts("anthropic", "anthropic", "x-api-key")


def answered(body: object) -> Complete | ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.response(ChatCall(b'{"messages":[]}', "claude-sonnet-4-5", VENDOR, request_id="req_1"), raw)


@pytest.mark.parametrize(
    ("stop_reason", "tools", "expected"),
    [
        ("end_turn", 0, "stop"),
        ("stop_sequence", 0, "stop"),
        ("max_tokens", 0, "length"),
        ("max_tokens", 1, "length"),
        ("model_context_window_exceeded", 0, "length"),
        ("pause_turn", 0, "length"),
        ("refusal", 0, "content_filter"),
        ("tool_use", 1, "tool_calls"),
        ("something_new", 0, "stop"),
        ("something_new", 1, "tool_calls"),
        (None, 0, "stop"),
    ],
)
def test_finish_reasons(stop_reason: str | None, tools: int, expected: str) -> None:
    content = [{"type": "text", "text": "x"}, *[{"type": "tool_use", "id": "t", "name": "f", "input": {}}] * tools]
    complete = answered({"type": "message", "id": "m", "content": content, "stop_reason": stop_reason})
    assert isinstance(complete, Complete)
    assert complete.answer.finish_reason == expected


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param({"input_tokens": 1, "output_tokens": 2}, Usage(1, 2), id="plain"),
        pytest.param({"input_tokens": 1, "output_tokens": 2, "cache_read_input_tokens": None}, Usage(1, 2), id="null"),
        pytest.param(
            {
                "input_tokens": 1,
                "output_tokens": 9,
                "cache_read_input_tokens": 3,
                "cache_creation_input_tokens": 4,
                "output_tokens_details": {"thinking_tokens": 5},
            },
            Usage(8, 9, 3, 4, 5),
            id="cache is added to the input",
        ),
        pytest.param({"input_tokens": -1, "output_tokens": 2}, None, id="negative"),
        pytest.param({"input_tokens": "1", "output_tokens": 2}, None, id="text"),
        pytest.param({"input_tokens": 1, "output_tokens": 1e30}, None, id="huge"),
        pytest.param({}, None, id="empty"),
    ],
)
def test_usage(usage: dict[str, Any], expected: Usage | None) -> None:
    complete = answered({"type": "message", "content": [], "usage": usage})
    assert isinstance(complete, Complete)
    assert complete.usage == expected
    assert ("usage" in json.loads(complete.body)) is (expected is not None)


@pytest.mark.parametrize(
    ("body", "status", "code", "kind"),
    [
        pytest.param(b"<html>", 502, "upstream_invalid", "invalid", id="a page"),
        pytest.param({"choices": []}, 502, "upstream_invalid", "invalid", id="another dialect"),
        pytest.param({"type": "message", "content": 7}, 502, "upstream_invalid", "invalid", id="another shape"),
        pytest.param(
            {"type": "error", "error": {"type": "overloaded_error", "message": "m"}},
            503,
            "server_is_overloaded",
            "status",
            id="an error",
        ),
    ],
)
def test_a_200_that_is_no_answer(body: object, status: int, code: str, kind: str) -> None:
    error = answered(body)
    assert isinstance(error, ProviderError)
    assert (error.status, error.code, error.kind) == (status, code, kind)


@pytest.mark.parametrize(
    ("status", "kind", "message", "shown", "code"),
    [
        (400, "invalid_request_error", "bad", 400, None),
        (400, "invalid_request_error", "prompt is too long: 9 > 8", 400, "context_length_exceeded"),
        (400, "invalid_request_error", "Your credit balance is too low to access", 429, "insufficient_quota"),
        (401, "authentication_error", "invalid x-api-key", 401, "invalid_api_key"),
        (403, "permission_error", "no", 403, None),
        (404, "not_found_error", "model: x", 404, "model_not_found"),
        (413, "request_too_large", "big", 413, "request_too_large"),
        (429, "rate_limit_error", "slow", 429, "rate_limit_exceeded"),
        (500, "api_error", "oh", 500, None),
        (529, "overloaded_error", "Overloaded", 503, "server_is_overloaded"),
    ],
)
def test_errors(status: int, kind: str, message: str, shown: int, code: str | None) -> None:
    body = json.dumps({"type": "error", "error": {"type": kind, "message": message}, "request_id": "r"}).encode()
    error = DIALECT.error(status, {b"retry-after": b"3"}, body)
    assert (error.status, error.code, error.message, error.retry_after_ms) == (shown, code, message, 3000)


def test_a_page_is_described() -> None:
    assert "<" not in DIALECT.error(503, {}, b"<html>x</html>").message


START = {
    "type": "message_start",
    "message": {
        "id": "m",
        "type": "message",
        "model": "c",
        "content": [],
        "usage": {"input_tokens": 5, "output_tokens": 1},
    },
}
TEXT = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
DELTA = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
STOPPED = {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 7}}


def run(*events: object, wants_usage: bool = False) -> list[StreamEvent]:
    reader = DIALECT.stream(
        ChatCall(b'{"messages":[]}', "claude-sonnet-4-5", VENDOR, stream=True, wants_usage=wants_usage)
    )
    out: list[StreamEvent] = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        out += reader.feed(b"event: x\ndata: " + data + b"\n\n")
    return out + reader.eof()


@pytest.mark.parametrize(
    ("events", "code"),
    [
        pytest.param((START, TEXT, DELTA), "upstream_cut", id="cut"),
        pytest.param((), "upstream_cut", id="nothing"),
        pytest.param((START, DELTA), "upstream_invalid", id="a block that was not started"),
        pytest.param((START, b"{oops"), "upstream_invalid", id="no json"),
        pytest.param(
            (START, TEXT, DELTA, {"type": "error", "error": {"type": "overloaded_error", "message": "m"}}),
            "server_is_overloaded",
            id="error",
        ),
    ],
)
def test_streams_that_fail(events: tuple[object, ...], code: str) -> None:
    out = run(*events)
    assert isinstance(out[-1], Failed)
    assert out[-1].error.code == code
    assert not any(isinstance(event, Done) for event in out)


def test_a_stream_without_message_stop_is_done_once_it_has_stopped() -> None:
    out = run(START, TEXT, DELTA, {"type": "something_new"}, STOPPED)
    assert out[-1] == Done()
    assert [event.usage for event in out if isinstance(event, UsageSeen)] == [Usage(5, 1), Usage(5, 7)]
    assert [event.has_content for event in out if isinstance(event, Chunk)] == [False, True, False]
    assert b"usage" not in b"".join(event.data for event in out if isinstance(event, Chunk))


def test_bad_counts_in_a_stream_are_no_usage() -> None:
    start = {"type": "message_start", "message": {"id": "m", "usage": {"input_tokens": -5}}}
    out = run(start, TEXT, DELTA, STOPPED, {"type": "message_stop"}, wants_usage=True)
    assert not any(isinstance(event, UsageSeen) for event in out)
    assert out[-1] == Done()
