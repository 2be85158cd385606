"""Anthropic's stream grammar (message_start … message_stop) as OpenAI chunks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from modelux_providers.dialects import anthropic_error, chunks, fault, usage
from modelux_providers.dialects.anthropic_answer import Block, Counts, Message, finish_reason
from modelux_providers.dialects.base import ChatCall, Chunk, Done, Failed, ProviderError, StreamEvent, UsageSeen
from modelux_providers.dialects.lenient import decode, strict
from modelux_providers.sse import Event, EventTooLarge, Scanner
from routing_core.types import Usage


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    thinking: str = ""
    signature: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    type: str = ""
    index: int = 0
    message: Message | None = None
    content_block: Block | None = None
    delta: _Delta | None = None
    usage: Counts | None = None


class _Open(msgspec.Struct):
    """A content block under way. `place` is a tool call's index; -1 for a tool that stands for the answer's text."""

    kind: str
    place: int = -1
    thinking: str = ""
    signature: str = ""
    has_arguments: bool = False


class AnthropicStream:
    """One stream. `forced_tool` names the tool whose input is the answer."""

    def __init__(self, call: ChatCall, forced_tool: str | None) -> None:
        self._call = call
        self._forced_tool = forced_tool
        self._scanner = Scanner()
        self._writer = chunks.ChunkWriter(call.request_id, call.created_s, call.model, call.wants_usage)
        self._counts = Counts()
        self._usage: Usage | None = None
        self._open: dict[int, _Open] = {}
        self._calls = 0
        self._thoughts = 0
        self._stop_reason: str | None = None
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._ended:
            return []
        try:
            return self._fold(self._scanner.feed(data))
        except EventTooLarge:
            return self._fail(fault.invalid("The provider's stream holds an event of more than 10 MiB."))

    def eof(self) -> list[StreamEvent]:
        if self._ended:
            return []
        rest = self._scanner.eof()
        out = self._fold([rest] if rest is not None and strict(rest.data) else ())
        if self._ended:
            return out
        return out + (self._finish() if self._stop_reason is not None else self._fail(fault.cut()))

    def usage_chunk(self, usage_: Usage) -> bytes:
        return self._writer.usage(usage.written(usage_))

    def _fold(self, events: Iterable[Event]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for event in events:
            read = decode(event.data, _Event)
            if read is None:
                out += self._fail(fault.invalid("The provider's stream holds an event that cannot be read."))
            else:
                out += self._read(read, event)
            if self._ended:
                break
        return out

    def _read(self, event: _Event, source: Event) -> list[StreamEvent]:
        match event.type or source.name.decode("latin-1"):
            case "message_start" if event.message is not None:
                return self._start(event.message)
            case "content_block_start" if event.content_block is not None:
                return [*self._block(event.index, event.content_block)]
            case "content_block_delta" if event.delta is not None:
                return self._delta(event.index, event.delta)
            case "content_block_stop":
                return [*self._close(event.index)]
            case "message_delta":
                if event.delta is not None and event.delta.stop_reason is not None:
                    self._stop_reason = event.delta.stop_reason
                return self._count(event.usage)
            case "message_stop":
                return self._finish()
            case "error":
                return self._fail(anthropic_error.embedded(source.data))
            case _:
                return []  # `ping`, and what Anthropic may add: its terms say to ignore unknown events.

    def _start(self, message: Message) -> list[StreamEvent]:
        answer_id, model = message.id or self._call.request_id, message.model or self._call.model
        self._writer = chunks.ChunkWriter(answer_id, self._call.created_s, model, self._call.wants_usage)
        return [*self._writer.role(), *self._count(message.usage)]

    def _count(self, counts: Counts | None) -> list[StreamEvent]:
        if counts is None:
            return []
        self._counts = self._counts.updated(counts)
        counted = self._counts.usage()
        if counted is None:
            return []
        self._usage = counted
        return [UsageSeen(counted)]

    def _block(self, index: int, block: Block) -> list[Chunk]:
        opened = self._open[index] = _Open(block.type)
        match block.type:
            case "tool_use" if block.name != self._forced_tool:
                opened.place = self._calls
                self._calls += 1
                return self._writer.delta(chunks.tool_start(opened.place, block.id, block.name))
            case "redacted_thinking":
                return self._thought({"type": "redacted_thinking", "data": block.data})
            case "thinking":
                opened.signature = block.signature
                return self._reason(opened, block.thinking)
            case "text" if block.text:
                return self._writer.delta({"content": block.text})
            case _:
                return []

    def _delta(self, index: int, delta: _Delta) -> list[StreamEvent]:
        opened = self._open.get(index)
        if opened is None:
            return self._fail(fault.invalid("The provider's stream continues a content block that it did not start."))
        match delta.type:
            case "text_delta" if delta.text:
                return [*self._writer.delta({"content": delta.text})]
            case "input_json_delta" if delta.partial_json and opened.kind == "tool_use":
                opened.has_arguments = True
                if opened.place < 0:
                    return [*self._writer.delta({"content": delta.partial_json})]
                return [*self._writer.delta(chunks.tool_arguments(opened.place, delta.partial_json))]
            case "thinking_delta":
                return [*self._reason(opened, delta.thinking)]
            case "signature_delta":
                opened.signature += delta.signature
                return []
            case _:
                return []

    def _reason(self, opened: _Open, text: str) -> list[Chunk]:
        opened.thinking += text
        return self._writer.delta({"reasoning_content": text}) if text else []

    def _close(self, index: int) -> list[Chunk]:
        closed = self._open.pop(index, None)
        if closed is None:
            return []
        if closed.place >= 0 and not closed.has_arguments:
            return self._writer.delta(chunks.tool_arguments(closed.place, "{}"))  # As the whole message has it.
        if closed.kind != "thinking" or not closed.signature:
            return []
        return self._thought({"type": "thinking", "thinking": closed.thinking, "signature": closed.signature})

    def _thought(self, block: dict[str, object]) -> list[Chunk]:
        block = {"index": self._thoughts} | block  # The OpenAI SDK folds lists in deltas by index.
        self._thoughts += 1
        return self._writer.delta({"thinking_blocks": [block]})

    def _finish(self) -> list[StreamEvent]:
        self._ended = True
        out: list[StreamEvent] = [*self._writer.finish(finish_reason(self._stop_reason, self._calls))]
        if self._call.wants_usage and self._usage is not None:
            out.append(Chunk(self.usage_chunk(self._usage), False))
        return [*out, Done()]

    def _fail(self, error: ProviderError) -> list[StreamEvent]:
        self._ended = True
        return [Failed(error)]
