"""One connection of a caller: parses requests, queues pipelined ones, and writes answers in order."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from typing import TYPE_CHECKING, Literal

import httptools

from modelux_contracts.ids import new_id
from modelux_proxy import limits
from modelux_proxy.exchange import REASONS, Exchange
from modelux_proxy.heads import Head
from modelux_proxy.limits import Refusal

if TYPE_CHECKING:
    from modelux_proxy.http_server import Server

log = logging.getLogger("modelux.proxy")

_LINGER_S = 2.0
_LARGE = 64 * 1024
State = Literal["idle", "head", "body", "refused"]


class Connection:
    """Reads with httptools (strict framing), refuses by `limits`, and cancels the request under way when the caller
    leaves. An `asyncio.Protocol` in all but name: a compiled class with an interpreted base would have slow attributes.
    """

    def __init__(self, server: Server, loop: asyncio.AbstractEventLoop) -> None:
        self._server = server
        self._limits = server.limits
        self._loop = loop
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._state: State = "idle"
        self._since = time.monotonic()
        """When the present state began."""
        self._head_bytes = 0
        """Of the path, and of the names and values that are complete."""
        self._head_read = 0
        """Of the segments, after the first, that hold nothing but this head."""
        self._begun = False
        """The message being read began in this segment."""
        self._exchange: Exchange | None = None
        self._url = b""
        self._headers: dict[bytes, bytes] = {}
        self._lines = 0
        self._hosts: list[bytes] = []
        self._repeated: set[bytes] | None = None
        self._body: list[bytes] = []
        self._size = 0
        self._counted = 0
        self._refusal: Refusal | None = None
        self._queue: deque[Exchange] = deque()
        self._current: Exchange | None = None
        self._task: asyncio.Task[None] | None = None
        self._wake: asyncio.Future[None] | None = None
        self._known = b""
        """What to remember the head being parsed under."""
        self._unsent: list[bytes] = []
        self._paused_at = 0.0
        self._writable: asyncio.Future[None] | None = None
        self._reading_paused = False
        self._at_start = True
        """No byte of the next request was read."""

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport by construction
        self._server.connections.add(self)
        if self._server.draining or len(self._server.connections) > self._limits.connections:
            self._refuse(limits.BUSY)
        self._task = self._server.start(self._serve())

    def data_received(self, data: bytes) -> None:
        if self._state == "idle":
            if self._current is None and self._at_start and self._whole(data):
                return
            self._at_start = False
            self._enter("head")
            data = limits.without_upgrade(data)
        elif self._state == "refused":
            return
        self._begun = False
        self._feed(data)
        if self._refusal is not None:
            self._refuse(self._refusal)
        elif self._state == "head" and not self._begun:
            self._head_read += len(data)
            if self._head_read > self._limits.head_bytes:
                self._refuse(limits.HEAD_TOO_LARGE)

    def _feed(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            # we speak HTTP/1.1 only: an offered upgrade is not taken, CONNECT is not allowed
            self._refuse(limits.METHOD if self._parser.get_method() == b"CONNECT" else limits.UPGRADE)
        except httptools.HttpParserInvalidMethodError:
            self._refuse(limits.METHOD if data[:1].isalpha() else limits.BAD_REQUEST)
        except httptools.HttpParserCallbackError:
            log.exception("a request could not be read by our fault")
            self._refuse(limits.BAD_REQUEST)
        except httptools.HttpParserError:
            self._refuse(self._refusal or limits.BAD_REQUEST)

    def eof_received(self) -> None:
        """A caller that stops in the middle of a request is told so. The transport closes itself after this."""
        self._server.outbox.flush()
        if self._state in ("head", "body") and self._current is None and not self._queue:
            self._refuse(limits.CUT_SHORT)

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._uncount()
        self._queue.clear()
        self._unsent.clear()
        self._transport = None
        if self._task is not None:
            self._task.cancel()
            self._task = None

    def pause_writing(self) -> None:
        self._paused_at = time.monotonic()
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._paused_at = 0.0
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    # httptools

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = {}
        self._lines = 0
        self._hosts = []
        self._repeated = None
        self._body = []
        self._size = 0
        self._head_bytes = 0
        self._head_read = 0
        self._begun = True
        if self._state != "head":
            self._enter("head")

    def on_url(self, url: bytes) -> None:
        self._url += url
        self._head_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._lines += 1
        if self._state == "body":  # a trailer: counted, never used
            if self._lines > self._limits.headers:
                self._refusal = self._refusal or limits.HEAD_TOO_LARGE
            return
        name = name.lower()
        self._head_bytes += len(name) + len(value)
        if name == b"host":
            self._hosts.append(value)
        if name in self._headers:
            self._repeated = {name} if self._repeated is None else self._repeated | {name}
            return
        self._headers[name] = value

    def on_headers_complete(self) -> None:
        self._refusal = self._refusal or self._check_head()
        if self._refusal is not None:
            return
        self._enter("body")
        waits = self._headers.get(b"expect") and self._current is None and not self._queue
        if waits:
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._size += len(data)
        self._body.append(data)
        if self._size > self._limits.body_bytes:
            self._refusal = limits.BODY_TOO_LARGE
        elif self._size > _LARGE:
            self._count()
            if self._server.buffered_bytes > self._limits.buffered_bytes:
                self._refusal = limits.BUSY

    def on_message_complete(self) -> None:
        if self._refusal is not None or self._state == "refused":
            return
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body = []
        if b"content-encoding" in self._headers and self._headers[b"content-encoding"] == b"gzip":
            inflated = limits.inflate(body, self._limits.body_bytes)
            if isinstance(inflated, Refusal):
                self._refusal = inflated
                return
            body = inflated
        path, _, query = self._url.decode("ascii").partition("?")
        exchange = Exchange(self, self._parser.get_method().decode("ascii"), path, query, self._headers)
        if self._repeated is not None:
            exchange.repeated = frozenset(self._repeated)
        exchange.body = body
        exchange.close = not self._parser.should_keep_alive() or self._server.draining
        self._at_start = True
        self._enter("idle")
        if self._known and self._repeated is None and not exchange.close and b"content-encoding" not in self._headers:
            self._server.heads.remember(
                self._known, Head(exchange.method, exchange.path, exchange.query, exchange.headers)
            )
        self._known = b""
        self._push(exchange)

    # Sink

    def write(self, data: bytes) -> None:
        """Sent at the end of this turn of the loop, with what other connections send (see `Outbox`)."""
        if self._transport is not None:
            if not self._unsent:
                self._server.outbox.add(self)
            self._unsent.append(data)

    def flush(self) -> None:
        """See `outbox.Sender`."""
        unsent = self._unsent
        if self._transport is not None and unsent:
            self._transport.write(unsent[0] if len(unsent) == 1 else b"".join(unsent))
        unsent.clear()

    @property
    def blocked(self) -> bool:
        return self._writable is not None

    async def drain(self) -> None:
        if self._writable is not None:
            await self._writable

    def finish(self, exchange: Exchange, *, close: bool) -> None:
        """The answer is written: on to the next request, or the end."""
        self._uncount()
        self._current = None
        self._since = time.monotonic()
        if self._transport is not None and (close or self._server.draining):
            self._queue.clear()
            self._state = "refused"
            self._close()

    # What the server calls.

    def check(self, now: float) -> None:
        """Ends what takes too long."""
        waited = now - self._since
        if self._paused_at and now - self._paused_at > self._limits.write_s:
            self.abort()
        elif self._state == "refused":
            if waited > _LINGER_S and self._current is None:
                self.abort()
        elif self._state == "head" and waited > self._limits.head_s:
            self._refuse(limits.HEAD_TIMEOUT)
        elif self._state == "body" and waited > self._limits.body_s:
            self._refuse(limits.BODY_TIMEOUT)
        elif self._state == "idle" and self._current is None and waited > self._limits.idle_s:
            self.abort()

    def close_if_idle(self) -> None:
        if self._current is None and self._state == "idle":
            self._close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # Helpers

    def _close(self) -> None:
        self._server.outbox.flush()
        if self._transport is not None:
            self._transport.close()

    def _enter(self, state: State) -> None:
        self._state = state
        if state != "idle" or self._current is None:
            self._since = time.monotonic()

    def _whole(self, data: bytes) -> bool:
        """Takes a segment that is one request with a head seen before; else notes what to remember it under."""
        whole = self._server.heads.whole(data)
        if whole is None:
            return False
        head = whole.head
        if head is None:
            self._known = whole.key
            return False
        exchange = Exchange(self, head.method, head.path, head.query, head.headers)
        exchange.body = data[whole.body_at :]
        exchange.close = self._server.draining
        self._push(exchange)
        return True

    def _push(self, exchange: Exchange) -> None:
        exchange.arrived_ns = time.perf_counter_ns()
        self._queue.append(exchange)
        wake = self._wake
        if wake is not None:
            self._wake = None
            wake.set_result(None)
        elif len(self._queue) >= self._limits.pipelined:
            self._pause_reading()

    async def _serve(self) -> None:
        """Runs the requests of this connection in order, until it is gone."""
        queue = self._queue
        run = self._server.run
        while self._transport is not None:  # a bug of ours may have swallowed the cancellation
            if not queue:
                self._wake = self._loop.create_future()
                await self._wake
            if self._reading_paused and len(queue) < self._limits.pipelined // 2:
                self._resume_reading()
            if self._writable is not None:  # a caller that asks on and on and does not read
                await self._writable
            exchange = self._current = queue.popleft()
            await run(exchange)

    def _check_head(self) -> Refusal | None:
        headers = self._headers
        if self._head_bytes > self._limits.head_bytes or self._lines > self._limits.headers:
            return limits.HEAD_TOO_LARGE
        if self._parser.get_method().decode("ascii") not in limits.METHODS:
            return limits.METHOD
        if not self._url.startswith(b"/"):
            return limits.FORM
        if self._parser.get_http_version() not in ("1.1", "1.0"):
            return limits.BAD_REQUEST
        return limits.host_refusal(self._hosts) or self._check_framing(headers)

    def _check_framing(self, headers: dict[bytes, bytes]) -> Refusal | None:
        length = headers.get(b"content-length")
        if length is not None and int(length) > self._limits.body_bytes:
            return limits.BODY_TOO_LARGE
        if headers.get(b"transfer-encoding", b"chunked").strip().lower() != b"chunked":
            return limits.TRANSFER
        if headers.get(b"content-encoding", b"gzip") != b"gzip":
            return limits.ENCODING
        if headers.get(b"expect", b"100-continue").lower() != b"100-continue":
            return limits.EXPECTATION
        if self._parser.should_upgrade() and length != b"0" and not headers.keys().isdisjoint(limits.FRAMING):
            return limits.UPGRADE  # its body would be left unread
        return None

    def _refuse(self, refusal: Refusal) -> None:
        """Answers and closes, after what was asked before is answered;
        keeps reading for a moment so that the answer is not lost to a reset.
        """
        if self._state == "refused":
            return
        self._state = "refused"
        self._refusal = None
        self._since = time.monotonic()
        self._uncount()
        if self._transport is None:
            return
        before = self._queue[-1] if self._queue else self._current
        if before is not None:  # what was asked before is answered first, and that is the last answer
            before.close = True
            return
        body = refusal.body()
        lines = refusal.headers + b"x-request-id: %b\r\n" % new_id("req_").encode()
        head = b"HTTP/1.1 %d %b\r\ncontent-type: application/json\r\n%bconnection: close\r\ncontent-length: %d\r\n\r\n"
        self.write(head % (refusal.status, REASONS[refusal.status], lines, len(body)) + body)
        self._server.outbox.flush()
        if self._transport.can_write_eof():
            self._transport.write_eof()

    def _pause_reading(self) -> None:
        if self._transport is not None and not self._reading_paused:
            self._reading_paused = True
            self._transport.pause_reading()

    def _resume_reading(self) -> None:
        self._reading_paused = False
        if self._transport is not None:
            self._transport.resume_reading()

    def _count(self) -> None:
        """Keeps the server's sum of large bodies right."""
        self._server.buffered_bytes += self._size - self._counted
        self._counted = self._size

    def _uncount(self) -> None:
        if self._counted:
            self._server.buffered_bytes -= self._counted
            self._counted = 0
