"""One request and its answer, as the server hands it to the application."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from modelux_contracts.errors import envelope

Headers = tuple[tuple[bytes, bytes], ...]

REASONS: Mapping[int, bytes] = {
    200: b"OK",
    204: b"No Content",
    400: b"Bad Request",
    401: b"Unauthorized",
    402: b"Payment Required",
    403: b"Forbidden",
    404: b"Not Found",
    405: b"Method Not Allowed",
    408: b"Request Timeout",
    409: b"Conflict",
    411: b"Length Required",
    413: b"Content Too Large",
    415: b"Unsupported Media Type",
    417: b"Expectation Failed",
    422: b"Unprocessable Content",
    429: b"Too Many Requests",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    502: b"Bad Gateway",
    503: b"Service Unavailable",
    504: b"Gateway Timeout",
}


class Sink(Protocol):
    """Where an answer goes: the connection."""

    def write(self, data: bytes) -> None: ...

    @property
    def blocked(self) -> bool: ...

    async def drain(self) -> None: ...

    def finish(self, exchange: Exchange, *, close: bool) -> None: ...

    def abort(self) -> None: ...


class Exchange:
    """A request that was read whole. Answer it once: `respond`, or `start` then `write` and `end`.

    `headers` have lower-case names; of a name that came more than once the first value is kept and the name is in
    `repeated`.
    """

    __slots__ = (
        "_sink",
        "arrived_ns",
        "body",
        "close",
        "ended",
        "headers",
        "method",
        "path",
        "query",
        "repeated",
        "started",
        "status",
    )

    def __init__(self, sink: Sink, method: str, path: str, query: str, headers: dict[bytes, bytes]) -> None:
        self._sink = sink
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.repeated: frozenset[bytes] = frozenset()
        self.body = b""
        self.arrived_ns = 0
        """Monotonic, when the request was whole."""
        self.close = False
        self.started = False
        self.ended = False
        self.status = 0

    def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """Sends a whole answer in one write. `headers` are ready lines, each ended by CRLF."""
        self.started = True
        self.status = status
        close = b"connection: close\r\n" if self.close else b""
        head = b"HTTP/1.1 %d %b\r\n%b%bcontent-length: %d\r\n\r\n"
        if status == 204:
            head, body = b"HTTP/1.1 %d %b\r\n%b%b\r\n", b""
            self._sink.write(head % (status, REASONS[status], headers, close))
        else:
            head %= (status, REASONS.get(status, b""), headers, close, len(body))
            self._sink.write(head if self.method == "HEAD" else head + body)
        self.ended = True
        self._sink.finish(self, close=self.close)

    def start(self, status: int, headers: bytes) -> None:
        """Begins an answer of unknown length (chunked)."""
        self.started = True
        self.status = status
        close = b"connection: close\r\n" if self.close else b""
        head = b"HTTP/1.1 %d %b\r\n%b%btransfer-encoding: chunked\r\n\r\n"
        self._sink.write(head % (status, REASONS.get(status, b""), headers, close))

    def write(self, data: bytes) -> None:
        """Sends a part. Follow with `drain` where there may be many."""
        if data:
            self._sink.write(b"%x\r\n%b\r\n" % (len(data), data))

    @property
    def blocked(self) -> bool:
        """True while the caller reads too slowly."""
        return self._sink.blocked

    async def drain(self) -> None:
        """Waits while the caller reads too slowly."""
        await self._sink.drain()

    def end(self, data: bytes = b"", *, close: bool = False) -> None:
        """Sends a last part and completes the answer."""
        last = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        self._sink.write(last)
        self.ended = True
        self._sink.finish(self, close=close or self.close)

    def fail(self) -> None:
        """After a bug of ours: a plain 500 where nothing was sent yet, else the end of the connection."""
        if not self.started:
            self.close = True
            self.respond(500, b"content-type: application/json\r\n", _INTERNAL)
        elif not self.ended:
            self._sink.abort()


_INTERNAL = envelope("an internal error; the request was not completed", type="server_error", code="internal_error")


def header(name: str, value: str) -> bytes:
    """One header line; what cannot stand in a header is percent-encoded."""
    if not value.isascii() or not value.isprintable():
        value = "".join(
            c if " " <= c <= "~" else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace")) for c in value
        )
    return f"{name}: {value}\r\n".encode("ascii")
