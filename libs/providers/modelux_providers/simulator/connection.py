"""Serve HTTP/1.1 on one connection: parse requests, play answers part by part, notice at once when the peer leaves."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator
from typing import Protocol, cast

import httptools

from modelux_providers.simulator.calls import Call, Ended
from modelux_providers.simulator.responder import Exchange, Incoming
from modelux_providers.simulator.script import End, Ending, Part, Sleep, Write

_LINGER_NOT = struct.pack("ii", 1, 0)
_FLUSH_S = 0.005
_ENDED: dict[Ending, Ended] = {"done": "completed", "close": "cut", "reset": "reset"}


class Desk(Protocol):
    """What a connection needs of the server: answers, and ears for how they ended."""

    def admit(self, connection: Connection) -> int | None: ...
    def answer(self, request: Incoming) -> Exchange | bytes: ...
    def ended(self, call: Call, how: Ended) -> None: ...
    def left(self, connection: Connection) -> None: ...
    def at_s(self) -> float: ...


class Connection(asyncio.Protocol):
    """One peer. Timers of the loop drive the answer, so a lost peer cancels it without any task."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpRequestParser(self)
        self._waiting: deque[tuple[Incoming, bool]] = deque()
        self._number = -1
        self._served = 0
        self._call: Call | None = None
        self._parts: Iterator[Part] = iter(())
        self._keep_alive = True
        self._timer: asyncio.Handle | None = None
        self._full = False
        self._url = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._body: list[bytes] = []
        self._transport: asyncio.Transport

    # The transport's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transports do not say that they are one
        number = self._desk.admit(self)
        if number is None:
            self._reset()
        else:
            self._number = number

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(b"HTTP/1.1 501 Not Implemented\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        except httptools.HttpParserError:
            self._fail(b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_timer()
        self._waiting.clear()
        if self._call is not None:
            self._end("cancelled")
        self._desk.left(self)

    def pause_writing(self) -> None:
        self._full = True

    def resume_writing(self) -> None:
        self._full = False
        if self._call is not None and self._timer is None:
            self._advance()

    # The parser's side.

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body = b"", [], []

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name.lower(), value))

    def on_headers_complete(self) -> None:
        if any(name == b"expect" and value.lower() == b"100-continue" for name, value in self._headers):
            self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        request = Incoming(
            self._parser.get_method().decode("latin-1"),
            self._url.decode("latin-1"),
            self._headers,
            self._body[0] if len(self._body) == 1 else b"".join(self._body),
            self._number,
            self._served > 0,
        )
        self._served += 1
        keep_alive = self._parser.should_keep_alive()
        if self._call is None and not self._waiting:
            self._begin(request, keep_alive)
        else:
            self._waiting.append((request, keep_alive))

    # The answer.

    def _begin(self, request: Incoming, keep_alive: bool) -> None:
        exchange = self._desk.answer(request)
        if isinstance(exchange, bytes):
            self._transport.write(exchange)
            if not keep_alive:
                self._transport.close()
            return
        self._call = call = exchange.call
        self._keep_alive = keep_alive and exchange.keep_alive
        if exchange.instant is None:
            self._parts = exchange.parts
            self._advance()
            return
        self._transport.write(exchange.instant)
        call.first_byte_s = self._desk.at_s()
        call.phase, call.sent_bytes = "body", len(exchange.instant)
        call.sent_tokens, call.sent_events = call.output_tokens, exchange.events
        self._finish("done")

    def _advance(self) -> None:
        """Play parts until one waits, the peer's buffer is full, or the answer ends."""
        self._timer = None
        while self._call is not None and not self._full:
            match next(self._parts, None):
                case Write() as write:
                    self._write(write, self._call)
                case Sleep(seconds):
                    self._timer = self._later(seconds, self._advance)
                    return
                case End() as end:
                    self._conclude(end)
                    return
                case None:  # A hang goes on until the peer leaves.
                    return

    def _write(self, part: Write, call: Call) -> None:
        if call.first_byte_s is None:
            call.first_byte_s = self._desk.at_s()
        if part.events:
            call.phase = "body"
        self._transport.write(part.data)
        call.sent_tokens += part.tokens
        call.sent_events += part.events
        call.sent_bytes += len(part.data)

    def _later(self, seconds: float, then: Callable[[], None]) -> asyncio.Handle:
        return self._loop.call_later(seconds, then) if seconds > 0 else self._loop.call_soon(then)

    def _conclude(self, end: End) -> None:
        """End the answer; what was written is let out before a connection is broken."""
        if end.how in ("close", "reset") and self._transport.get_write_buffer_size():
            self._parts = iter((end,))
            self._timer = self._loop.call_later(_FLUSH_S, self._advance)
            return
        self._finish(end.how)

    def _finish(self, how: Ending) -> None:
        if how == "hang":
            return
        self._end(_ENDED[how])
        if how == "reset":
            self._reset()
        elif how == "close" or not self._keep_alive:
            self._transport.close()
        elif self._waiting:
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        if self._call is None and self._waiting and not self._transport.is_closing():
            self._begin(*self._waiting.popleft())
            if self._call is None and self._waiting:
                self._loop.call_soon(self._next)

    def _end(self, how: Ended) -> None:
        call, self._call = self._call, None
        if call is not None:
            self._desk.ended(call, how)

    def _fail(self, answer: bytes) -> None:
        self._transport.write(answer)
        self._transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _reset(self) -> None:
        """Close with RST: a socket that does not linger and is dropped."""
        found = self._transport.get_extra_info("socket")
        if found is not None:
            # A duplicate shares the socket's options; uvloop's own socket object refuses to set them.
            with socket.socket(fileno=os.dup(found.fileno())) as same:
                same.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self._transport.abort()

    def drop(self) -> None:
        """Break the connection at once; the server is stopping."""
        self._transport.abort()
