"""One answer as it arrives: head, chunks and deadlines, with back-pressure to the connection it comes from."""

from __future__ import annotations

import asyncio
from typing import Protocol

from modelux_providers.client_errors import CallFailed, Phase, Timeout, TooLarge
from routing_core.records import record

RESPONSE_LIMIT = 64 * 1024 * 1024
_HIGH_WATER = 256 * 1024
_LINGER_S = 1.0


@record
class Deadlines:
    """Seconds.

    `first_byte` runs from the sent request to the head, `idle` between any two reads, `total` over everything but
    connecting.
    """

    connect_s: float = 5.0
    first_byte_s: float = 120.0
    idle_s: float = 120.0
    total_s: float = 900.0


class Source(Protocol):
    """The connection an answer arrives on."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...

    def kill(self) -> None: ...

    def wake_at(self, at: float) -> None:
        """Calls `tick` of the answer under way at that moment of the loop's clock, or earlier."""
        ...


class Response:
    """An answer.

    One reader at a time; `abort` from anywhere, any time (it closes the connection unless the answer is whole).
    """

    __slots__ = (
        "_buffered",
        "_chunks",
        "_error",
        "_idle_s",
        "_loop",
        "_paused",
        "_phase",
        "_phase_at",
        "_source",
        "_total_at",
        "_waiter",
        "complete",
        "headers",
        "started",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop, source: Source, deadlines: Deadlines) -> None:
        self.status = 0
        self.headers: dict[bytes, bytes] = {}
        self.complete = False
        self.started = False
        """True once any byte of an answer came."""
        self._loop = loop
        self._source = source
        self._chunks: list[bytes] = []
        self._buffered = 0
        self._paused = False
        self._error: CallFailed | None = None
        self._waiter: asyncio.Future[None] | None = None
        now = loop.time()
        self._phase: Phase = "first_byte"
        self._phase_at = now + deadlines.first_byte_s
        self._total_at = now + deadlines.total_s
        self._idle_s = deadlines.idle_s
        self._arm()

    async def head(self) -> None:
        """Returns once status and headers are there. Raises `CallFailed`."""
        while not self.status:
            if self._error is not None:
                raise self._error
            await self._wait()

    async def chunk(self) -> bytes:
        """What has arrived since the last call, or what arrives next; b"" at the end. Raises `CallFailed`."""
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self.complete:
                return b""
            await self._wait()
        return self._take()

    async def read(self, limit: int = RESPONSE_LIMIT) -> bytes:
        """The rest of the body. Raises `TooLarge` past `limit` bytes (the connection is closed), `CallFailed`."""
        if self.complete and self._error is None and self._buffered <= limit:
            return self._take()
        parts: list[bytes] = []
        size = 0
        while part := await self.chunk():
            size += len(part)
            if size > limit:
                self.abort()
                raise TooLarge(f"the answer exceeds {limit} bytes")
            parts.append(part)
        return b"".join(parts)

    def total(self, total_s: float, idle_s: float) -> None:
        """Moves the total deadline to `total_s` from now and sets a new idle one (after the first content, for
        streams).
        """
        now = self._loop.time()
        self._total_at = now + total_s
        self._idle_s = idle_s
        self._phase_at = now + idle_s
        self._arm()

    def abort(self) -> None:
        """Gives the answer up. Idempotent."""
        if not self.complete:
            self._source.kill()

    def release(self) -> None:
        """The reader has what it needs:
        lets the end of the answer arrive for a moment, so that the connection can be kept.
        """
        if self.complete or self._error is not None:
            return
        self._total_at = self._loop.time() + _LINGER_S
        self._arm()

    # What the connection calls.

    def on_data(self) -> None:
        self._phase = "idle"
        self._phase_at = self._loop.time() + self._idle_s
        self._arm()

    def on_head(self, status: int, headers: dict[bytes, bytes]) -> None:
        self.headers = headers
        self.status = status
        self._wake()

    def on_body(self, data: bytes) -> None:
        self._chunks.append(data)
        self._buffered += len(data)
        if self._buffered > _HIGH_WATER and not self._paused:
            self._paused = True
            self._source.pause()
        self._wake()

    def on_whole(self, status: int, headers: dict[bytes, bytes], body: bytes) -> None:
        """Head, body and end at once."""
        self.headers = headers
        self.status = status
        if body:
            self._chunks.append(body)
            self._buffered = len(body)
        self.on_complete()

    def on_complete(self) -> None:
        self.complete = True
        self._wake()

    def on_error(self, error: CallFailed) -> None:
        if self._error is None and not self.complete:
            self._error = error
        self._wake()

    def _take(self) -> bytes:
        chunks = self._chunks
        if not chunks:
            return b""
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._buffered = 0
        if self._paused:
            self._paused = False
            if not self.complete:
                self._source.resume()
        return data

    async def _wait(self) -> None:
        assert self._waiter is None, "one reader at a time"
        self._waiter = self._loop.create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def tick(self) -> None:
        """Looks whether a deadline has passed; if none has, asks to be called at the next one."""
        if self.complete or self._error is not None:
            return
        if self._paused:
            self._phase_at = self._loop.time() + self._idle_s  # the silence is our reader's, not the provider's
        if self._loop.time() < min(self._phase_at, self._total_at):
            self._arm()
            return
        self.on_error(Timeout("total" if self._total_at <= self._phase_at else self._phase))
        self._source.kill()

    def _arm(self) -> None:
        phase_at, total_at = self._phase_at, self._total_at
        self._source.wake_at(phase_at if phase_at < total_at else total_at)
