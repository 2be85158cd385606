"""Write a reply in Anthropic's dialect: a whole message, the event grammar of a stream, an error."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec

from modelux_providers.simulator.reply import pieces
from modelux_providers.simulator.scenario import Behaviour
from modelux_providers.simulator.usages import Json, spoil
from modelux_providers.simulator.words import Ask, Choice, Event, Refusal, Reply, Response, Tokens, draw

_STOPS = {"stop": "end_turn", "length": "max_tokens", "tool_calls": "tool_use", "content_filter": "refusal"}
_ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
_encode = msgspec.json.encode


def respond(ask: Ask, reply: Reply, behaviour: Behaviour) -> Response:
    """The healthy response to a request for a message."""
    headers = (
        ("request-id", f"req_{reply.id}"),
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
    )
    if ask.stream:
        events = tuple(_stream(reply, behaviour))
        return Response(200, reply.tokens, b"", "text/event-stream; charset=utf-8", headers, events, reply.latency_ms)
    return Response(200, reply.tokens, _whole(reply, behaviour), headers=headers, latency_ms=reply.latency_ms)


def refuse(refusal: Refusal) -> bytes:
    """The error body; it is also the data of a stream's `error` event."""
    kind = refusal.type or _ERRORS.get(
        refusal.status, "api_error" if refusal.status >= 500 else "invalid_request_error"
    )
    request_id = f"req_{int(draw(refusal.message) * 2**48):012x}"
    return _encode({"type": "error", "error": {"type": kind, "message": refusal.message}, "request_id": request_id})


def models(names: tuple[str, ...], created: int) -> bytes:
    data = [{"type": "model", "id": name, "display_name": name, "created_at": "2026-01-01T00:00:00Z"} for name in names]
    ends = {"first_id": names[0] if names else None, "last_id": names[-1] if names else None}
    return _encode({"data": data, "has_more": False, **ends})


def usage(tokens: Tokens) -> Json:
    """Anthropic's `input_tokens` excludes what was read from or written to the cache."""
    return {
        "input_tokens": max(0, tokens.input - tokens.cache_read - tokens.cache_write),
        "cache_creation_input_tokens": tokens.cache_write,
        "cache_read_input_tokens": tokens.cache_read,
        "cache_creation": {"ephemeral_5m_input_tokens": tokens.cache_write, "ephemeral_1h_input_tokens": 0},
        "output_tokens": tokens.output,
        "service_tier": "standard",
    }


def _base(reply: Reply, content: list[Json]) -> Json:
    return {"id": f"msg_{reply.id}", "type": "message", "role": "assistant", "model": reply.model, "content": content}


def _stop(choice: Choice, behaviour: Behaviour) -> Json:
    return {"stop_reason": behaviour.finish_reason or _STOPS[choice.finish], "stop_sequence": None}


def _whole(reply: Reply, behaviour: Behaviour) -> bytes:
    choice = reply.choices[0]
    content: list[Json] = [start | full for start, full, _ in _blocks(choice)]
    body = _base(reply, content) | _stop(choice, behaviour)
    if behaviour.vendor_fields:
        body["x_vendor_field"] = {"big": msgspec.Raw(b"12345678901234567890123")}
    if behaviour.usage != "missing":
        body["usage"] = spoil(usage(reply.tokens), behaviour)
    return _encode(body)


def _blocks(choice: Choice) -> Iterator[tuple[Json, Json, list[tuple[Json, int]]]]:
    """Each content block: as it starts in a stream, what a whole answer adds, and its deltas with their tokens."""
    if choice.reasoning:
        signature = f"sig{int(draw(choice.reasoning) * 2**52):x}=="
        deltas: list[tuple[Json, int]] = [
            ({"type": "thinking_delta", "thinking": piece}, 0) for piece in pieces(choice.reasoning)
        ]
        deltas.append(({"type": "signature_delta", "signature": signature}, 0))
        full: Json = {"thinking": choice.reasoning, "signature": signature}
        yield {"type": "thinking", "thinking": "", "signature": ""}, full, deltas
    said = choice.text or choice.refusal
    if said:
        yield (
            {"type": "text", "text": ""},
            {"text": said},
            [({"type": "text_delta", "text": piece}, 1) for piece in pieces(said)],
        )
    for tool in choice.tools:
        start: Json = {"type": "tool_use", "id": f"toolu_{tool.id}", "name": tool.name, "input": {}}
        parts = ["", *pieces(tool.arguments)]
        yield (
            start,
            {"input": _object(tool.arguments)},
            [({"type": "input_json_delta", "partial_json": part}, int(bool(part))) for part in parts],
        )


def _object(arguments: str) -> object:
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}


def _stream(reply: Reply, behaviour: Behaviour) -> Iterator[Event]:
    choice = reply.choices[0]
    early = Tokens(reply.tokens.input, min(1, reply.tokens.output), reply.tokens.cache_read, reply.tokens.cache_write)
    message = _base(reply, []) | {"stop_reason": None, "stop_sequence": None}
    if behaviour.usage != "missing":
        message["usage"] = spoil(usage(early), behaviour)
    yield _event("message_start", {"message": message})
    for index, (start, _, deltas) in enumerate(_blocks(choice)):
        yield _event("content_block_start", {"index": index, "content_block": start})
        if index == 0:
            yield _event("ping", {})
        for delta, tokens in deltas:
            yield _event("content_block_delta", {"index": index, "delta": delta}, tokens)
        yield _event("content_block_stop", {"index": index})
    closing: Json = {"delta": _stop(choice, behaviour)}
    if behaviour.usage != "missing":
        closing["usage"] = spoil({"output_tokens": reply.tokens.output}, behaviour)
    yield _event("message_delta", closing)
    if behaviour.done != "missing":
        yield _event("message_stop", {})
    if behaviour.done == "then_more":
        yield _event("content_block_delta", {"index": 0, "delta": {"type": "text_delta", "text": "after the end"}})


def _event(name: str, body: Json, tokens: int = 0) -> Event:
    return Event(_encode({"type": name, **body}), name, tokens)
