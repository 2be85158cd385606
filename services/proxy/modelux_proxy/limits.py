"""What the HTTP server accepts: sizes, times, methods and hosts, and how a refusal at the socket looks."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass

from modelux_contracts.errors import OpenAIError, envelope

METHODS = frozenset({"GET", "POST", "OPTIONS", "HEAD"})
_HOST = re.compile(rb"(?:[A-Za-z0-9_.\-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_OFFER = re.compile(rb"\r\nupgrade:", re.IGNORECASE)
FRAMING = frozenset({b"content-length", b"transfer-encoding"})
GZIP_RATIO = 20
_GZIP_FLOOR = 64 * 1024


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """Bytes, counts and seconds."""

    head_bytes: int = 32 * 1024
    headers: int = 100
    body_bytes: int = 20 * 1024 * 1024
    buffered_bytes: int = 128 * 1024 * 1024
    """Of all request bodies held at once; beyond it large ones are refused for now."""
    head_s: float = 10.0
    body_s: float = 60.0
    write_s: float = 60.0
    idle_s: float = 75.0
    connections: int = 20_000
    pipelined: int = 32


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer the server gives by itself, before any application sees the request."""

    status: int
    code: str
    message: str
    headers: bytes = b""

    def body(self) -> bytes:
        kind = "server_error" if self.status >= 500 else "invalid_request_error"
        return envelope(self.message, type=kind, code=self.code)


BAD_REQUEST = Refusal(400, "invalid_http", "the request is not valid HTTP/1.1")
CUT_SHORT = Refusal(400, "invalid_http", "the request ended before it was complete")
BAD_HOST = Refusal(400, "invalid_host", "exactly one valid Host header is required")
METHOD = Refusal(405, "method_not_allowed", "this method is not supported", b"allow: GET, POST, OPTIONS\r\n")
FORM = Refusal(405, "method_not_allowed", "requests name a path, not an absolute URL", b"allow: GET, POST, OPTIONS\r\n")
HEAD_TOO_LARGE = Refusal(431, "headers_too_large", "the headers exceed 32 KiB or 100 lines")
HEAD_TIMEOUT = Refusal(408, "request_timeout", "the headers did not arrive within 10 seconds")
BODY_TIMEOUT = Refusal(408, "request_timeout", "the body did not arrive within 60 seconds")
BODY_TOO_LARGE = Refusal(413, "body_too_large", "the body exceeds 20 MiB")
BOMB = Refusal(413, "body_too_large", "the body expands beyond 20 times its compressed size or beyond 20 MiB")
ENCODING = Refusal(415, "unsupported_encoding", "send the body as it is or with one Content-Encoding: gzip")
BAD_GZIP = Refusal(400, "invalid_encoding", "the body is not valid gzip although Content-Encoding says so")
EXPECTATION = Refusal(417, "expectation_failed", "the only expectation supported is 100-continue")
BUSY = Refusal(503, "overloaded", "too many large requests at once, try again", b"retry-after: 1\r\n")
UPGRADE = Refusal(400, "upgrade_refused", "only HTTP/1.1 is spoken here; send no Upgrade header")
TRANSFER = Refusal(400, "invalid_http", "the only transfer encoding supported is chunked")


def without_upgrade(data: bytes) -> bytes:
    """A segment that begins a request, with an offer to speak another protocol crossed out.

    The parser ends a message that holds one at its head, and would not read its body.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0 or _OFFER.search(data, 0, end) is None:
        return data
    return _OFFER.sub(b"\r\nx-grade:", data[:end]) + data[end:]


def host_refusal(values: list[bytes]) -> Refusal | None:
    """Exactly one Host, a name or address with an optional port."""
    if len(values) != 1 or _HOST.fullmatch(values[0]) is None:
        return BAD_HOST
    return None


def inflate(body: bytes, limit: int) -> bytes | Refusal:
    """A gzip body, at most 20 times its size (64 KiB are always allowed) and `limit` bytes."""
    allowed = min(limit, max(_GZIP_FLOOR, GZIP_RATIO * len(body)))
    stream = zlib.decompressobj(31)
    try:
        data = stream.decompress(body, allowed + 1)
    except zlib.error:
        return BAD_GZIP
    if len(data) > allowed or stream.unconsumed_tail:
        return BOMB
    if not stream.eof or stream.unused_data:
        return BAD_GZIP
    return data


def refused(error: OpenAIError) -> bytes:
    """Header lines of an error answer."""
    lines = [f"{name}: {value}\r\n" for name, value in error.headers]
    return "".join(lines).encode("ascii", "replace")
