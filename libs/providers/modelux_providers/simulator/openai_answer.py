"""Write a reply in OpenAI's dialect: whole, as a stream of chunks, as embeddings, as an error."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import msgspec

from modelux_providers.simulator.reply import pieces
from modelux_providers.simulator.scenario import Behaviour
from modelux_providers.simulator.toolcalls import fragments
from modelux_providers.simulator.usages import Json, spoil
from modelux_providers.simulator.words import Ask, Choice, Event, Refusal, Reply, Response, Tokens, draw

_ERROR_TYPES = {401: "invalid_request_error", 403: "invalid_request_error", 429: "requests"}
_ERROR_CODES = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
_VENDOR = b'"x_vendor_field":{"big":12345678901234567890123,"decimal":0.10000000000000000001,"k":1,"k":2}'
_FILTERS = {name: {"filtered": False, "severity": "safe"} for name in ("hate", "self_harm", "sexual", "violence")}
_encode = msgspec.json.encode


def respond(ask: Ask, reply: Reply, behaviour: Behaviour) -> Response:
    """The healthy response to a chat or embeddings request."""
    headers = (
        ("x-request-id", f"req_{reply.id}"),
        ("openai-processing-ms", "42"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-reset-requests", "6ms"),
    )
    if ask.endpoint == "embeddings":
        return Response(200, reply.tokens, _embeddings(ask, reply, behaviour), headers=headers)
    if ask.stream:
        events = tuple(_stream(ask, reply, behaviour))
        return Response(200, reply.tokens, b"", "text/event-stream; charset=utf-8", headers, events, reply.latency_ms)
    return Response(200, reply.tokens, _whole(ask, reply, behaviour), headers=headers, latency_ms=reply.latency_ms)


def refuse(refusal: Refusal, behaviour: Behaviour) -> bytes:
    """The error body: all four keys, always; Azure's content filter adds what it found."""
    error: Json = {
        "message": refusal.message,
        "type": refusal.type or _ERROR_TYPES.get(refusal.status, _fallback_type(refusal.status)),
        "param": refusal.param,
        "code": refusal.code or _ERROR_CODES.get(refusal.status),
    }
    if behaviour.azure and refusal.code == "content_filter":
        found = {"hate": {"filtered": True, "severity": "high"}}
        error["innererror"] = {"code": "ResponsibleAIPolicyViolation", "content_filter_result": found}
    return _encode({"error": error})


def models(names: Sequence[str], created: int) -> bytes:
    return _encode({"object": "list", "data": [model(name, created) for name in names]})


def model(name: str, created: int) -> Json:
    return {"id": name, "object": "model", "created": created, "owned_by": "modelux-simulator"}


def _fallback_type(status: int) -> str:
    return "server_error" if status >= 500 else "invalid_request_error"


def usage(tokens: Tokens) -> Json:
    return {
        "prompt_tokens": tokens.input,
        "completion_tokens": tokens.output,
        "total_tokens": tokens.input + tokens.output,
        "prompt_tokens_details": {"cached_tokens": tokens.cache_read, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": tokens.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _base(reply: Reply, kind: str) -> Json:
    return {
        "id": f"chatcmpl-{reply.id}",
        "object": kind,
        "created": reply.created,
        "model": reply.model,
        "service_tier": "default",
        "system_fingerprint": "fp_simulator",
    }


def _whole(ask: Ask, reply: Reply, behaviour: Behaviour) -> bytes:
    choices = [_choice(ask, index, choice, behaviour) for index, choice in enumerate(reply.choices)]
    body: Json = {**_base(reply, "chat.completion"), "choices": choices}
    if behaviour.usage != "missing":
        body["usage"] = spoil(usage(reply.tokens), behaviour)
    return _with_vendor(_encode(body), behaviour)


def _choice(ask: Ask, index: int, choice: Choice, behaviour: Behaviour) -> Json:
    message: Json = {
        "role": "assistant",
        "content": choice.text or None,
        "refusal": choice.refusal or None,
        "annotations": [],
    }
    if not choice.text and not choice.tools and not choice.refusal:
        message["content"] = ""
    if choice.reasoning:
        message["reasoning_content"] = choice.reasoning
    if choice.tools:
        message["tool_calls"] = [
            {"id": f"call_{tool.id}", "type": "function", "function": {"name": tool.name, "arguments": tool.arguments}}
            for tool in choice.tools
        ]
    filters: Json = {"content_filter_results": _FILTERS} if behaviour.azure else {}
    return {
        "index": index,
        "message": message,
        "logprobs": _logprobs(ask, pieces(choice.text), behaviour),
        "finish_reason": behaviour.finish_reason or choice.finish,
        **filters,
    }


def _logprobs(ask: Ask, tokens: Sequence[str], behaviour: Behaviour) -> Json | None:
    if ask.logprobs is None:
        return None
    return {"content": [_logprob(token, ask.logprobs, behaviour.logprob) for token in tokens], "refusal": None}


def _logprob(token: str, top: int, mean: float) -> Json:
    value = round(mean * (0.5 + draw(token, "logprob")), 6)
    one: Json = {"token": token, "logprob": value, "bytes": list(token.encode("utf-8", "replace"))}
    others = [
        {"token": token if rank == 0 else f"{token}{rank}", "logprob": value - rank * 2.0, "bytes": None}
        for rank in range(top)
    ]
    return {**one, "top_logprobs": others}


def _with_vendor(body: bytes, behaviour: Behaviour) -> bytes:
    return body[:-1] + b"," + _VENDOR + b"}" if behaviour.vendor_fields else body


@dataclass(slots=True)
class _Chunks:
    """Writes the chunks of one stream: the same head on each, and usage where the behaviour puts it."""

    ask: Ask
    reply: Reply
    behaviour: Behaviour
    sent: int = 0

    def chunk(self, choices: list[Json], tokens: int = 0, more: Json | None = None) -> Event:
        self.sent += tokens
        body: Json = {**_base(self.reply, "chat.completion.chunk"), "choices": choices}
        if self.behaviour.usage == "every_chunk":
            body["usage"] = usage(replace(self.reply.tokens, output=self.sent + self.reply.tokens.reasoning))
        elif self.ask.include_usage and self.behaviour.usage != "missing":
            body["usage"] = None
        if self.ask.obfuscate:
            body["obfuscation"] = f"{int(draw(self.reply.id, self.sent, len(choices)) * 2**40):x}"
        return Event(_with_vendor(_encode(body | (more or {})), self.behaviour), tokens=tokens)

    def finishes(self, final: Json) -> Iterator[Event]:
        """The finishing chunk of each choice; `final` usage is on the last one where the behaviour wants it there."""
        for index, choice in enumerate(self.reply.choices):
            last = index == len(self.reply.choices) - 1 and self.behaviour.usage == "on_finish"
            finish = self.behaviour.finish_reason or choice.finish
            yield self.chunk([_delta(index, {}, finish)], more=final if last else None)

    def closing(self, final: Json) -> Iterator[Event]:
        """What stands behind the finish: the usage chunk, the end mark, and what should not be there."""
        behaviour = self.behaviour
        if self.ask.include_usage and behaviour.usage not in ("missing", "on_finish", "every_chunk", "after_done"):
            yield self.chunk([], more=final)
        if behaviour.done != "missing":
            yield Event(b"[DONE]")
        if behaviour.usage == "after_done":
            yield self.chunk([], more=final)
        if behaviour.done == "then_more":
            yield self.chunk([_delta(0, {"content": "after the end"})])
        if behaviour.done in ("twice", "then_more"):
            yield Event(b"[DONE]")


def _stream(ask: Ask, reply: Reply, behaviour: Behaviour) -> Iterator[Event]:
    chunks = _Chunks(ask, reply, behaviour)
    final: Json = {"usage": spoil(usage(reply.tokens), behaviour)}
    if behaviour.azure:
        yield chunks.chunk(
            [], more={"prompt_filter_results": [{"prompt_index": 0, "content_filter_results": _FILTERS}]}
        )
    for choice, tokens in _deltas(ask, reply, behaviour):
        yield chunks.chunk([choice], tokens)
    yield from chunks.finishes(final)
    yield from chunks.closing(final)


def _delta(index: int, delta: Json, finish: str | None = None, logprobs: Json | None = None) -> Json:
    return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


def _deltas(ask: Ask, reply: Reply, behaviour: Behaviour) -> Iterator[tuple[Json, int]]:
    """The content of all choices, taking turns by index as OpenAI's do."""
    runs = [list(_run(ask, index, choice, behaviour)) for index, choice in enumerate(reply.choices)]
    for turn in range(max(map(len, runs), default=0)):
        for run in runs:
            if turn < len(run):
                yield run[turn]


def _run(ask: Ask, index: int, choice: Choice, behaviour: Behaviour) -> Iterator[tuple[Json, int]]:
    first: Json = {"role": "assistant", "content": None if choice.tools else "", "refusal": None}
    yield _delta(index, first), 0
    for piece in pieces(choice.reasoning):
        yield _delta(index, {"reasoning_content": piece}), 0
    for piece in pieces(choice.refusal):
        yield _delta(index, {"refusal": piece}), 1
    for piece in pieces(choice.text):
        yield _delta(index, {"content": piece}, logprobs=_logprobs(ask, [piece], behaviour)), 1
    for fragment in fragments(choice.tools, behaviour.tool_order):
        call: Json = {"index": fragment.index, "function": {"arguments": fragment.text}}
        if fragment.first:
            tool = choice.tools[fragment.number]
            call = {
                "index": fragment.index,
                "id": f"call_{tool.id}",
                "type": "function",
                "function": {"name": tool.name, "arguments": ""},
            }
        yield _delta(index, {"tool_calls": [call]}), 1


def _embeddings(ask: Ask, reply: Reply, behaviour: Behaviour) -> bytes:
    data = [
        {"object": "embedding", "index": index, "embedding": _packed(values) if ask.base64 else values}
        for index, values in enumerate(reply.vectors)
    ]
    body: Json = {"object": "list", "data": data, "model": reply.model}
    if behaviour.usage != "missing":
        used: Json = {"prompt_tokens": reply.tokens.input, "total_tokens": reply.tokens.input}
        body["usage"] = spoil(used, behaviour)
    return _with_vendor(_encode(body), behaviour)


def _packed(values: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}f", *values)).decode()
