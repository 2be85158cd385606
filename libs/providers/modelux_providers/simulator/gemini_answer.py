"""Write a reply in Gemini's dialect: whole, as a stream, as embeddings, as an error with details."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from modelux_providers.simulator.reply import pieces
from modelux_providers.simulator.scenario import Behaviour
from modelux_providers.simulator.usages import Json, spoil
from modelux_providers.simulator.words import Ask, Choice, Event, Refusal, Reply, Response, Tokens, draw

_FINISHES = {"stop": "STOP", "length": "MAX_TOKENS", "tool_calls": "STOP", "content_filter": "SAFETY"}
_STATUSES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
_GOOGLE = "type.googleapis.com/google.rpc."
_encode = msgspec.json.encode


def respond(ask: Ask, reply: Reply, behaviour: Behaviour) -> Response:
    """The healthy response to a request for content or for embeddings."""
    headers = (("server-timing", "gfet4t7; dur=42"), ("vary", "Origin"))
    if ask.endpoint == "embeddings":
        return Response(200, reply.tokens, _embeddings(ask, reply), headers=headers)
    if not ask.stream:
        return Response(200, reply.tokens, _whole(reply, behaviour), headers=headers, latency_ms=reply.latency_ms)
    events = tuple(_stream(reply, behaviour))
    if ask.plural:
        body = b"[" + b",\r\n".join(event.data for event in events) + b"]"
        return Response(200, reply.tokens, body, headers=headers, latency_ms=reply.latency_ms)
    return Response(200, reply.tokens, b"", "text/event-stream", headers, events, reply.latency_ms)


def refuse(refusal: Refusal, model: str, retry_after: str = "") -> bytes:
    """The error body; a 429 carries the violated quota and, where given, the delay to wait in `RetryInfo`."""
    details: list[Json] = []
    if refusal.status == 429:
        violation = {
            "quotaMetric": "generate_content_requests",
            "quotaDimensions": {"model": model},
            "quotaValue": "50",
        }
        details.append({"@type": f"{_GOOGLE}QuotaFailure", "violations": [violation]})
    if retry_after:
        details.append({"@type": f"{_GOOGLE}RetryInfo", "retryDelay": f"{retry_after}s"})
    error: Json = {
        "code": refusal.status,
        "message": refusal.message,
        "status": refusal.type or _STATUSES.get(refusal.status, "UNKNOWN"),
    }
    return _encode({"error": error | ({"details": details} if details else {})})


def models(names: Sequence[str]) -> bytes:
    methods = ["generateContent", "countTokens"]
    return _encode({"models": [{"name": f"models/{name}", "supportedGenerationMethods": methods} for name in names]})


def usage(tokens: Tokens) -> Json:
    """Gemini counts thoughts outside the candidates, and cached tokens inside the prompt."""
    answered = tokens.output - tokens.reasoning
    counts: Json = {
        "promptTokenCount": tokens.input,
        "candidatesTokenCount": answered,
        "totalTokenCount": tokens.input + tokens.output,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": tokens.input}],
    }
    if tokens.cache_read:
        counts["cachedContentTokenCount"] = tokens.cache_read
    if tokens.reasoning:
        counts["thoughtsTokenCount"] = tokens.reasoning
    return counts


def _blocked(reply: Reply, behaviour: Behaviour) -> Json:
    ratings = [{"category": "HARM_CATEGORY_DANGEROUS_CONTENT", "probability": "HIGH"}]
    feedback = {"blockReason": behaviour.block, "safetyRatings": ratings}
    return {"promptFeedback": feedback, **_tail(reply, behaviour, Tokens(input=reply.tokens.input))}


def _tail(reply: Reply, behaviour: Behaviour, tokens: Tokens) -> Json:
    tail: Json = {"modelVersion": reply.model, "responseId": reply.id}
    if behaviour.usage != "missing":
        tail["usageMetadata"] = spoil(usage(tokens), behaviour)
    return tail


def _candidate(index: int, parts: list[Json], finish: str = "") -> Json:
    candidate: Json = {"content": {"parts": parts, "role": "model"} if parts else {"role": "model"}, "index": index}
    return candidate | ({"finishReason": finish} if finish else {})


def _finish(choice: Choice, behaviour: Behaviour) -> str:
    return behaviour.finish_reason or _FINISHES[choice.finish]


def _whole(reply: Reply, behaviour: Behaviour) -> bytes:
    if behaviour.block:
        return _encode(_blocked(reply, behaviour))
    candidates = [
        _candidate(index, [part for part, _ in _parts(choice, whole=True)], _finish(choice, behaviour))
        for index, choice in enumerate(reply.choices)
    ]
    body: Json = {"candidates": candidates, **_tail(reply, behaviour, reply.tokens)}
    if behaviour.vendor_fields:
        body["xVendorField"] = {"big": msgspec.Raw(b"12345678901234567890123")}
    return _encode(body)


def _parts(choice: Choice, *, whole: bool) -> Iterator[tuple[Json, int]]:
    """The parts of a candidate with their tokens; texts in one part when `whole`."""
    for text in [choice.reasoning] if whole and choice.reasoning else pieces(choice.reasoning):
        yield {"text": text, "thought": True}, 0
    said = choice.text or choice.refusal
    for text in [said] if whole and said else pieces(said):
        yield {"text": text}, len(pieces(text))
    for number, tool in enumerate(choice.tools):
        part: Json = {"functionCall": {"name": tool.name, "args": _object(tool.arguments)}}
        if number == 0:  # Only the first of parallel calls is signed.
            part["thoughtSignature"] = f"c2ln{int(draw(tool.id) * 2**52):x}"
        yield part, len(pieces(f"{tool.name} {tool.arguments}"))


def _object(arguments: str) -> object:
    try:
        return msgspec.json.decode(arguments)
    except msgspec.DecodeError:
        return {}


def _stream(reply: Reply, behaviour: Behaviour) -> Iterator[Event]:
    if behaviour.block:
        yield Event(_encode(_blocked(reply, behaviour)))
        return
    sent = 0
    for index, choice in enumerate(reply.choices):
        for part, tokens in _parts(choice, whole=False):
            sent += tokens
            so_far = Tokens(
                reply.tokens.input, sent + reply.tokens.reasoning, reply.tokens.cache_read, 0, reply.tokens.reasoning
            )
            yield Event(
                _encode({"candidates": [_candidate(index, [part])], **_tail(reply, behaviour, so_far)}), tokens=tokens
            )
    if behaviour.done == "missing":
        return
    last = [_candidate(index, [{"text": ""}], _finish(choice, behaviour)) for index, choice in enumerate(reply.choices)]
    yield Event(_encode({"candidates": last, **_tail(reply, behaviour, reply.tokens)}))


def _embeddings(ask: Ask, reply: Reply) -> bytes:
    values = [{"values": vector} for vector in reply.vectors]
    return _encode({"embeddings": values} if ask.plural else {"embedding": values[0]})
