"""Scan an OpenAI stream for usage, errors and its end, and pass the events on as they are."""

from __future__ import annotations

import msgspec

from modelux_providers.dialects import edit, fault, openai_error, usage
from modelux_providers.dialects.base import ChatCall, Chunk, Done, Failed, ProviderError, StreamEvent, UsageSeen
from modelux_providers.dialects.lenient import NULL, given, readable, strict
from modelux_providers.sse import Event, EventTooLarge, Scanner
from routing_core.types import Usage

_NULL_USAGE = b',"usage":null'
_DONE = Done()
_encode = msgspec.json.Encoder().encode


class _Delta(msgspec.Struct, gc=False):
    content: object = None
    tool_calls: object = None
    refusal: object = None
    reasoning_content: object = None
    reasoning: object = None
    reasoning_details: object = None
    function_call: object = None
    audio: object = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None
    finish_reason: object = None
    index: int | None = 0


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: msgspec.Raw = NULL
    error: msgspec.Raw = NULL


class _Plain(msgspec.Struct, gc=False):
    """By far the most chunks: neither usage nor error. Anything else does not decode as this."""

    choices: list[_Choice]
    usage: None = None
    error: None = None


class _Head(msgspec.Struct):
    id: msgspec.Raw = msgspec.Raw(b'""')
    created: msgspec.Raw = msgspec.Raw(b"0")
    model: msgspec.Raw = msgspec.Raw(b'""')


_decode = msgspec.json.Decoder(_Chunk).decode
_decode_plain = msgspec.json.Decoder(_Plain).decode


class OpenAIStream:
    """One stream. Events in canonical form pass as their own bytes; others are rewritten to `data: …`, comments are
    dropped.

    Usage that the caller did not ask for is taken out: the extra chunk, the `"usage": null` that asking for it
    adds, and the counts that
    some vendors put on other chunks. Usage that the caller asked for comes once, with `choices: []`, last.
    """

    __slots__ = ("_ended", "_finished", "_first", "_injected", "_scanner", "_seen", "_usage_chunk", "_wants_usage")

    def __init__(self, call: ChatCall) -> None:
        self._scanner = Scanner()
        self._wants_usage = call.wants_usage
        self._injected = call.vendor.supports_stream_options and not call.wants_usage
        self._usage_chunk = b""
        self._first = b""
        self._seen: set[int | None] = set()
        self._finished: set[int | None] = set()
        self._ended = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._ended:
            return []
        out: list[StreamEvent] = []
        if self._scanner.whole(data) and self._pass_plain(data[6:-2], data, out):
            return out
        try:
            events = self._scanner.feed(data)
        except EventTooLarge:
            self._fail(out, fault.invalid("The provider's stream holds an event of more than 10 MiB."))
            return out
        for event in events:
            if not (event.raw and self._pass_plain(event.data, event.raw, out)):
                self._read(event, out)
            if self._ended:
                break
        return out

    def eof(self) -> list[StreamEvent]:
        if self._ended:
            return []
        out: list[StreamEvent] = []
        rest = self._scanner.eof()
        if rest is not None and (rest.data.strip() == b"[DONE]" or strict(rest.data)):
            self._read(rest, out)
        if self._ended:
            return out
        if self._seen and self._seen <= self._finished:
            self._finish(out)
        else:
            self._fail(out, fault.cut())
        return out

    def usage_chunk(self, usage_: Usage) -> bytes:
        return self._with_usage(_encode(usage.written(usage_)))

    def _pass_plain(self, data: bytes, raw: bytes, out: list[StreamEvent]) -> bool:
        """Passes a chunk without usage or error. False: it is something else."""
        try:
            chunk = _decode_plain(data)
        except (msgspec.DecodeError, RecursionError):
            return False
        if not self._first:
            self._first = data
        has_content = self._note(chunk.choices)
        if self._injected:
            raw = raw.replace(_NULL_USAGE, b"", 1)
        out.append(Chunk(raw, has_content))
        return True

    def _note(self, choices: list[_Choice]) -> bool:
        """Keeps track of which choices have begun and finished. True where there is output."""
        has_content = False
        for choice in choices:
            self._seen.add(choice.index)
            if choice.finish_reason is not None:
                self._finished.add(choice.index)
            delta = choice.delta
            if delta is not None and (delta.content or _other_output(delta)):
                has_content = True
        return has_content

    def _read(self, event: Event, out: list[StreamEvent]) -> None:
        data = event.data
        if data[:1] == b"[" and data.strip() == b"[DONE]":
            self._finish(out)
            return
        chunk = _parsed(data)
        if isinstance(chunk, ProviderError):
            self._fail(out, chunk)
            return
        if chunk is None:
            data = readable(data) or b""
            chunk = _parsed(data)
            if chunk is None or isinstance(chunk, ProviderError):
                self._fail(out, fault.invalid("The provider's stream holds an event that is not JSON."))
                return
            event = event if strict(event.data) else Event(data)
        if event.name == b"error" or given(chunk.error):
            self._fail(out, openai_error.embedded(chunk.error if given(chunk.error) else event.data))
            return
        self._pass(chunk, event, out)

    def _pass(self, chunk: _Chunk, event: Event, out: list[StreamEvent]) -> None:
        if not self._first:
            self._first = event.data
        has_content = self._note(chunk.choices or [])
        if not given(chunk.usage):
            data = event.raw or _canonical(event.data)
            if self._injected:
                data = data.replace(_NULL_USAGE, b"", 1)
            out.append(Chunk(data, has_content))
            return
        self._take_usage(chunk, chunk.usage, event, out)
        if chunk.choices:
            out.append(Chunk(_canonical(self._without_usage(event.data)), has_content))

    def _take_usage(self, chunk: _Chunk, raw: msgspec.Raw, event: Event, out: list[StreamEvent]) -> None:
        counted = usage.read(raw)
        if counted is not None:
            out.append(UsageSeen(counted))
        if self._wants_usage and counted is not None:
            self._usage_chunk = self._with_usage(bytes(raw)) if chunk.choices else event.raw or _canonical(event.data)

    def _without_usage(self, data: bytes) -> bytes:
        if not self._wants_usage:
            return edit.without(data, "usage")
        return edit.apply(data, [(value, end, b"null") for key, _, value, end in edit.members(data) if key == "usage"])

    def _with_usage(self, counted: bytes) -> bytes:
        try:
            head = msgspec.json.decode(self._first, type=_Head) if self._first else _Head()
        except msgspec.DecodeError:
            head = _Head()
        parts = (
            bytes(head.id),
            b',"object":"chat.completion.chunk","created":',
            bytes(head.created),
            b',"model":',
            bytes(head.model),
        )
        return b'data: {"id":' + b"".join(parts) + b',"choices":[],"usage":' + counted + b"}\n\n"

    def _finish(self, out: list[StreamEvent]) -> None:
        if self._usage_chunk:
            out.append(Chunk(self._usage_chunk, False))
        out.append(_DONE)
        self._ended = True

    def _fail(self, out: list[StreamEvent], error: ProviderError) -> None:
        out.append(Failed(error))
        self._ended = True


def _parsed(data: bytes) -> _Chunk | ProviderError | None:
    """The chunk; an error where the JSON is of no chunk's shape; None where it is not JSON that every reader takes."""
    try:
        return _decode(data)
    except msgspec.ValidationError:
        return fault.invalid("The provider's stream holds an event that is no chat completion chunk.")
    except (msgspec.DecodeError, RecursionError):
        return None


def _other_output(delta: _Delta) -> bool:
    return bool(
        delta.tool_calls
        or delta.reasoning_content
        or delta.reasoning
        or delta.refusal
        or delta.reasoning_details
        or delta.function_call
        or delta.audio
    )


def _canonical(data: bytes) -> bytes:
    return b"data: " + data.replace(b"\n", b" ") + b"\n\n"  # A newline between JSON tokens is white space.
