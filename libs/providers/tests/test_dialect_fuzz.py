"""Whatever a provider or a caller sends, a dialect answers with a value and never raises."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.dialects.base import (
    ChatCall,
    Complete,
    Done,
    EmbeddingsCall,
    Failed,
    ProviderError,
    VendorFacts,
    WireRequest,
)
from modelux_providers.dialects.collect import collect
from modelux_providers.dialects.table import DIALECTS

WORDS = [
    "type",
    "message",
    "id",
    "model",
    "content",
    "text",
    "thinking",
    "signature",
    "stop_reason",
    "usage",
    "input_tokens",
    "output_tokens",
    "index",
    "delta",
    "choices",
    "finish_reason",
    "role",
    "tool_calls",
    "function",
    "name",
    "arguments",
    "error",
    "code",
    "status",
    "details",
    "retryDelay",
    "reason",
    "candidates",
    "parts",
    "functionCall",
    "args",
    "finishReason",
    "promptFeedback",
    "blockReason",
    "usageMetadata",
    "promptTokenCount",
    "candidatesTokenCount",
    "logprobsResult",
    "chosenCandidates",
    "embedding",
    "embeddings",
    "values",
    "data",
    "messages",
    "tools",
    "tool_choice",
    "response_format",
    "json_schema",
    "schema",
    "stop",
    "n",
    "max_tokens",
    "temperature",
    "reasoning_effort",
    "content_block",
    "partial_json",
    "input",
    "stream_options",
    "include_usage",
    "metadata",
    "param",
    "innererror",
    "image_url",
    "url",
    "mlx:tags",
    "prompt_tokens",
    "completion_tokens",
    "prompt_tokens_details",
    "cached_tokens",
    "thinking_blocks",
    "extra_content",
    "google",
    "thought_signature",
]
TYPES = [
    "message",
    "error",
    "text",
    "thinking",
    "redacted_thinking",
    "tool_use",
    "tool_result",
    "message_start",
    "message_delta",
    "message_stop",
    "content_block_start",
    "content_block_delta",
    "content_block_stop",
    "text_delta",
    "input_json_delta",
    "thinking_delta",
    "signature_delta",
    "ping",
    "function",
    "user",
    "assistant",
    "system",
    "tool",
    "image_url",
    "json_schema",
    "json_object",
    "STOP",
    "MALFORMED_FUNCTION_CALL",
    "SAFETY",
    "auto",
    "required",
    "none",
]
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([1e30, -1.5, 10**30, float("nan"), float("inf"), "\ud83d", "", "{}", "data:image/png;base64,AA"])
    | st.sampled_from(TYPES)
    | st.text(max_size=5)
)
JSON = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(WORDS), inner, max_size=5),
    max_leaves=12,
)
OBJECTS = st.dictionaries(st.sampled_from(WORDS), JSON, max_size=6)
NAMES = sorted(DIALECTS)


def vendor(name: str) -> VendorFacts:
    return VendorFacts(name, dialect=name)  # type: ignore[arg-type]  # a name of the table


def known(name: str) -> Any:
    return DIALECTS[name]  # type: ignore[index]  # a name of the table


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, derandomize=True)
@given(
    body=OBJECTS, stream=st.booleans(), model=st.sampled_from(["gemini-3-pro", "claude-3-haiku", "claude-opus-5", "m"])
)
def test_requests(name: str, body: dict[str, Any], stream: bool, model: str) -> None:
    body = {"model": "@p", "messages": []} | body
    wire = known(name).request(ChatCall(json.dumps(body).encode(), model, vendor(name), stream=stream))
    assert isinstance(wire, (WireRequest, ProviderError))
    embedded = known(name).request(EmbeddingsCall(json.dumps(body).encode(), model, vendor(name)))
    assert isinstance(embedded, (WireRequest, ProviderError))


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, derandomize=True)
@given(body=JSON | OBJECTS)
def test_answers_and_errors(name: str, body: object) -> None:
    raw = json.dumps(body).encode()
    answer = known(name).response(ChatCall(b'{"messages":[]}', "m", vendor(name)), raw)
    assert isinstance(answer, (Complete, ProviderError))
    if isinstance(answer, Complete):
        assert answer.answer is not None
        json.loads(answer.body, parse_constant=lambda constant: pytest.fail(constant))
    vectors = known(name).response(EmbeddingsCall(b'{"input":"x"}', "m", vendor(name)), raw)
    assert isinstance(vectors, (Complete, ProviderError))
    assert known(name).error(500, {}, raw).envelope()


@pytest.mark.parametrize("name", NAMES)
@settings(deadline=None, derandomize=True)
@given(events=st.lists(JSON | OBJECTS | st.binary(max_size=20), max_size=5))
def test_streams(name: str, events: list[object]) -> None:
    reader = known(name).stream(ChatCall(b"{}", "m", vendor(name), stream=True, wants_usage=True))
    out = []
    for event in events:
        data = event if isinstance(event, bytes) else json.dumps(event).encode()
        out += reader.feed(b"data: " + data + b"\n\n")
    out += reader.eof()
    assert isinstance(out[-1], (Done, Failed))
    assert not any(isinstance(event, (Done, Failed)) for event in out[:-1])
    assert reader.eof() == []
    assert json.loads(collect(event.data for event in out if hasattr(event, "data")))["object"] == "chat.completion"
