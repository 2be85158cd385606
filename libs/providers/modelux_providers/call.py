"""Make one call to one provider and tell how it went: the wire in, an `Outcome` and an answer out.

A call ends exactly once, by itself or by `give_up`; from then on `final()` does not change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from time import perf_counter_ns

from modelux_providers.charge import Charge, Watch
from modelux_providers.classify import classify, told
from modelux_providers.client import CallFailed, Client, Deadlines, Response
from modelux_providers.client_errors import Cut
from modelux_providers.dialects.base import (
    Call,
    ChatCall,
    Chunk,
    Complete,
    Done,
    Failed,
    ProviderError,
    StreamEvent,
    StreamParser,
    UsageSeen,
)
from modelux_providers.route import Route, Terms
from modelux_providers.utf8 import Utf8, mended
from routing_core.flow import Until
from routing_core.pricing import Price, cost, output_cost
from routing_core.types import Outcome, OutcomeKind, Target, Usage

_NOTHING = Usage()
_ERROR_LIMIT = 1024 * 1024
_STARTUP_EVENTS = 64
"""Events held back while waiting for the first content; past it the stream is handed on as it is."""


class ProviderCall:
    """One attempt. `run` it; for a stream then take `startup` and `more()` until it returns nothing."""

    __slots__ = (
        "_client",
        "_code",
        "_content_chunks",
        "_ended_ns",
        "_first_ns",
        "_kind",
        "_outcome",
        "_overran",
        "_parser",
        "_response",
        "_status",
        "_stream",
        "_terms",
        "_text",
        "_until",
        "_usage",
        "_watch",
        "answer",
        "call",
        "charge",
        "dropped",
        "emulated",
        "error",
        "headers",
        "number",
        "on_end",
        "provider_request_id",
        "reason",
        "route",
        "sent",
        "started_ns",
        "startup",
        "target",
    )

    def __init__(
        self,
        client: Client,
        route: Route,
        target: Target,
        call: Call,
        terms: Terms,
        *,
        until: Until,
        number: int = 1,
        reason: str = "",
    ) -> None:
        self.route = route
        self.target = target
        self.call = call
        self.number = number
        self.reason = reason
        self.on_end: Callable[[Outcome], None] | None = None
        """Told once, when the call has ended."""
        self.charge: Charge | None = None
        """None: no budget applies."""
        self.answer: Complete | None = None
        self.error: ProviderError | None = None
        self.headers: Mapping[bytes, bytes] = {}
        """Of the provider's answer; names in lower case."""
        self.startup: list[StreamEvent] = []
        self.dropped: tuple[str, ...] = ()
        self.emulated: tuple[str, ...] = ()
        self.provider_request_id = ""
        self.started_ns = perf_counter_ns()
        self.sent = False
        """Whether bytes may have left."""
        self._client = client
        self._terms = terms
        self._until = until
        self._stream = type(call) is ChatCall and call.stream
        self._response: Response | None = None
        self._parser: StreamParser | None = None
        self._kind: OutcomeKind | None = None
        self._code: str | None = None
        self._status: int | None = None
        self._usage: Usage | None = None
        self._text = Utf8()
        self._first_ns = 0
        self._ended_ns = 0
        self._content_chunks = 0
        self._outcome: Outcome | None = None
        self._overran = False
        self._watch: Watch | None = None

    @property
    def price(self) -> Price | None:
        """At which it is charged; None where none is known."""
        return self._terms.price

    @property
    def streaming(self) -> bool:
        """True where the answer is a live stream (`startup`, `more`); else it is whole (`answer`)."""
        return self._parser is not None

    @property
    def accepted(self) -> bool:
        """True once the provider answered 200."""
        return self._status == 200

    @property
    def ended(self) -> bool:
        return self._kind is not None

    @property
    def counted(self) -> bool:
        """True once the provider told a usage that can be believed."""
        return self._usage is not None

    def refuse(self, code: str) -> None:
        """Ends the call before it is made: nothing is sent."""
        self.error = ProviderError(503, "the provider is not being called for the moment", "api_error", code)
        self._end("connect", code)

    async def run(self) -> Outcome:
        """See `drive.Trial`."""
        if self.ended:
            return self.final()
        try:
            if self.charge is None or self.charge.secured or await self._secure(self.charge):
                await self._run()
        except CallFailed as failure:
            self._fail(failure)
        if self._kind is None:  # a stream that has begun
            return self._head_outcome()
        outcome = self.final()
        if self._until == "body" and self.answer is not None and outcome.kind == "ok":
            return _with_answer(outcome, self.answer)
        return outcome

    async def more(self) -> list[StreamEvent]:
        """The next events of a live stream; empty once it has ended (see `error`)."""
        while self._kind is None and self._response is not None and self._parser is not None:
            try:
                data = self._text.checked(await self._response.chunk())
            except CallFailed as failure:
                return [self._fail(failure)]
            events = self._parser.feed(data) if data else self._parser.eof()
            if events:
                self._note(events)
                return events
        return []

    def give_up(self, kind: OutcomeKind, code: str) -> Outcome:
        """See `drive.Trial`."""
        if self._kind is None:
            self._end(kind, code)
        return self.final()

    def final(self) -> Outcome:
        """How it went so far; at the end of the call, for good."""
        if self._outcome is not None:
            return self._outcome
        ended = self._ended_ns or perf_counter_ns()
        usage = self._spent()
        price = self._terms.price if usage is not _NOTHING else None  # what no provider took costs no fee either
        outcome = Outcome(
            self.target,
            self._kind or "ok",
            self._status,
            _ms(ended - self.started_ns),
            _ms(self._first_ns - self.started_ns) if self._first_ns else None,
            usage,
            cost(price, usage) if price is not None else 0,
            self._code,
            None,
            self.error.retry_after_ms if self.error is not None else None,
            output_cost(price, usage) if price is not None else 0,
        )
        if self._kind is not None:
            self._outcome = outcome
        return outcome

    def usage_chunk(self) -> bytes:
        """The closing usage event, for a caller that asked where the provider sent none."""
        assert self._parser is not None
        return self._parser.usage_chunk(self._spent())

    async def _secure(self, charge: Charge) -> bool:
        """Whether the call may be made; else it has ended."""
        limit = charge.limit
        self.error = await charge.secure()
        if self.error is not None:
            self._end(self.error.kind, self.error.code)
            return False
        if charge.limit != limit and isinstance(self.call, ChatCall):
            self.call = replace(self.call, max_tokens=charge.limit)
        self.started_ns = perf_counter_ns()
        return True

    async def _run(self) -> None:
        route, terms = self.route, self._terms
        wire = route.dialect.request(self.call)
        if isinstance(wire, ProviderError):
            self._reject(wire)
            return
        self.dropped, self.emulated = wire.dropped, wire.emulated
        deadlines = terms.deadlines
        total_s = terms.timeout_s
        if total_s is not None:
            connect_s = total_s if total_s < deadlines.connect_s else deadlines.connect_s
            deadlines = Deadlines(connect_s, deadlines.first_byte_s, deadlines.idle_s, total_s)
        if self.charge is not None:
            self.charge.dispatch()
        self.sent = True
        head = route.head(wire.path, (*wire.headers, *terms.headers) if terms.headers else wire.headers)
        response = self._response = await self._client.post(route.origin, head, wire.body, deadlines)
        self._status = status = response.status
        self.headers = response.headers
        self.provider_request_id = _request_id(response.headers)
        if status != 200:
            body = mended(await response.read(_ERROR_LIMIT))
            self._reject(route.dialect.error(status, response.headers, body))
        elif self._stream and response.headers.get(b"content-type", b"").startswith(b"text/event-stream"):
            await self._begin_stream(response)
        else:
            self._complete(self._text.checked(await response.read(), last=True))

    def _complete(self, body: bytes) -> None:
        answer = self.route.dialect.response(self.call, body)
        if isinstance(answer, ProviderError):
            self._reject(answer)
            return
        self.answer = answer
        self._usage = answer.usage
        self._end("ok", None)

    async def _begin_stream(self, response: Response) -> None:
        """Reads up to the first content, so that another provider can still take over when there is none."""
        assert isinstance(self.call, ChatCall)
        parser = self._parser = self.route.dialect.stream(self.call)
        if self.charge is not None and self.charge.most_output:
            self._watch = Watch(self.charge.most_output)
        while not self._first_ns and len(self.startup) < _STARTUP_EVENTS:
            data = self._text.checked(await response.chunk())
            events = parser.feed(data) if data else parser.eof()
            self._note(events)
            self.startup += events
            if self._kind is not None:
                return
            if not data:
                raise Cut("the stream ended without an end")
        if self._terms.timeout_s is not None:
            response.total(self._terms.deadlines.total_s, self._terms.deadlines.idle_s)

    def _note(self, events: list[StreamEvent]) -> None:
        for place, event in enumerate(events):
            if type(event) is Chunk:
                if event.has_content:
                    self._content_chunks += 1
                    if not self._first_ns:
                        self._first_ns = perf_counter_ns()
            elif type(event) is UsageSeen:
                self._usage = event.usage
            elif type(event) is Done:
                self._end("ok", None)
            elif type(event) is Failed:
                self._reject(event.error)
                events[place] = Failed(self.error or event.error)
        watch = self._watch
        if watch is not None and self._kind is None and watch.beyond(events, self._usage):
            events.append(self._cut_off(watch.most))

    def _cut_off(self, most: int) -> Failed:
        """The provider ignores the limit that it was given."""
        message = f"the provider went on beyond its limit of {most} output tokens and was cut off"
        self.error = ProviderError(502, message, "api_error", "output_limit_ignored", kind="cut")
        self._overran = True
        self._end("cut", self.error.code)
        return Failed(self.error)

    def _reject(self, error: ProviderError) -> None:
        """The provider's own failure, or an answer that is none."""
        self.error = error = self.route.shown(error)
        if not self._status or (error.kind == "status" and self._status == 200):  # an error inside a 200
            self._status = error.status
        if error.kind == "status" and not self._first_ns:
            self._usage = _NOTHING
        self._end(error.kind, error.code or ("upstream_invalid" if error.kind == "invalid" else None))

    def _fail(self, failure: CallFailed) -> Failed:
        kind, code = classify(failure)
        if kind == "connect":
            self.sent = False
        self.error = told(failure)
        if self._kind is None:
            self._end(kind, code)
        return Failed(self.error)

    def _end(self, kind: OutcomeKind, code: str | None) -> None:
        self._kind = kind
        self._code = code
        self._ended_ns = perf_counter_ns()
        if self._response is not None:
            if kind == "ok":
                self._response.release()
            else:
                self._response.abort()
        if self.charge is not None:
            usage = self._usage
            told = usage is not None and not usage.estimated
            streamed = self._parser is not None
            self.charge.end(self.final(), told=told, sent=self.sent, streamed=streamed, overrun=self._overran)
        on_end, self.on_end = self.on_end, None  # a call that has ended holds on to nobody
        if on_end is not None:
            on_end(self.final())

    def _spent(self) -> Usage:
        """What the provider said; of a stream that broke off, at least what came since it last said something."""
        told = self._usage
        if told is None:
            return self._estimate()
        if self._kind in (None, "ok") or not self._first_ns:
            return told
        output = max(told.output, self._content_chunks)
        return Usage(told.input, output, told.cache_read, told.cache_write, told.reasoning, estimated=True)

    def _estimate(self) -> Usage:
        """What the provider will have counted, where it did not say: nothing unless the request reached it."""
        if not self.sent:
            return _NOTHING
        output = self._content_chunks
        if self.answer is not None and type(self.call) is ChatCall:
            output = len(self.answer.answer.text) // 4 + 1
        return Usage(self._terms.input_tokens, output, estimated=True)

    def _head_outcome(self) -> Outcome:
        now = perf_counter_ns()
        elapsed_ms = _ms(now - self.started_ns)
        return Outcome(self.target, "ok", self._status, elapsed_ms, elapsed_ms)


def _with_answer(outcome: Outcome, answer: Complete) -> Outcome:
    return Outcome(
        outcome.target,
        outcome.kind,
        outcome.status,
        outcome.latency_ms,
        outcome.ttft_ms,
        outcome.usage,
        outcome.cost_nano,
        outcome.error_code,
        answer.answer,
        outcome.retry_after_ms,
        outcome.output_cost_nano,
    )


def _ms(nanoseconds: int) -> float:
    """To whole microseconds."""
    return (nanoseconds + 500) // 1000 / 1000


def _request_id(headers: dict[bytes, bytes]) -> str:
    value = headers.get(b"x-request-id") or headers.get(b"request-id") or b""
    return value[:200].decode("latin-1")
