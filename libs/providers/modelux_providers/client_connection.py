"""One HTTP/1.1 connection to a provider: writes requests, parses answers, hands itself back when an answer is whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httptools

from modelux_providers.client_errors import CallFailed, Cut, InvalidResponse
from modelux_providers.client_response import Deadlines, Response
from modelux_providers.outbox import Outbox

_MAX_INFORMATIONAL = 10
_MAX_HEAD_BYTES = 64 * 1024
_JOIN_BELOW = 64 * 1024
_SPECIAL = frozenset({b"transfer-encoding", b"content-encoding", b"upgrade", b"trailer"})


class Connection:
    """`release(self)` is called when it can take another request, `lost(self)` once when it is gone.

    An `asyncio.Protocol` in all but name: a compiled class with an interpreted base would have slow attributes.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        outbox: Outbox,
        release: Callable[[Connection], None],
        lost: Callable[[Connection], None],
    ) -> None:
        self._loop = loop
        self._outbox = outbox
        self._unsent: tuple[bytes, ...] = ()
        self._release = release
        self._lost = lost
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._response: Response | None = None
        self._headers: dict[bytes, bytes] = {}
        self._head_bytes = 0
        self._informational = 0
        self._reading_body = False
        self._at_start = True
        """No byte of the next answer was read."""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0.0
        self.idle_since = 0.0
        self.closed = False

    def start(self, head: bytes, body: bytes, deadlines: Deadlines) -> Response:
        """Sends one request (`head` ends after the last header line) and returns its answer to come."""
        response = self._response = Response(self._loop, self, deadlines)
        transport = self._transport
        if transport is None or self.closed:
            response.on_error(Cut("the connection was closed"))
            return response
        head = b"%bcontent-length: %d\r\n\r\n" % (head, len(body))
        self._unsent = (head + body,) if len(body) < _JOIN_BELOW else (head, body)
        self._outbox.add(self)
        return response

    def flush(self) -> None:
        """See `Sender`."""
        unsent, self._unsent = self._unsent, ()
        transport = self._transport
        if transport is not None and not self.closed:
            for data in unsent:
                transport.write(data)

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # a stream transport by construction

    def data_received(self, data: bytes) -> None:
        response = self._response
        if response is None:  # nothing was asked: a provider that says more than it announced
            self.kill()
            return
        response.started = True
        if self._at_start and self._whole(data, response):
            return
        self._at_start = False
        response.on_data()
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:
            self._fail(InvalidResponse("the provider switched protocols"))
        except httptools.HttpParserError as error:
            self._fail(InvalidResponse(f"not valid HTTP: {error}"))
        if not self._reading_body and self._response is response:
            self._head_bytes += len(data)
            if self._head_bytes > _MAX_HEAD_BYTES:
                self._fail(InvalidResponse("the head of the answer is too large"))

    def eof_received(self) -> None:
        return None

    def pause_writing(self) -> None:
        """A request is written whole, whether the provider reads fast or not."""

    def resume_writing(self) -> None:
        """See `pause_writing`."""

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        response, self._response = self._response, None
        if response is not None:
            unframed = b"content-length" not in self._headers and b"transfer-encoding" not in self._headers
            if self._reading_body and unframed and exc is None:
                response.on_complete()
            else:
                response.on_error(Cut("the provider closed the connection"))
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._lost(self)

    # httptools

    def on_message_begin(self) -> None:
        self._headers = {}
        self._head_bytes = 0

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        response = self._response
        if response is None:
            return
        if status < 200:
            self._informational += 1
            if self._informational > _MAX_INFORMATIONAL:
                self._fail(InvalidResponse("too many interim answers"))
            return
        self._reading_body = True
        if sum([len(name) + len(value) for name, value in self._headers.items()]) > _MAX_HEAD_BYTES:
            self._fail(InvalidResponse("the head of the answer is too large"))
            return
        encoding = self._headers.get(b"content-encoding", b"identity")
        if encoding.lower() not in (b"identity", b""):
            self._fail(InvalidResponse("the answer is compressed although identity was asked for"))
            return
        response.on_head(status, self._headers)

    def on_body(self, body: bytes) -> None:
        if self._response is not None:
            self._response.on_body(body)

    def on_message_complete(self) -> None:
        if not self._reading_body:
            return  # an interim answer
        response, self._response = self._response, None
        self._reading_body = False
        self._informational = 0
        self._at_start = True
        if response is None:
            return
        response.on_complete()
        if self._parser.should_keep_alive():
            self.resume()
            self._release(self)
        else:
            self.kill()

    def _whole(self, data: bytes, response: Response) -> bool:
        """The common answer in one segment: 200 with its whole body. Everything else is left to the parser."""
        if not data.startswith(b"HTTP/1.1 200 "):
            return False
        end = data.find(b"\r\n\r\n")
        if not 0 < end <= _MAX_HEAD_BYTES:
            return False
        found = _lines(data[:end])
        if found is None or int(found[b"content-length"]) != len(data) - end - 4:
            return False
        self._response = None
        response.on_whole(200, found, data[end + 4 :])
        self._release(self)
        return True

    # Source

    def pause(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and not self._transport.is_reading() and not self.closed:
            self._transport.resume_reading()

    def kill(self) -> None:
        """Closes at once, without waiting for unsent bytes."""
        self.closed = True
        if self._transport is not None:
            self._transport.abort()

    def wake_at(self, at: float) -> None:
        """One timer serves all answers of the connection: their deadlines mostly move away, and a timer that rings too
        early costs less than one that is set and cancelled for every request.
        """
        if self._timer is not None:
            if self._timer_at <= at:
                return
            self._timer.cancel()
        if not self.closed:
            self._timer_at = at
            self._timer = self._loop.call_at(at, self._ring)

    def _ring(self) -> None:
        self._timer = None
        if self._response is not None:
            self._response.tick()

    def _fail(self, error: CallFailed) -> None:
        response, self._response = self._response, None
        if response is not None:
            response.on_error(error)
        self.kill()


def _lines(head: bytes) -> dict[bytes, bytes] | None:
    """The headers of a plain, kept-alive answer with a length; None where anything asks for the real parser."""
    headers: dict[bytes, bytes] = {}
    lines = head.split(b"\r\n")
    if not head.count(b"\n") == head.count(b"\r") == len(lines) - 1:  # a bare CR or LF ends a line for some readers
        return None
    del lines[0]
    for line in lines:
        name, colon, value = line.partition(b": ")
        name = name.lower()
        if not colon or name in headers or name in _SPECIAL:
            return None
        headers[name] = value
    if not headers.get(b"content-length", b"").isdigit():
        return None
    if headers.get(b"connection", b"keep-alive").lower() != b"keep-alive":
        return None
    return headers
