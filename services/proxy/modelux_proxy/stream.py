"""Hand a live stream to the caller, event by event, and say plainly how it ended."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from modelux_calling.openai_shapes import ChatBody
from modelux_providers.call import ProviderCall
from modelux_providers.dialects.base import Chunk, Done, Failed, ProviderError, StreamEvent
from modelux_proxy import answers
from modelux_proxy.call_context import Context

DONE = b"data: [DONE]\n\n"
_COMMENT = b": keep-alive\n\n"
KEPT_BYTES = 256 * 1024
"""Of a stream's text, for logs and repeated requests; past it nothing is kept."""


class Relay:
    """One caller's stream.

    Begins with the first event; comments keep it alive while a provider that answered is silent.
    """

    def __init__(self, context: Context, every_s: float) -> None:
        self._context = context
        self._exchange = context.exchange
        self._every_s = every_s
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._last = self._loop.time()
        self._kept: list[bytes] | None = []
        self._size = 0
        self.failed: Failed | None = None

    def watch(self) -> None:
        """Starts the keep-alive clock."""
        self._timer = self._loop.call_later(self._every_s, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def run(self, call: ProviderCall) -> None:
        """Passes every event on until the stream ends; `failed` tells how, the last event is left to `finish`."""
        self._begin(call)
        await self._pass(call.startup)
        while not call.ended:
            await self._pass(await call.more())
        body = self._context.body
        if self.failed is None and isinstance(body, ChatBody) and body.wants_usage and not call.counted:
            self._write(call.usage_chunk())

    def send(self, data: bytes) -> None:
        """Sends events made here (a whole answer replayed as a stream)."""
        self._begin(self._context.driven.selected)
        self._write(data)

    def fail(self, error: ProviderError) -> None:
        """No attempt succeeded, and the status is out already: the stream will end with the error."""
        self.failed = Failed(error)

    def finish(self) -> None:
        """The end: [DONE] exactly once after success, an error event and no [DONE] after a failure."""
        self.stop()
        if self.failed is not None:
            self._exchange.end(b"data: " + self.failed.error.envelope() + b"\n\n")
        else:
            self._exchange.end(DONE)

    @property
    def kept(self) -> bytes:
        """What was sent, if it was little enough to keep."""
        return b"".join(self._kept) if self._kept is not None else b""

    async def _pass(self, events: list[StreamEvent]) -> None:
        data = b""
        for event in events:
            if type(event) is Chunk:
                data = data + event.data if data else event.data
            elif type(event) is Failed:
                self.failed = event
            elif type(event) is Done:
                break
        if data:
            self._write(data)
            if self._exchange.blocked:
                await self._exchange.drain()

    def _begin(self, call: ProviderCall | None) -> None:
        if not self._exchange.started:
            self._exchange.start(200, answers.STREAM + answers.head(self._context, call))

    def _write(self, data: bytes) -> None:
        if not self._context.first_sent_ns:
            self._context.first_sent_ns = perf_counter_ns()
        self._exchange.write(data)
        self._last = self._loop.time()
        if self._kept is not None:
            self._size += len(data)
            if self._size > KEPT_BYTES:
                self._kept = None
            else:
                self._kept.append(data)

    def _tick(self) -> None:
        """A comment where nothing was sent for a while, but only once a provider has answered 200:
        before that the status is open.
        """
        due = self._last + self._every_s
        if self._loop.time() >= due - 0.001:
            if self._exchange.started or any(call.accepted for call in self._context.driven.trials):
                self._begin(self._context.driven.trials[-1])
                if not self._exchange.blocked:
                    self._exchange.write(_COMMENT)
            due = self._loop.time() + self._every_s
        self._timer = self._loop.call_at(due, self._tick)
