"""Tell an answer as one text, which another can be compared with."""

from __future__ import annotations

import json

import msgspec

from modelux_providers.dialects.collect import collect

LONGEST = 100_000
"""Characters; what goes beyond is left out."""


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | None = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Part(msgspec.Struct):
    text: str | None = None


class _Message(msgspec.Struct):
    content: str | list[_Part] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct):
    message: _Message | None = None
    finish_reason: str | None = None


class _Completion(msgspec.Struct):
    choices: list[_Choice] = []


_decode = msgspec.json.Decoder(_Completion).decode


def text_of(body: bytes) -> str:
    """What the first choice of a chat completion says, whole or as the events of a stream; then the tools it calls, as
    JSON that is the same for equal calls. Empty where the body is none.
    """
    first = _first(body)
    message = first.message if first is not None else None
    if message is None:
        return ""
    content = message.content
    said = content if isinstance(content, str) else "".join(part.text or "" for part in content or ())
    calls = [call.function for call in message.tool_calls or () if call.function is not None]
    if message.function_call is not None:
        calls.append(message.function_call)
    called = _canonical([{"name": each.name, "arguments": _arguments(each)} for each in calls]) if calls else ""
    return "\n".join(part for part in (said or message.refusal or "", called) if part)[:LONGEST]


def cut_at_limit(body: bytes) -> bool:
    """Whether the first choice ended at its limit of tokens."""
    first = _first(body)
    return first is not None and first.finish_reason == "length"


def _first(body: bytes) -> _Choice | None:
    if body.startswith(b"data:"):
        body = collect(event for event in body.split(b"\n\n") if event.startswith(b"data: {"))
    try:
        completion = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    return completion.choices[0] if completion.choices else None


def _arguments(function: _Function) -> object:
    """Read, so that white space and the order of members do not tell; as they stand where they are no JSON."""
    try:
        return json.loads(function.arguments or "{}")
    except (ValueError, RecursionError):
        return function.arguments


def _canonical(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
