"""Gemini's stream (each event a partial answer, the end is the end of the body) as OpenAI chunks."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from modelux_providers.dialects import chunks, completion, fault, google_error, usage
from modelux_providers.dialects.base import ChatCall, Chunk, Done, Failed, ProviderError, StreamEvent, UsageSeen
from modelux_providers.dialects.google_answer import (
    Candidate,
    Part,
    Response,
    broken,
    finish_reason,
    logprobs,
    tool_call,
)
from modelux_providers.dialects.lenient import decode, given, strict
from modelux_providers.sse import Event, EventTooLarge, Scanner
from routing_core.types import Usage


class _Progress(msgspec.Struct):
    """How far one candidate has come."""

    calls: int = 0
    finish: str | None = None


class GoogleStream:
    """One stream. Finish reasons are held back to the end, since Gemini may send content after the first one, or one
    on every event.
    """

    def __init__(self, call: ChatCall) -> None:
        self._call = call
        self._scanner = Scanner()
        self._answer_id = ""
        self._writer = chunks.ChunkWriter(call.request_id, call.created_s, call.model, call.wants_usage)
        self._usage: Usage | None = None
        self._candidates: dict[int, _Progress] = {}
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
        done = bool(self._candidates) and all(each.finish is not None for each in self._candidates.values())
        return out + (self._finish() if done else self._fail(fault.cut()))

    def usage_chunk(self, usage_: Usage) -> bytes:
        return self._writer.usage(usage.written(usage_))

    def _fold(self, events: Iterable[Event]) -> list[StreamEvent]:
        out: list[StreamEvent] = []
        for event in events:
            out += self._read(event)
            if self._ended:
                break
        return out

    def _read(self, event: Event) -> list[StreamEvent]:
        response = decode(event.data, Response)
        if response is None:
            return self._fail(fault.invalid("The provider's stream holds an event that cannot be read."))
        if given(response.error):
            return self._fail(google_error.embedded(event.data))
        if not self._answer_id:
            self._name(response)
        out: list[StreamEvent] = []
        if response.blocked and not response.candidates:
            self._candidates.setdefault(0, _Progress()).finish = "PROHIBITED_CONTENT"
        for candidate in response.candidates:
            error = broken(candidate.finish_reason)
            if error is not None:
                return out + self._fail(error)
            out += self._candidate(candidate)
        counted = response.usage_metadata.usage() if response.usage_metadata is not None else None
        if counted is not None:
            self._usage = counted
            out.append(UsageSeen(counted))
        return out

    def _name(self, response: Response) -> None:
        self._answer_id = response.response_id or self._call.request_id
        model = response.model_version or self._call.model
        self._writer = chunks.ChunkWriter(self._answer_id, self._call.created_s, model, self._call.wants_usage)

    def _candidate(self, candidate: Candidate) -> list[Chunk]:
        progress = self._candidates.setdefault(candidate.index, _Progress())
        out = self._writer.role(candidate.index)
        sure = logprobs(candidate.logprobs_result)
        for part in candidate.content.parts if candidate.content else ():
            for delta in self._deltas(part, candidate.index, progress):
                out += self._writer.delta(delta, index=candidate.index, logprobs=sure)
                sure = None
        if candidate.finish_reason is not None:
            progress.finish = candidate.finish_reason
        return out

    def _deltas(self, part: Part, index: int, progress: _Progress) -> list[chunks.Delta]:
        if part.function_call is not None:
            place = progress.calls
            progress.calls += 1
            call = tool_call(part, part.function_call, self._answer_id, index, place)
            start = chunks.tool_start(place, call.id, call.name, **completion.signed(call.signature))
            return [start, chunks.tool_arguments(place, call.arguments)]
        if part.thought:
            return [{"reasoning_content": part.text}] if part.text else []
        delta: chunks.Delta = {"content": part.text} if part.text else {}
        delta |= completion.signed(part.thought_signature)
        return [delta] if delta else []

    def _finish(self) -> list[StreamEvent]:
        self._ended = True
        out: list[StreamEvent] = []
        for index, progress in sorted(self._candidates.items()):
            out += self._writer.finish(finish_reason(progress.finish or "STOP", progress.calls), index=index)
        if self._call.wants_usage and self._usage is not None:
            out.append(Chunk(self.usage_chunk(self._usage), False))
        return [*out, Done()]

    def _fail(self, error: ProviderError) -> list[StreamEvent]:
        self._ended = True
        return [Failed(error)]
