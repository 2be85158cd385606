"""Write OpenAI stream chunks, for providers that speak otherwise and for answers that were buffered first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import msgspec

from modelux_providers.dialects import usage
from modelux_providers.dialects.base import Chunk
from modelux_providers.dialects.lenient import NULL, decode, given
from routing_core.types import Usage

Delta: TypeAlias = dict[str, object]

_encode = msgspec.json.Encoder().encode
_NOTHING: Mapping[str, object] = {}


class ChunkWriter:
    """Chunks of one answer: the same id, time and model on each, the role first and once, `usage: null` where usage
    is to come."""

    __slots__ = ("_head", "_roles", "_tail")

    def __init__(
        self, answer_id: str, created_s: int, model: str, wants_usage: bool, further: Mapping[str, object] = _NOTHING
    ) -> None:
        named = {"id": answer_id, "object": "chat.completion.chunk", "created": created_s, "model": model, **further}
        self._head = b"data: " + _encode(named)[:-1] + b',"choices":['
        self._tail = b'],"usage":null}\n\n' if wants_usage else b"]}\n\n"
        self._roles: set[int] = set()

    def delta(self, delta: Delta, *, index: int = 0, logprobs: object = None) -> list[Chunk]:
        """A chunk with output; before the first one of a choice, the chunk with its role."""
        return [*self.role(index), self._chunk(index, delta, logprobs, None, True)]

    def role(self, index: int = 0) -> list[Chunk]:
        """The chunk that opens a choice, unless it was written."""
        if index in self._roles:
            return []
        self._roles.add(index)
        return [self._chunk(index, {"role": "assistant", "content": ""}, None, None, False)]

    def finish(self, reason: str, *, index: int = 0) -> list[Chunk]:
        """The chunk that ends a choice."""
        return [*self.role(index), self._chunk(index, {}, None, reason, False)]

    def usage(self, counted: object) -> bytes:
        """The last chunk: no choice, only usage."""
        return self._head + b'],"usage":' + _encode(counted) + b"}\n\n"

    def _chunk(self, index: int, delta: Delta, logprobs: object, finish: str | None, has_content: bool) -> Chunk:
        choice = {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}
        return Chunk(self._head + _encode(choice) + self._tail, has_content)


def tool_start(place: int, call_id: str, name: str, **extra: object) -> Delta:
    """The first fragment of a tool call: the only one with id, type and name."""
    function = {"name": name, "arguments": ""}
    return {"tool_calls": [{"index": place, "id": call_id, "type": "function", "function": function} | extra]}


def tool_arguments(place: int, text: str) -> Delta:
    """A later fragment of a tool call."""
    return {"tool_calls": [{"index": place, "function": {"arguments": text}}]}


class _Choice(msgspec.Struct):
    index: int = 0
    message: dict[str, msgspec.Raw] = {}
    finish_reason: str | None = None
    logprobs: msgspec.Raw = NULL


class _Completion(msgspec.Struct):
    id: str = ""
    created: int = 0
    model: str = ""
    choices: list[_Choice] = []
    usage: msgspec.Raw = NULL
    system_fingerprint: msgspec.Raw = NULL
    service_tier: msgspec.Raw = NULL


def replay(body: bytes, counted: Usage | None, *, wants_usage: bool) -> list[bytes] | None:
    """A complete chat completion as the events of a stream, without [DONE]. None where `body` is no completion.

    `counted` stands in where the body itself reports no usage.
    """
    answer = decode(body, _Completion)
    if answer is None or not answer.choices:
        return None
    named = {"system_fingerprint": answer.system_fingerprint, "service_tier": answer.service_tier}
    further = {name: raw for name, raw in named.items() if given(raw)}
    writer = ChunkWriter(answer.id, answer.created, answer.model, wants_usage, further)
    out: list[Chunk] = []
    for choice in answer.choices:
        delta: Delta = {name: raw for name, raw in choice.message.items() if name != "role" and bytes(raw) != b"null"}
        if isinstance(calls := delta.get("tool_calls"), msgspec.Raw):
            delta["tool_calls"] = _with_index(calls)
        if delta:
            out += writer.delta(delta, index=choice.index, logprobs=choice.logprobs)
        out += writer.finish(choice.finish_reason or "stop", index=choice.index)
    events = [chunk.data for chunk in out]
    total = answer.usage if given(answer.usage) else usage.written(counted) if counted is not None else None
    if wants_usage and total is not None:
        events.append(writer.usage(total))
    return events


def _with_index(calls: msgspec.Raw) -> object:
    listed = decode(bytes(calls), list[dict[str, msgspec.Raw]])
    if listed is None:
        return calls
    return [{"index": msgspec.Raw(b"%d" % place)} | call for place, call in enumerate(listed)]
