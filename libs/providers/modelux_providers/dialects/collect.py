"""Fold the chunks of a stream back into the chat completion that they spell out, for logs and weighing."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from modelux_providers.dialects.lenient import NULL, decode, given

Json: TypeAlias = dict[str, object]

_APPENDED = frozenset({"content", "refusal", "reasoning_content", "reasoning", "arguments"})
_encode = msgspec.json.Encoder().encode


class _Choice(msgspec.Struct):
    index: int = 0
    delta: Json | None = None
    finish_reason: str | None = None
    logprobs: Json | None = None


class _Chunk(msgspec.Struct):
    id: str = ""
    created: object = 0
    model: str = ""
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL


class _Folded(msgspec.Struct):
    message: Json = {}
    finish_reason: str | None = None
    logprobs: Json | None = None


def collect(events: Iterable[bytes]) -> bytes:
    """The completion in a stream's events (`data: …` each, as `Chunk.data`). What cannot be read is left out; a
    stream that broke off
    gives an answer without `finish_reason`."""
    head, usage = _Chunk(), NULL
    choices: dict[int, _Folded] = {}
    for event in events:
        chunk = decode(event.removeprefix(b"data: "), _Chunk)
        if chunk is None:
            continue
        head = head if head.id else chunk
        usage = chunk.usage if given(chunk.usage) else usage
        for choice in chunk.choices or ():
            _fold(choices.setdefault(choice.index, _Folded()), choice)
    written = [
        {"index": index, "message": each.message, "logprobs": each.logprobs, "finish_reason": each.finish_reason}
        for index, each in sorted(choices.items())
    ]
    body: Json = {"id": head.id, "object": "chat.completion", "created": head.created, "model": head.model}
    return _encode(body | {"choices": written} | ({"usage": usage} if given(usage) else {}))


def _fold(into: _Folded, choice: _Choice) -> None:
    if choice.delta:
        _merge(into.message, choice.delta)
    into.finish_reason = choice.finish_reason or into.finish_reason
    if choice.logprobs:
        into.logprobs = into.logprobs or {}
        for name, tokens in choice.logprobs.items():
            before = into.logprobs.get(name)
            into.logprobs[name] = before + tokens if isinstance(before, list) and isinstance(tokens, list) else tokens


def _merge(into: Json, delta: Json) -> None:
    for name, value in delta.items():
        before = into.get(name)
        if value is None:
            into.setdefault(name, None)
        elif name in _APPENDED and isinstance(before, str) and isinstance(value, str):
            into[name] = before + value
        elif isinstance(value, list):
            into[name] = _merged(before if isinstance(before, list) else [], value)
        elif isinstance(before, dict) and isinstance(value, dict):
            _merge(before, value)
        else:
            into[name] = value


def _merged(before: list[object], fragments: list[object]) -> list[object]:
    """Fragments with an `index` continue the element of that index, wherever it stands; others are elements of their
    own.
    """
    out = list(before)
    for fragment in fragments:
        index = fragment.get("index") if isinstance(fragment, dict) else None
        known = next(
            (each for each in out if index is not None and isinstance(each, dict) and each.get("index") == index), None
        )
        if isinstance(known, dict) and isinstance(fragment, dict):
            _merge(known, fragment)
        else:
            out.append(fragment)
    return out
