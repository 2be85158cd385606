"""What is asked of Anthropic, and what is refused, dropped or done otherwise."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelux_providers.dialects.anthropic import Anthropic
from modelux_providers.dialects.base import (
    ChatCall,
    EmbeddingsCall,
    ProviderError,
    VendorFacts,
    WireRequest,
)
from modelux_providers.dialects.claude import claude

DIALECT = Anthropic()
VENDOR = VendorFacts("anthropic", "anthropic", "x-api-key")
USER = {"role": "user", "content": "hi"}
TOOLS = [{"type": "function", "function": {"name": "f"}}]
CALLED = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "a:1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}


def ask(
    model: str = "claude-sonnet-4-5", *, call: dict[str, Any] | None = None, **fields: Any
) -> WireRequest | ProviderError:
    body = {"model": "@p", "messages": [USER]} | fields
    return DIALECT.request(ChatCall(json.dumps(body).encode(), model, VENDOR, **(call or {})))


def sent(model: str = "claude-sonnet-4-5", **fields: Any) -> dict[str, Any]:
    wire = ask(model, **fields)
    assert isinstance(wire, WireRequest)
    assert dict(wire.headers)[b"anthropic-version"] == b"2023-06-01"
    body: dict[str, Any] = json.loads(wire.body)
    return body | {"!dropped": wire.dropped, "!emulated": wire.emulated}


@pytest.mark.parametrize(
    ("model", "generation"),
    [
        ("claude-3-haiku-20240307", (3, 0)),
        ("claude-3-5-sonnet-20241022", (3, 5)),
        ("claude-3-7-sonnet-latest", (3, 7)),
        ("claude-sonnet-4-20250514", (4, 0)),
        ("claude-opus-4-1-20250805", (4, 1)),
        ("claude-haiku-4-5", (4, 5)),
        ("anthropic.claude-opus-4.6", (4, 6)),
        ("claude-opus-5", (5, 0)),
        ("claude-2.1", (2, 0)),
        ("sim-something", (4, 5)),
    ],
)
def test_generations(model: str, generation: tuple[int, int]) -> None:
    assert claude(model).generation == generation


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        pytest.param({"n": 2}, "n", "unsupported_parameter", id="several answers"),
        pytest.param(
            {"max_tokens": 1, "max_completion_tokens": 1}, "max_tokens", "invalid_parameter", id="both limits"
        ),
        pytest.param({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter", id="functions"),
        pytest.param(
            {"tools": [{"type": "custom", "custom": {}}]}, "tools[0].type", "unsupported_parameter", id="custom tool"
        ),
        pytest.param({"tools": TOOLS, "tool_choice": "maybe"}, "tool_choice", "invalid_value", id="tool choice"),
        pytest.param({"messages": [{"role": "root", "content": "x"}]}, "messages[0].role", "invalid_value", id="role"),
        pytest.param(
            {"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "invalid_type", id="content"
        ),
        pytest.param({"messages": [{"content": "x"}]}, "messages[0].role", "invalid_type", id="no role"),
        pytest.param(
            {"messages": [{"role": "tool", "content": "x"}]},
            "messages[0].tool_call_id",
            "missing_required_parameter",
            id="no id",
        ),
        pytest.param(
            {
                "messages": [
                    {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}
                ]
            },
            "messages[0].content.image_url.url",
            "invalid_value",
            id="a file url",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": "data:image/png,raw"}]}]},
            "messages[0].content.image_url.url",
            "invalid_value",
            id="a data url without base64",
        ),
        pytest.param(
            {
                "messages": [
                    {"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "", "format": "wav"}}]}
                ]
            },
            "messages[0].content",
            "invalid_value",
            id="audio",
        ),
        pytest.param({"response_format": {"type": "json_schema"}}, "response_format", "invalid_value", id="no schema"),
        pytest.param({"reasoning_effort": "immense"}, "reasoning_effort", "invalid_value", id="effort"),
    ],
)
def test_what_is_refused_before_it_is_sent(fields: dict[str, Any], param: str, code: str) -> None:
    refused = ask(**fields)
    assert isinstance(refused, ProviderError)
    assert (refused.status, refused.param, refused.code) == (400, param, code)


def test_embeddings_are_an_error_value() -> None:
    refused = DIALECT.request(EmbeddingsCall(b'{"input":"x"}', "m", VENDOR))
    assert isinstance(refused, ProviderError)
    assert refused.code == "unsupported_endpoint"


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        pytest.param("claude-3-haiku-20240307", {}, {"max_tokens": 4096}, id="a default limit"),
        pytest.param(
            "claude-sonnet-4-5", {"call": {"max_output_tokens": 100}}, {"max_tokens": 100}, id="within the model's"
        ),
        pytest.param(
            "claude-sonnet-4-5", {"max_tokens": 9, "call": {"max_tokens": 5}}, {"max_tokens": 5}, id="a limit of ours"
        ),
        pytest.param("claude-sonnet-4-5", {"stop": "END"}, {"stop_sequences": ["END"]}, id="one stop"),
        pytest.param("claude-sonnet-4-5", {"top_p": 0.5}, {"top_p": 0.5, "!dropped": ()}, id="top_p alone"),
        pytest.param(
            "claude-3-haiku-20240307",
            {"top_p": 0.5, "temperature": 0.1},
            {"top_p": 0.5, "temperature": 0.1},
            id="both on old",
        ),
        pytest.param("claude-opus-5", {"temperature": 1, "top_p": 1}, {"!dropped": ()}, id="defaults are no loss"),
        pytest.param(
            "claude-opus-5", {"temperature": 0.1}, {"!dropped": ("temperature",)}, id="new models do not sample"
        ),
        pytest.param(
            "claude-opus-4-6",
            {"reasoning_effort": "xhigh"},
            {"thinking": {"type": "adaptive"}, "output_config": {"effort": "high"}},
            id="adaptive",
        ),
        pytest.param(
            "claude-opus-5", {"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}, id="no thinking"
        ),
        pytest.param(
            "claude-3-haiku-20240307",
            {"reasoning_effort": "low"},
            {"!dropped": ("reasoning_effort",)},
            id="too old to think",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"reasoning_effort": "low", "max_tokens": 1024},
            {"!dropped": ("reasoning_effort",)},
            id="too few tokens",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {
                "reasoning_effort": "low",
                "max_tokens": 5000,
                "tools": TOOLS,
                "messages": [USER, CALLED, {"role": "tool", "tool_call_id": "a:1", "content": "1"}],
            },
            {"!dropped": ("reasoning_effort",)},
            id="a loop that lost its thought",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 3},
            {"thinking": {"type": "enabled", "budget_tokens": 2000}, "top_k": 3, "!dropped": ()},
            id="native fields",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"metadata": {"user_id": "u"}},
            {"metadata": {"user_id": "u"}, "!dropped": ()},
            id="its metadata",
        ),
        pytest.param(
            "claude-sonnet-4-5", {"metadata": {"run": "7"}}, {"!dropped": ("metadata",)}, id="OpenAI's metadata"
        ),
        pytest.param(
            "claude-sonnet-4-5", {"tools": TOOLS, "tool_choice": "none"}, {"tool_choice": {"type": "none"}}, id="none"
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"tools": TOOLS, "tool_choice": {"type": "function", "function": {"name": "f"}}},
            {"tool_choice": {"type": "tool", "name": "f"}},
            id="a named tool",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"tools": TOOLS, "parallel_tool_calls": False},
            {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}},
            id="one at a time",
        ),
        pytest.param(
            "claude-3-5-sonnet-20241022",
            {"tools": TOOLS, "response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": {}}}},
            {"tool_choice": {"type": "any"}, "!emulated": ("response_format",)},
            id="a schema beside tools",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"response_format": {"type": "json_object"}},
            {"!emulated": ("response_format",)},
            id="json_object",
        ),
        pytest.param(
            "claude-sonnet-4-5",
            {"logprobs": True, "seed": None, "n": 1},
            {"!dropped": ("logprobs",)},
            id="nulls and defaults are no loss",
        ),
    ],
)
def test_requests(model: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    body = sent(model, **fields)
    assert {name: body.get(name) for name in expected} == expected


def test_turns_alternate_and_results_come_first() -> None:
    messages = [
        {"role": "user", "content": "a"},
        {"role": "user", "content": [{"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}]},
        CALLED,
        {"role": "user", "content": "by the way"},
        {"role": "tool", "tool_call_id": "a:1", "content": [{"type": "text", "text": "1"}]},
        {"role": "assistant", "content": None, "refusal": "no"},
    ]
    body = sent(messages=messages)
    assert [turn["role"] for turn in body["messages"]] == ["user", "assistant", "user", "assistant"]
    first, called, result, refusal = (turn["content"] for turn in body["messages"])
    assert first[1] == {"type": "text", "text": "b", "cache_control": {"type": "ephemeral"}}
    assert called == [{"type": "tool_use", "id": "a_1", "name": "f", "input": {}}]
    assert [block["type"] for block in result] == ["tool_result", "text"]
    assert result[0]["tool_use_id"] == "a_1"
    assert refusal == [{"type": "text", "text": "no"}]


@pytest.mark.parametrize(
    ("arguments", "wire"),
    [
        ('{"n": 12345678901234567890123, "x": 1.10}', '"input":{"n": 12345678901234567890123, "x": 1.10}'),
        ("", '"input":{}'),
        ('{"half', '"input":{"INVALID_JSON":"{\\"half"}'),
        ("[1]", '"input":{"INVALID_JSON":"[1]"}'),
    ],
)
def test_arguments_go_back_as_they_were(arguments: str, wire: str) -> None:
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": arguments}}
    request = ask(messages=[USER, {"role": "assistant", "tool_calls": [call]}])
    assert isinstance(request, WireRequest)
    assert wire in request.body.decode()


def test_thoughts_of_other_gateways_go_back_too() -> None:
    details = [
        {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
        {"type": "reasoning.encrypted", "data": "d"},
        {"type": "reasoning.summary", "summary": "unsigned"},
    ]
    body = sent(messages=[USER, {"role": "assistant", "content": "x", "reasoning_details": details}])
    assert body["messages"][1]["content"][:2] == [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
    ]
    assert len(body["messages"][1]["content"]) == 3
