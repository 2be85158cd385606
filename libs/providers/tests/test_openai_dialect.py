"""The OpenAI wire passes the caller's and the provider's bytes, but for what must change."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.dialects.base import ChatCall, Complete, EmbeddingsCall, ProviderError, VendorFacts, WireRequest
from modelux_providers.dialects.openai import OpenAI
from routing_core.types import Answer, Usage

DIALECT = OpenAI()
VENDOR = VendorFacts("openai")
PLAIN = VendorFacts("old", supports_stream_options=False)


def sent(
    body: bytes, *, vendor: VendorFacts = VENDOR, stream: bool = False, max_tokens: int | None = None
) -> WireRequest:
    wire = DIALECT.request(ChatCall(body, "gpt-4o", vendor, stream=stream, max_tokens=max_tokens))
    assert isinstance(wire, WireRequest)
    return wire


EDITS = [
    pytest.param(b'{"model":"@p","n":1}', {}, b'{"model":"gpt-4o","n":1}', id="the model"),
    pytest.param(
        b' { "metadata" : {"model":"@p"} ,\n"model" : "@p", "x": 12345678901234567890, "y": 1.1, "z": "\\ud83d" } ',
        {},
        b' { "metadata" : {"model":"@p"} ,\n"model" : "gpt-4o", "x": 12345678901234567890, "y": 1.1, "z": "\\ud83d" } ',
        id="only the top-level model; numbers, spaces and surrogates stay",
    ),
    pytest.param(
        b'{"mlx:tags":{"a":"b"},"model":"@p","mlx:end_user_id":"u","z":1,"mlx:x":2}',
        {},
        b'{"model":"gpt-4o","z":1}',
        id="our own fields go",
    ),
    pytest.param(b'{"\\u006dlx:tags":{},"model":"@p"}', {}, b'{"model":"gpt-4o"}', id="also when written with escapes"),
    pytest.param(b'{"model":"a","model":"b"}', {}, b'{"model":"gpt-4o","model":"gpt-4o"}', id="a duplicate model"),
    pytest.param(
        b'{"model":"@p","stream":true}',
        {"stream": True},
        b'{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}',
        id="usage is asked for",
    ),
    pytest.param(
        b'{"model":"@p","stream":true,"stream_options":{"include_usage":false,"include_obfuscation":true}}',
        {"stream": True},
        b'{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true,"include_obfuscation":true}}',
        id="beside other options",
    ),
    pytest.param(
        b'{"model":"@p","stream":true,"stream_options":null}',
        {"stream": True},
        b'{"model":"gpt-4o","stream":true,"stream_options":{"include_usage":true}}',
        id="in place of null",
    ),
    pytest.param(
        b'{"model":"@p","stream":true,"stream_options":{ "include_usage" : true }}',
        {"stream": True},
        b'{"model":"gpt-4o","stream":true,"stream_options":{ "include_usage" : true }}',
        id="untouched when asked already",
    ),
    pytest.param(
        b'{"model":"@p","stream_options":{"include_usage":true},"stream":true}',
        {"stream": True, "vendor": PLAIN},
        b'{"model":"gpt-4o","stream":true}',
        id="a vendor that rejects stream_options",
    ),
    pytest.param(
        b'{"model":"@p","stream":true,"stream_options":{}}',
        {},
        b'{"model":"gpt-4o","stream":false}',
        id="buffered upstream",
    ),
    pytest.param(
        b'{"model":"@p"}',
        {"stream": True, "vendor": PLAIN},
        b'{"model":"gpt-4o","stream":true}',
        id="streamed upstream only",
    ),
    pytest.param(
        b'{"model":"@p","max_completion_tokens":900}',
        {"max_tokens": 50},
        b'{"model":"gpt-4o","max_completion_tokens":50}',
        id="a limit replaces the caller's",
    ),
    pytest.param(b'{"model":"@p"}', {"max_tokens": 50}, b'{"model":"gpt-4o","max_tokens":50}', id="a limit is added"),
]


@pytest.mark.parametrize(("body", "how", "expected"), EDITS)
def test_request(body: bytes, how: dict[str, object], expected: bytes) -> None:
    assert sent(body, **how).body == expected  # type: ignore[arg-type]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text() | st.just("model"), inner, max_size=3),
    max_leaves=10,
)


@settings(deadline=None, derandomize=True)
@given(
    st.dictionaries(st.text() | st.sampled_from(["messages", "metadata", '"model"']), JSON, max_size=5),
    st.booleans(),
    st.sampled_from([None, 1]),
    st.booleans(),
)
def test_all_other_bytes_stay(fields: dict[str, object], ascii_only: bool, indent: int | None, stream: bool) -> None:
    ours = ("model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "api_base", "base_url")
    fields = {key: value for key, value in fields.items() if key not in ours and not key.startswith("mlx:")}
    members = list(fields.items())
    members.insert(len(members) // 2, ("model", "@production"))
    body = json.dumps(dict(members), ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    wire = sent(body, vendor=PLAIN, stream=False)
    before, _, after = body.partition(b'"model": "@production"')
    while edit_is_nested(before):
        more, _, after = after.partition(b'"model": "@production"')
        before += b'"model": "@production"' + more
    assert wire.body == before + b'"model": "gpt-4o"' + after


def edit_is_nested(before: bytes) -> bool:
    """True where the text so far ends within an inner value."""
    text = before.decode("utf-8", "surrogatepass")
    depth, quoted, escaped = 0, False, False
    for char in text:
        if escaped:
            escaped = False
        elif quoted:
            escaped, quoted = char == "\\", char != '"'
        elif char == '"':
            quoted = True
        else:
            depth += (char in "{[") - (char in "}]")
    return depth != 1 or quoted


def test_fields_that_choose_the_upstream_are_dropped_and_told() -> None:
    wire = sent(b'{"base_url":"http://evil","model":"@p","api_base":1}')
    assert wire.body == b'{"model":"gpt-4o"}'
    assert wire.dropped == ("base_url", "api_base")


@pytest.mark.parametrize("body", [b"[]", b"", b'"x"', b"{"])
def test_a_body_that_is_no_object_is_an_error_value(body: bytes) -> None:
    refused = DIALECT.request(ChatCall(body, "m", VENDOR))
    assert isinstance(refused, ProviderError)
    assert (refused.status, refused.code) == (400, "invalid_json")


def test_paths() -> None:
    azure = VendorFacts("azure", chat_path="/deployments/{model}/chat/completions?api-version=1", embeddings_path=None)
    wire = DIALECT.request(ChatCall(b'{"model":"m"}', "my model/x", azure))
    assert isinstance(wire, WireRequest)
    assert wire.path == "/deployments/my%20model%2Fx/chat/completions?api-version=1"
    assert isinstance(DIALECT.request(EmbeddingsCall(b'{"model":"m"}', "m", azure)), ProviderError)
    plain = DIALECT.request(EmbeddingsCall(b'{"model":"m","input":[[1,2]]}', "e", VENDOR))
    assert isinstance(plain, WireRequest)
    assert (plain.path, plain.body) == ("/embeddings", b'{"model":"e","input":[[1,2]]}')


@pytest.mark.parametrize(
    ("body", "sent"),
    [
        pytest.param(b'{"model":"@p"}', b'{"model":"m","logprobs":true}', id="added"),
        pytest.param(b'{"model":"@p","logprobs":false}', b'{"model":"m","logprobs":true}', id="turned on"),
        pytest.param(b'{"model":"@p", "logprobs" : true}', b'{"model":"m", "logprobs" : true}', id="left alone"),
    ],
)
def test_token_probabilities_are_asked_for_where_the_policy_weighs_them(body: bytes, sent: bytes) -> None:
    wire = DIALECT.request(ChatCall(body, "m", VENDOR, logprobs=True))
    assert isinstance(wire, WireRequest)
    assert wire.body == sent


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
