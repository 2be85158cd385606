"""The OpenAI wire: the caller's bytes go through, but for what must change; so do the provider's."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelux_providers.dialects import edit, fault, openai_error, usage
from modelux_providers.dialects.base import (
    Call,
    ChatCall,
    Complete,
    EmbeddingsCall,
    ProviderError,
    WireRequest,
    path_for,
)
from modelux_providers.dialects.lenient import decode, readable, strict
from modelux_providers.dialects.openai_shapes import Answer, decode_answer
from modelux_providers.dialects.openai_stream import OpenAIStream

OURS = ("api_base", "base_url", "custom_host", "custom_llm_provider")
"""Fields by which other gateways let a caller choose the upstream. Never obeyed here, so never sent on."""
_HEADERS = ((b"content-type", b"application/json"),)
_EDITED = frozenset({"model", "stream", "stream_options", "max_tokens", "max_completion_tokens", "logprobs"})
_TOUCHED = frozenset({*OURS, "stream", "stream_options"})
_encode = msgspec.json.Encoder().encode


_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode


class OpenAI:
    """Chat completions and embeddings of OpenAI and every vendor that speaks like it."""

    def request(self, call: Call) -> WireRequest | ProviderError:
        path = call.vendor.chat_path if isinstance(call, ChatCall) else call.vendor.embeddings_path
        if path is None:
            return fault.refused(f"{call.vendor.name} has no embeddings.", "model", "unsupported_endpoint")
        try:
            body, dropped = _edited(call)
        except ValueError:
            return fault.refused("The body is not a JSON object.", None, "invalid_json")
        default = "/chat/completions" if isinstance(call, ChatCall) else "/embeddings"
        return WireRequest(path_for(path, default, call.model), _HEADERS, body, dropped)

    def response(self, call: Call, body: bytes) -> Complete | ProviderError:
        try:
            answer = decode_answer(body)
        except (msgspec.DecodeError, RecursionError):
            copy, read = readable(body), decode(body, Answer)
            if copy is None or read is None:
                return fault.invalid("The provider's answer is not JSON.")
            answer, body = read, body if strict(body) else copy
        if isinstance(answer.error, msgspec.Raw) and bytes(answer.error) != b"null":
            return openai_error.embedded(answer.error)
        items = answer.choices if isinstance(call, ChatCall) else answer.data
        if not isinstance(items, msgspec.Raw) or bytes(items)[:1] != b"[":
            return fault.invalid("The provider's answer holds no result.")
        counted = usage.read(answer.usage) if isinstance(answer.usage, msgspec.Raw) else None
        return Complete(body, counted, answer.id if type(answer.id) is str else None)

    def stream(self, call: ChatCall) -> OpenAIStream:
        return OpenAIStream(call)

    def error(self, status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
        return openai_error.read(status, headers, body)


def _edited(call: Call) -> tuple[bytes, tuple[str, ...]]:
    """The body to send, and the fields left out. Raises ValueError where the body is no object."""
    body = call.body
    try:
        members = _split(body)
        if _encode(members) != body:  # White space, escapes or duplicates that writing it anew would change.
            return _edited_in_place(call)
    except (msgspec.DecodeError, RecursionError):
        return _edited_in_place(call)
    if _only_renamed(call, members):
        name, first = _encode(call.model), b'{"model":%b' % bytes(members["model"])
        if body.startswith(first):
            return b'{"model":%b%b' % (name, body[len(first) :]), ()
        members["model"] = msgspec.Raw(name)
        return _encode(members), ()
    foreign = [key for key in members if key in OURS or key[:4] == "mlx:"]
    values = {key: bytes(members[key]) for key in _EDITED if key in members}
    for key in foreign:
        del members[key]
    for key, value in _changes(call, values).items():
        if value is not None:
            members[key] = msgspec.Raw(value)
        else:
            del members[key]
    return _encode(members), tuple([key for key in foreign if key in OURS]) if foreign else ()


def _only_renamed(call: Call, members: Mapping[str, msgspec.Raw]) -> bool:
    """The common case: nothing but the model's name differs from what the caller sent."""
    if type(call) is ChatCall and (call.stream or call.logprobs or call.max_tokens is not None):
        return False
    return "model" in members and _TOUCHED.isdisjoint(members) and b'"mlx:' not in call.body


def _edited_in_place(call: Call) -> tuple[bytes, tuple[str, ...]]:
    body = call.body
    found = edit.members(body)
    values = {key: body[value:end] for key, _, value, end in found if key in _EDITED}
    gone = {place for place, (key, *_) in enumerate(found) if key in OURS or key.startswith("mlx:")}
    dropped = tuple(key for key, *_ in found if key in OURS)
    changes = _changes(call, values)
    gone |= {place for place, (key, *_) in enumerate(found) if key in changes and changes[key] is None}
    patches = edit.removals(found, gone)
    patches += [(value, end, new) for key, _, value, end in found if (new := changes.get(key)) is not None]
    added = b"".join([b',"%b":%b' % (key.encode(), new) for key, new in changes.items() if new and key not in values])
    if added:
        end_of_body = body.rindex(b"}")
        patches.append((end_of_body, end_of_body, added))
    return edit.apply(body, patches), dropped


def _changes(call: Call, values: Mapping[str, bytes]) -> dict[str, bytes | None]:
    """New values by key, given the body's own; None takes the member out. A key that the body lacks is added."""
    changes: dict[str, bytes | None] = {"model": _encode(call.model)}
    if isinstance(call, EmbeddingsCall):
        return changes
    asked = values.get("stream") == b"true"
    if asked is not call.stream:
        changes["stream"] = b"true" if call.stream else b"false"
    options = values.get("stream_options")
    if call.stream and call.vendor.supports_stream_options:
        changes["stream_options"] = _with_usage(options)
    elif options is not None and asked:
        changes["stream_options"] = None
    if call.logprobs and values.get("logprobs") != b"true":
        changes["logprobs"] = b"true"
    if call.max_tokens is not None:
        present = [key for key in ("max_completion_tokens", "max_tokens") if key in values]
        changes.update(dict.fromkeys(present or [call.vendor.max_tokens_field], b"%d" % call.max_tokens))
    return changes


def _with_usage(options: bytes | None) -> bytes:
    if options is None or options == b"null":
        return b'{"include_usage":true}'
    members = decode(options, dict[str, msgspec.Raw])
    if members is None:
        return options  # Not an object: the provider will say so.
    if "include_usage" in members and bytes(members["include_usage"]) == b"true":
        return options
    return _encode(members | {"include_usage": msgspec.Raw(b"true")})
