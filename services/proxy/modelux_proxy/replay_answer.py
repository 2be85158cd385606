"""Turn a whole chat completion into the events of a stream, for callers that asked for one where the policy had to
see the whole.
"""

from __future__ import annotations

import msgspec

from modelux_providers.dialects import usage
from routing_core.types import Usage

_encode = msgspec.json.Encoder().encode


_ABSENT = msgspec.Raw(b"")


class _Message(msgspec.Struct):
    role: str = "assistant"
    content: str | None = None
    refusal: msgspec.Raw = _ABSENT
    tool_calls: list[dict[str, msgspec.Raw]] | None = None
    function_call: msgspec.Raw = _ABSENT
    reasoning_content: msgspec.Raw = _ABSENT
    reasoning: msgspec.Raw = _ABSENT
    reasoning_details: msgspec.Raw = _ABSENT
    annotations: msgspec.Raw = _ABSENT


class _Choice(msgspec.Struct):
    index: int = 0
    message: _Message = msgspec.field(default_factory=_Message)
    finish_reason: str | None = "stop"
    logprobs: msgspec.Raw = _ABSENT


class _Completion(msgspec.Struct):
    id: str = ""
    created: int = 0
    model: str = ""
    choices: list[_Choice] = []
    usage: msgspec.Raw = _ABSENT
    system_fingerprint: str | None = None
    service_tier: str | None = None


_decode = msgspec.json.Decoder(_Completion).decode


def events(body: bytes, wants_usage: bool, counted: Usage) -> bytes:
    """The answer as SSE events up to, not including, [DONE]:
    a chunk with the role, one with the content, one with the finish reason.

    `counted` stands in where the answer itself reports no usage.
    """
    completion = _decode(body)
    head: dict[str, object] = {
        "id": completion.id,
        "object": "chat.completion.chunk",
        "created": completion.created,
        "model": completion.model,
    }
    for name in ("system_fingerprint", "service_tier"):
        if (value := getattr(completion, name)) is not None:
            head[name] = value
    empty: dict[str, object] = {"usage": None} if wants_usage else {}
    out = []
    for choice in completion.choices:
        for delta, logprobs, finish in _deltas(choice):
            entry: dict[str, object] = {"index": choice.index, "delta": delta}
            if _given(logprobs):
                entry["logprobs"] = logprobs
            entry["finish_reason"] = finish
            out.append(_event(head | {"choices": [entry]} | empty))
    if wants_usage:
        total = completion.usage if _given(completion.usage) else usage.written(counted)
        out.append(_event(head | {"choices": [], "usage": total}))
    return b"".join(out)


def _deltas(choice: _Choice) -> list[tuple[dict[str, object], msgspec.Raw, str | None]]:
    message = choice.message
    first: dict[str, object] = {"role": message.role, "content": ""}
    content: dict[str, object] = {}
    if message.content is not None:
        content["content"] = message.content
    for name in ("refusal", "function_call", "reasoning_content", "reasoning", "reasoning_details", "annotations"):
        if _given(value := getattr(message, name)):
            content[name] = value
    if message.tool_calls:
        content["tool_calls"] = [{"index": index, **call} for index, call in enumerate(message.tool_calls)]
    return [
        (first, _ABSENT, None),
        (content, choice.logprobs, None),
        ({}, _ABSENT, choice.finish_reason or "stop"),
    ]


def _given(raw: msgspec.Raw) -> bool:
    return bytes(raw) not in (b"", b"null")


def _event(chunk: dict[str, object]) -> bytes:
    return b"data: " + _encode(chunk) + b"\n\n"
