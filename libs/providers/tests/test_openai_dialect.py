"""The OpenAI wire passes the caller's and the provider's bytes, but for what must change."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.dialects.base import ChatCall, EmbeddingsCall, ProviderError, VendorFacts, WireRequest
from modelux_providers.dialects.openai import OpenAI

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
