"""What the dialects share: credentials in headers only, the table, folding of streams that broke off."""

from __future__ import annotations

import json

import pytest

from modelux_providers.dialects.base import AuthStyle, Headers, auth_headers
from modelux_providers.dialects.chunks import replay
from modelux_providers.dialects.collect import collect
from modelux_providers.dialects.table import DIALECTS
from routing_core.types import Usage


@pytest.mark.parametrize(
    ("style", "expected"),
    [
        ("bearer", ((b"authorization", b"Bearer k"),)),
        ("x-api-key", ((b"x-api-key", b"k"),)),
        ("api-key", ((b"api-key", b"k"),)),
        ("x-goog-api-key", ((b"x-goog-api-key", b"k"),)),
        ("none", ()),
    ],
)
def test_credentials_travel_in_headers(style: AuthStyle, expected: Headers) -> None:
    assert auth_headers(style, "k") == expected


def test_every_dialect_is_in_the_table() -> None:
    assert set(DIALECTS) == {"openai", "anthropic", "google"}


def test_a_broken_stream_folds_into_what_came() -> None:
    choices = [
        '{"index":0,"delta":{"role":"assistant","content":"a"}}',
        '{"index":1,"delta":{"content":"z"},"logprobs":{"content":[1]}}',
        '{"index":1,"delta":{"tool_calls":[{"index":1,"id":"y"}]},"logprobs":{"content":[2]}}',
        '{"index":1,"delta":{"tool_calls":[{"index":0,"id":"x"}]}},{"index":0,"delta":{"content":"b"}}',
    ]
    head = 'data: {"id":"c","created":1,"model":"m","choices":['
    events = [b"data: {oops\n\n", *(f"{head}{choice}]}}\n\n".encode() for choice in choices)]
    folded = json.loads(collect(events))
    assert [choice["message"].get("content") for choice in folded["choices"]] == ["ab", "z"]
    assert [call["id"] for call in folded["choices"][1]["message"]["tool_calls"]] == ["y", "x"]
    assert folded["choices"][1]["logprobs"] == {"content": [1, 2]}
    assert folded["choices"][0]["finish_reason"] is None
    assert "usage" not in folded


def test_a_replay_takes_counted_usage_where_the_body_has_none() -> None:
    body = b'{"id":"c","created":1,"model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"a"}}]}'
    events = replay(body, Usage(2, 3), wants_usage=True)
    assert events is not None
    assert json.loads(events[-1][6:])["usage"]["total_tokens"] == 5
    assert replay(b"<html>", None, wants_usage=True) is None
    assert replay(b'{"data":[]}', None, wants_usage=True) is None


def test_a_replay_keeps_what_a_tool_loop_must_send_back() -> None:
    message = {"role": "assistant", "content": "a", "thinking_blocks": [{"signature": "s"}], "extra_content": {"x": 1}}
    body = {"id": "c", "created": 1, "model": "m", "service_tier": "default"}
    body |= {"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}
    events = replay(json.dumps(body).encode(), None, wants_usage=False)
    assert events is not None
    chunks = [json.loads(event[6:]) for event in events]
    assert {chunk["service_tier"] for chunk in chunks} == {"default"}
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    assert {"content": "a", "thinking_blocks": [{"signature": "s"}], "extra_content": {"x": 1}} in deltas
