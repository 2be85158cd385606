"""Gemini's corners: what is refused, finish reasons, usage, errors, broken streams, embeddings."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from modelux_providers.dialects.base import (
    ChatCall,
    Chunk,
    Complete,
    Done,
    EmbeddingsCall,
    Failed,
    ProviderError,
    StreamEvent,
    VendorFacts,
    WireRequest,
)
from modelux_providers.dialects.google import Google
from routing_core.types import Usage

DIALECT = Google()
VENDOR = VendorFacts("google", "google", "x-goog-api-key")
USER = {"role": "user", "content": "hi"}


def ask(model: str = "gemini-2.5-flash", **fields: Any) -> WireRequest | ProviderError:
    return DIALECT.request(ChatCall(json.dumps({"model": "@p", "messages": [USER]} | fields).encode(), model, VENDOR))


def config(model: str = "gemini-2.5-flash", **fields: Any) -> dict[str, Any]:
    wire = ask(model, **fields)
    assert isinstance(wire, WireRequest)
    found: dict[str, Any] = json.loads(wire.body).get("generationConfig", {})
    return found


@pytest.mark.parametrize(
    ("model", "fields", "expected"),
    [
        pytest.param("gemini-2.5-flash", {}, {}, id="nothing asked, nothing sent"),
        pytest.param("gemini-2.5-flash", {"max_completion_tokens": 9, "n": 1}, {"maxOutputTokens": 9}, id="a limit"),
        pytest.param(
            "gemini-2.5-pro",
            {"reasoning_effort": "high"},
            {"thinkingConfig": {"thinkingBudget": 24576, "includeThoughts": True}},
            id="a budget",
        ),
        pytest.param(
            "gemini-3.5-flash",
            {"reasoning_effort": "none"},
            {"thinkingConfig": {"thinkingLevel": "minimal"}},
            id="a level",
        ),
        pytest.param(
            "gemini-2.5-flash",
            {"response_format": {"type": "json_object"}},
            {"responseMimeType": "application/json"},
            id="json",
        ),
        pytest.param(
            "gemini-2.5-flash",
            {"top_k": 3, "presence_penalty": 0.5},
            {"topK": 3, "presencePenalty": 0.5},
            id="sampling",
        ),
    ],
)
def test_generation_config(model: str, fields: dict[str, Any], expected: dict[str, Any]) -> None:
    assert config(model, **fields) == expected


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        pytest.param(
            {"messages": [{"role": "tool", "tool_call_id": "x", "content": "1"}]},
            "messages[0].tool_call_id",
            id="unknown call",
        ),
        pytest.param({"messages": [{"role": "root", "content": "1"}]}, "messages[0].role", id="role"),
        pytest.param(
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [{"type": "image_url", "image_url": {"url": "http://169.254.169.254/"}}],
                    }
                ]
            },
            "messages[0].content.image_url.url",
            id="plain http",
        ),
        pytest.param(
            {"messages": [{"role": "user", "content": [{"type": "video"}]}]}, "messages[0].content", id="unknown part"
        ),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "f"}}], "tool_choice": "x"},
            "tool_choice",
            id="tool choice",
        ),
        pytest.param({"response_format": {"type": "yaml"}}, "response_format", id="format"),
    ],
)
def test_what_is_refused_before_it_is_sent(fields: dict[str, Any], param: str) -> None:
    refused = ask(**fields)
    assert isinstance(refused, ProviderError)
    assert (refused.status, refused.param) == (400, param)


@pytest.mark.parametrize(("model", "signed"), [("gemini-3-pro", True), ("gemini-2.5-flash", False)])
def test_a_lost_signature_is_stood_in_for_where_the_model_insists(model: str, signed: bool) -> None:
    calls = [
        {"id": f"call_{n}", "type": "function", "function": {"name": "f", "arguments": '{"x":1.10}'}} for n in (1, 2)
    ]
    results = [{"role": "tool", "tool_call_id": f"call_{n}", "content": "[1]"} for n in (1, 2)]
    wire = ask(model, messages=[USER, {"role": "assistant", "tool_calls": calls}, *results])
    assert isinstance(wire, WireRequest)
    first, second = json.loads(wire.body)["contents"][1]["parts"]
    assert first["functionCall"] == {"name": "f", "args": {"x": 1.1}}
    assert b'"args":{"x":1.10}' in wire.body
    assert ("thoughtSignature" in first) is signed
    assert "thoughtSignature" not in second
    answers = json.loads(wire.body)["contents"][2]["parts"]
    assert [part["functionResponse"]["response"] for part in answers] == [{"result": "[1]"}] * 2


def answered(body: object) -> Complete | ProviderError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return DIALECT.response(ChatCall(b'{"messages":[]}', "gemini-2.5-flash", VENDOR, request_id="req_1"), raw)


def candidate(reason: str | None, *parts: object, index: int = 0) -> dict[str, Any]:
    return {"content": {"parts": list(parts)}, "finishReason": reason, "index": index}


CALL = {"functionCall": {"name": "f", "args": {}}}


@pytest.mark.parametrize(
    ("reason", "parts", "expected"),
    [
        ("STOP", [], "stop"),
        ("STOP", [CALL], "tool_calls"),
        ("MAX_TOKENS", [CALL], "length"),
        *[
            (reason, [], "content_filter")
            for reason in ("SAFETY", "RECITATION", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII", "LANGUAGE")
        ],
        ("OTHER", [], "stop"),
        ("NEW_REASON", [CALL], "tool_calls"),
        (None, [], "stop"),
    ],
)
def test_finish_reasons(reason: str | None, parts: list[object], expected: str) -> None:
    complete = answered({"candidates": [candidate(reason, {"text": "x"}, *parts)]})
    assert isinstance(complete, Complete)
    assert complete.answer.finish_reason == expected
    assert complete.usage is None


@pytest.mark.parametrize("reason", ["MALFORMED_FUNCTION_CALL", "UNEXPECTED_TOOL_CALL", "MISSING_THOUGHT_SIGNATURE"])
def test_broken_output_is_an_error_not_a_stop(reason: str) -> None:
    error = answered({"candidates": [candidate(reason)]})
    assert isinstance(error, ProviderError)
    assert (error.code, error.kind) == (reason.lower(), "invalid")
    failed = run({"candidates": [candidate(reason, {"text": "x"})]})[-1]
    assert isinstance(failed, Failed)
    assert failed.error == error


def test_several_candidates_with_logprobs() -> None:
    chosen = [{"token": "\u20ac", "tokenId": 1, "logProbability": -0.25}]
    top = [{"candidates": [*chosen, {"token": "$", "logProbability": -2.0}]}]
    sure = {"logprobsResult": {"chosenCandidates": chosen, "topCandidates": top}}
    complete = answered(
        {"candidates": [candidate("STOP", {"text": "\u20ac"}) | sure, candidate("STOP", {"text": "b"}, index=1)]}
    )
    assert isinstance(complete, Complete)
    parsed = ChatCompletion.model_validate_json(complete.body, strict=True)
    assert [choice.message.content for choice in parsed.choices] == ["\u20ac", "b"]
    assert parsed.choices[0].logprobs is not None
    assert parsed.choices[0].logprobs.content is not None
    assert parsed.choices[0].logprobs.content[0].bytes == [226, 130, 172]
    assert [each.logprob for each in parsed.choices[0].logprobs.content[0].top_logprobs] == [-0.25, -2.0]
    assert complete.answer.logprob_mean == -0.25


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        ({"promptTokenCount": 9, "candidatesTokenCount": 4}, Usage(9, 4)),
        ({"promptTokenCount": 9, "thoughtsTokenCount": 3, "candidatesTokenCount": 4}, Usage(9, 7, reasoning=3)),
        ({"promptTokenCount": 9, "toolUsePromptTokenCount": 2, "cachedContentTokenCount": 5}, Usage(11, 0, 5)),
        ({"promptTokenCount": -9, "candidatesTokenCount": 4}, None),
        ({"promptTokenCount": 9, "candidatesTokenCount": "4"}, None),
        ({}, None),
    ],
)
def test_usage(usage: dict[str, Any], expected: Usage | None) -> None:
    complete = answered({"candidates": [candidate("STOP")], "usageMetadata": usage})
    assert isinstance(complete, Complete)
    assert complete.usage == expected


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        pytest.param(b"<html>", 502, "upstream_invalid", id="a page"),
        pytest.param({}, 502, "upstream_invalid", id="neither candidates nor feedback"),
        pytest.param(
            {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
            503,
            "server_is_overloaded",
            id="an error",
        ),
    ],
)
def test_a_200_that_is_no_answer(body: object, status: int, code: str) -> None:
    error = answered(body)
    assert isinstance(error, ProviderError)
    assert (error.status, error.code) == (status, code)


RETRY = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.5s"}
BAD_KEY = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID"}


@pytest.mark.parametrize(
    ("status", "error", "expected"),
    [
        pytest.param(
            429,
            {"status": "RESOURCE_EXHAUSTED", "details": [RETRY]},
            (429, "rate_limit_exceeded", 34_500),
            id="RetryInfo",
        ),
        pytest.param(
            400, {"status": "INVALID_ARGUMENT", "details": [BAD_KEY]}, (401, "invalid_api_key", None), id="a bad key"
        ),
        pytest.param(
            400,
            {
                "status": "INVALID_ARGUMENT",
                "message": "The input token count (9) exceeds the maximum number of tokens allowed (8).",
            },
            (400, "context_length_exceeded", None),
            id="too long",
        ),
        pytest.param(404, {"status": "NOT_FOUND"}, (404, "model_not_found", None), id="no model"),
        pytest.param(503, {"status": "UNAVAILABLE"}, (503, "server_is_overloaded", None), id="overloaded"),
        pytest.param(500, {"status": "INTERNAL"}, (500, None, None), id="internal"),
    ],
)
@pytest.mark.parametrize("listed", [False, True])
def test_errors(status: int, error: dict[str, Any], expected: tuple[int, str | None, int | None], listed: bool) -> None:
    body: Any = {"error": {"code": status, "message": "m"} | error}
    read = DIALECT.error(status, {}, json.dumps([body] if listed else body).encode())
    assert (read.status, read.code, read.retry_after_ms) == expected


def test_a_retry_after_header_wins() -> None:
    body = json.dumps({"error": {"code": 429, "message": "m", "details": [RETRY]}}).encode()
    assert DIALECT.error(429, {b"retry-after": b"2"}, body).retry_after_ms == 2000


def run(*events: object, wants_usage: bool = False) -> list[StreamEvent]:
    reader = DIALECT.stream(
        ChatCall(b"{}", "gemini-2.5-flash", VENDOR, stream=True, wants_usage=wants_usage, request_id="req_1")
    )
    wire = [event if isinstance(event, bytes) else json.dumps(event).encode() for event in events]
    return [each for data in wire for each in reader.feed(b"data: " + data + b"\r\n\r\n")] + reader.eof()


@pytest.mark.parametrize(
    ("events", "code"),
    [
        pytest.param(({"candidates": [candidate(None, {"text": "x"})]},), "upstream_cut", id="cut"),
        pytest.param((), "upstream_cut", id="nothing"),
        pytest.param((b"{oops",), "upstream_invalid", id="no json"),
        pytest.param(
            (
                {"candidates": [candidate(None, {"text": "x"})]},
                {"error": {"code": 503, "message": "m", "status": "UNAVAILABLE"}},
            ),
            "server_is_overloaded",
            id="error",
        ),
        pytest.param(
            ({"candidates": [candidate("STOP", {"text": "x"}), candidate(None, {"text": "y"}, index=1)]},),
            "upstream_cut",
            id="one of two",
        ),
    ],
)
def test_streams_that_fail(events: tuple[object, ...], code: str) -> None:
    out = run(*events)
    assert isinstance(out[-1], Failed)
    assert out[-1].error.code == code


def test_a_stop_on_every_event_is_one_finish() -> None:
    out = run(*[{"candidates": [candidate("STOP", {"text": text})]} for text in "ab"])
    finishes = [json.loads(event.data[6:])["choices"][0]["finish_reason"] for event in out if isinstance(event, Chunk)]
    assert finishes == [None, None, None, "stop"]
    assert out[-1] == Done()


def embed(fields: dict[str, Any]) -> EmbeddingsCall:
    return EmbeddingsCall(json.dumps({"model": "x"} | fields).encode(), "gemini-embedding-001", VENDOR)


def test_one_text_is_embedded_alone() -> None:
    wire = DIALECT.request(embed({"input": "hi", "dimensions": 8, "user": "u", "mlx:tags": {}}))
    assert isinstance(wire, WireRequest)
    assert wire.path == "/models/gemini-embedding-001:embedContent"
    assert json.loads(wire.body) == {
        "model": "models/gemini-embedding-001",
        "content": {"parts": [{"text": "hi"}]},
        "outputDimensionality": 8,
    }
    assert wire.dropped == ("user",)


def test_several_texts_are_one_batch_in_order() -> None:
    call = embed({"input": ["a", "b"], "encoding_format": "base64"})
    wire = DIALECT.request(call)
    assert isinstance(wire, WireRequest)
    assert wire.path.endswith(":batchEmbedContents")
    assert [each["content"]["parts"][0]["text"] for each in json.loads(wire.body)["requests"]] == ["a", "b"]
    complete = DIALECT.response(call, b'{"embeddings":[{"values":[0.5,-1]},{"values":[2.0,1e-3]}]}')
    assert isinstance(complete, Complete)
    assert complete.usage == Usage(1, estimated=True)
    data = json.loads(complete.body)["data"]
    assert [each["index"] for each in data] == [0, 1]
    assert struct.unpack("<2f", base64.b64decode(data[0]["embedding"])) == (0.5, -1.0)


def test_floats_pass_as_they_are() -> None:
    answer = b'{"embedding":{"values":[0.1000000000000000055,-1]},"usageMetadata":{"promptTokenCount":3}}'
    complete = DIALECT.response(embed({"input": "hi"}), answer)
    assert isinstance(complete, Complete)
    assert b"[0.1000000000000000055,-1]" in complete.body
    parsed = CreateEmbeddingResponse.model_validate_json(complete.body)
    assert (parsed.usage.prompt_tokens, parsed.model) == (3, "gemini-embedding-001")


@pytest.mark.parametrize("given", [[1, 2], [[1]], [], ["a", 1], 7])
def test_tokens_are_refused(given: object) -> None:
    refused = DIALECT.request(embed({"input": given}))
    assert isinstance(refused, ProviderError)
    assert refused.param == "input"


def test_a_vendor_without_embeddings_says_so() -> None:
    vendor = VendorFacts("google", "google", embeddings_path=None)
    refused = DIALECT.request(EmbeddingsCall(b'{"input":"x"}', "m", vendor))
    assert isinstance(refused, ProviderError)
    assert refused.code == "unsupported_endpoint"


def test_an_answer_without_vectors_is_invalid() -> None:
    error = DIALECT.response(embed({"input": "x"}), b"{}")
    assert isinstance(error, ProviderError)
    assert error.kind == "invalid"
