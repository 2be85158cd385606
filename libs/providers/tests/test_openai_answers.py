"""What OpenAI answers, as callers and policies see it: usage, broken bodies, errors."""

from __future__ import annotations

import json

import pytest

from modelux_providers.dialects.base import ChatCall, Complete, ProviderError, VendorFacts
from modelux_providers.dialects.openai import OpenAI
from routing_core.types import Answer, Usage

DIALECT = OpenAI()


VENDOR = VendorFacts("openai")


CALL = ChatCall(b'{"model":"m"}', "m", VENDOR)


def answered(body: bytes) -> Complete:
    complete = DIALECT.response(CALL, body)
    assert isinstance(complete, Complete)
    return complete


def with_usage(usage: str) -> bytes:
    return b'{"id":"c","choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"usage":' + usage.encode() + b"}"


@pytest.mark.parametrize(
    ("usage", "expected"),
    [
        pytest.param('{"prompt_tokens":9,"completion_tokens":5}', Usage(9, 5), id="plain"),
        pytest.param(
            '{"prompt_tokens":9,"completion_tokens":5,"total_tokens":14,"prompt_tokens_details":{"cached_tokens":4},'
            '"completion_tokens_details":{"reasoning_tokens":3}}',
            Usage(9, 5, cache_read=4, reasoning=3),
            id="details",
        ),
        pytest.param(
            '{"prompt_tokens":9,"completion_tokens":5,"total_tokens":17,"completion_tokens_details":{"reasoning_tokens":3}}',
            Usage(9, 8, reasoning=3),
            id="reasoning beside the completion",
        ),
        pytest.param(
            '{"prompt_tokens":9,"completion_tokens":5,"prompt_cache_hit_tokens":2}', Usage(9, 5, 2), id="deepseek"
        ),
        pytest.param(
            '{"prompt_tokens":9,"prompt_tokens_details":{"cached_tokens":50}}', Usage(9, 0, 9), id="more than all"
        ),
        pytest.param('{"prompt_tokens":9.0,"completion_tokens":5}', Usage(9, 5), id="a whole float"),
        pytest.param(
            '{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":{"cached_tokens":-1}}',
            Usage(9, 5),
            id="bad detail",
        ),
        pytest.param(
            '{"prompt_tokens":9,"completion_tokens":5,"prompt_tokens_details":"?"}', Usage(9, 5), id="bad details"
        ),
        *[
            pytest.param(wrong, None, id=wrong[:40])
            for wrong in (
                "null",
                "7",
                "{}",
                '{"prompt_tokens":0,"completion_tokens":0}',
                '{"prompt_tokens":-3,"completion_tokens":5}',
                '{"prompt_tokens":"9","completion_tokens":5}',
                '{"prompt_tokens":9,"completion_tokens":1e30}',
                '{"prompt_tokens":1.5,"completion_tokens":5}',
                '{"prompt_tokens":9,"completion_tokens":true}',
                '{"prompt_tokens":12345678901234567890123,"completion_tokens":5}',
                '{"prompt_tokens":9,"completion_tokens":null,"prompt_tokens":null}',
            )
        ],
    ],
)
def test_usage_is_believed_only_where_it_can_be(usage: str, expected: Usage | None) -> None:
    body = with_usage(usage)
    complete = answered(body)
    assert complete.usage == expected
    assert complete.body is body


def test_nan_is_no_usage_and_does_not_reach_the_caller() -> None:
    complete = answered(with_usage('{"prompt_tokens":NaN,"completion_tokens":5}'))
    assert complete.usage is None
    assert json.loads(complete.body)["usage"] == {"prompt_tokens": None, "completion_tokens": 5}
    assert b"NaN" not in complete.body


def test_a_lone_surrogate_passes_as_bytes() -> None:
    body = b'{"id":"c","choices":[{"message":{"content":"\\ud83d"}}],"usage":{"prompt_tokens":1,"completion_tokens":2}}'
    complete = answered(body)
    assert complete.body is body
    assert complete.usage == Usage(1, 2)
    assert complete.answer.text == "\ufffd"


@pytest.mark.parametrize(
    ("body", "status", "code", "kind"),
    [
        pytest.param(b"<html>sk-abcdef123456</html>", 502, "upstream_invalid", "invalid", id="a page"),
        pytest.param(b"", 502, "upstream_invalid", "invalid", id="nothing"),
        pytest.param(b"{}", 502, "upstream_invalid", "invalid", id="no choices"),
        pytest.param(b'{"choices":{}}', 502, "upstream_invalid", "invalid", id="choices of another type"),
        pytest.param(b'[{"choices":[]}]', 502, "upstream_invalid", "invalid", id="an array"),
        pytest.param(b'{"choices":[', 502, "upstream_invalid", "invalid", id="half an answer"),
        pytest.param(
            b'{"error":{"message":"slow","code":"rate_limit_exceeded"}}',
            429,
            "rate_limit_exceeded",
            "status",
            id="an error in a 200",
        ),
        pytest.param(b'{"error":{"message":"x","code":503}}', 503, None, "status", id="its code is the status"),
        pytest.param(b'{"error":"oh"}', 502, None, "status", id="an error that is a text"),
    ],
)
def test_a_200_that_is_no_answer(body: bytes, status: int, code: str | None, kind: str) -> None:
    error = DIALECT.response(CALL, body)
    assert isinstance(error, ProviderError)
    assert (error.status, error.code, error.kind) == (status, code, kind)
    assert "sk-abc" not in error.message


def test_null_error_is_no_error() -> None:
    assert answered(b'{"choices":[],"error":null}').usage is None


def test_answer_reads_what_policies_weigh() -> None:
    message = {"content": "so", "tool_calls": [{}, {}], "refusal": "no"}
    logprobs = {"content": [{"token": "s", "logprob": -0.5}, {"token": "o", "logprob": -1.5}]}
    body = {"choices": [{"message": message, "finish_reason": "tool_calls", "logprobs": logprobs}]}
    assert answered(json.dumps(body).encode()).answer == Answer("so", "tool_calls", 2, True, -1.0)
    assert answered(b'{"choices":[]}').answer == Answer()


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        pytest.param(
            429,
            {b"retry-after": b"7"},
            b'{"error":{"message":"slow","type":"tokens","param":null,"code":"rate_limit_exceeded"}}',
            ProviderError(429, "slow", "tokens", "rate_limit_exceeded", None, 7000),
            id="openai",
        ),
        pytest.param(
            400,
            {},
            b'{"error":{"message":"long","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}',
            ProviderError(400, "long", "invalid_request_error", "context_length_exceeded", "messages"),
            id="code and param are kept",
        ),
        pytest.param(
            422,
            {},
            b'{"object":"error","message":"bad","type":"invalid_request_error","code":400}',
            ProviderError(422, "bad", "invalid_request_error"),
            id="members at the top",
        ),
        pytest.param(
            422,
            {},
            b'{"detail":[{"loc":["x"]}]}',
            ProviderError(422, '[{"loc":["x"]}]', "invalid_request_error"),
            id="fastapi",
        ),
        pytest.param(
            400,
            {},
            b'{"error":{"message":"filtered","code":"content_filter","innererror":{"code":"X","n":1.0}}}',
            ProviderError(
                400, "filtered", "invalid_request_error", "content_filter", innererror=b'{"code":"X","n":1.0}'
            ),
            id="azure keeps innererror",
        ),
        pytest.param(
            502,
            {b"content-type": b"text/html"},
            b"<!doctype html><p>key=AIzaSyABCDEFGH</p>",
            ProviderError(502, "The provider answered 502 with an HTML page.", "server_error"),
            id="a page is described",
        ),
        pytest.param(
            503,
            {b"retry-after-ms": b"250"},
            b"busy",
            ProviderError(503, "busy", "service_unavailable_error", retry_after_ms=250),
            id="text",
        ),
        pytest.param(
            500,
            {},
            b"",
            ProviderError(500, "The provider answered 500 with an empty body.", "server_error"),
            id="empty",
        ),
        pytest.param(
            401,
            {},
            b'{"error":{"message":"Incorrect API key provided: sk-proj-abcdefgh.","code":"invalid_api_key"}}',
            ProviderError(401, "Incorrect API key provided: ***.", "authentication_error", "invalid_api_key"),
            id="a key is masked",
        ),
        pytest.param(
            529, {}, b'{"error":{"message":"x"}}', ProviderError(503, "x", "service_unavailable_error"), id="529 is 503"
        ),
    ],
)
def test_errors(status: int, headers: dict[bytes, bytes], body: bytes, expected: ProviderError) -> None:
    error = DIALECT.error(status, headers, body)
    assert error == expected
    envelope = json.loads(error.envelope())
    assert set(envelope["error"]) - {"innererror"} == {"message", "type", "param", "code"}


@pytest.mark.parametrize("status", [302, 204, 101])
def test_a_redirect_is_no_answer(status: int) -> None:
    error = DIALECT.error(status, {b"location": b"http://169.254.169.254/"}, b"{}")
    assert (error.status, error.code, error.kind) == (502, "upstream_invalid", "invalid")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        pytest.param({b"retry-after": b"1.5"}, 1500, id="a fraction"),
        pytest.param({b"retry-after": b"9", b"retry-after-ms": b"10"}, 10, id="ms wins"),
        pytest.param(
            {b"retry-after": b"Wed, 21 Oct 2026 07:28:30 GMT", b"date": b"Wed, 21 Oct 2026 07:28:00 GMT"},
            30_000,
            id="a date",
        ),
        pytest.param(
            {b"retry-after": b"Wed, 21 Oct 2026 07:28:00 GMT", b"date": b"Wed, 21 Oct 2026 07:28:30 GMT"},
            0,
            id="the past",
        ),
        pytest.param({b"retry-after": b"Wed, 21 Oct 2026 07:28:00 GMT"}, None, id="a date against nothing"),
        pytest.param({b"retry-after": b"soon"}, None, id="a word"),
        pytest.param({b"retry-after": b"-1"}, None, id="negative"),
        pytest.param({b"retry-after": b"1e9"}, None, id="an exponent"),
        pytest.param({b"retry-after": b"999999999"}, None, id="absurd"),
    ],
)
def test_retry_after(headers: dict[bytes, bytes], expected: int | None) -> None:
    assert DIALECT.error(429, headers, b"{}").retry_after_ms == expected
