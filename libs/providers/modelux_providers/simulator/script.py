"""Turn a response into what happens on the connection: writes, waits and an end, with the faults that are wanted."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Literal

from modelux_providers.simulator.scenario import Behaviour, Dialect
from modelux_providers.simulator.sse import Piece, comment, written
from modelux_providers.simulator.words import Response

Ending = Literal["done", "close", "reset", "hang"]
_PAD = b" " * 65536
_BOMB_BYTES = 64 * 2**20
_LEAKS = (
    ("Set-Cookie", "session=simulator-canary; Path=/; HttpOnly"),
    ("x-goog-api-key", "simulator-canary-key"),
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authenticate", "Basic"),
    ("Server", "simulator-canary"),
    ("Access-Control-Allow-Origin", "*"),
)


@dataclass(frozen=True, slots=True)
class Write:
    data: bytes
    tokens: int = 0
    events: int = 0


@dataclass(frozen=True, slots=True)
class Sleep:
    """Wait this long; 0 lets the loop turn once, so that the next write is a segment of its own."""

    seconds: float


@dataclass(frozen=True, slots=True)
class End:
    how: Ending


Part = Write | Sleep | End


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: until the head, then until the first event (or the whole answer), then per output token."""

    headers_s: float = 0.0
    first_s: float = 0.0
    per_token_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A response as bytes, made once for equal requests. `instant` = all of it, when nothing has to be waited for."""

    response: Response
    head: bytes
    writes: tuple[Write, ...]
    events: int
    end: End
    instant: bytes | None
    keep_alive: bool
    chunked: bool
    repeat: bytes
    pad: int


def build(response: Response, behaviour: Behaviour, dialect: Dialect, error: bytes) -> Plan:
    """Frame a response. `error` is the body of the error event, if one is wanted."""
    pieces = _body(response, behaviour, dialect, error)
    framing = _framing(response, behaviour)
    head = _head(response, behaviour, framing, sum(len(piece.data) for piece in pieces) + behaviour.pad_bytes)
    pieces, end = _stopped(pieces, response.stream, behaviour)
    whole = end.how == "done"
    unending = behaviour.endless or behaviour.pad_bytes > 0
    if framing == "close" or (framing == "length" and behaviour.length_delta > 0):
        end = End("close") if whole else end
    writes = tuple(_segments(_framed(pieces, behaviour, framing, whole and not unending), behaviour))
    paced = behaviour.split > 0 or behaviour.bytes_per_s > 0
    return Plan(
        response=response,
        head=head,
        writes=writes,
        events=sum(write.events for write in writes),
        end=end,
        instant=None if paced or unending or end.how != "done" else head + b"".join(write.data for write in writes),
        keep_alive=not behaviour.close_after,
        chunked=framing == "chunked",
        repeat=_repeated(pieces, response, framing == "chunked") if behaviour.endless else b"",
        pad=behaviour.pad_bytes if whole else 0,
    )


def play(plan: Plan, behaviour: Behaviour, timing: Timing) -> Iterator[Part]:
    """What happens, in order, when the plan is played; the last part is always an `End`."""
    if timing.headers_s:
        yield Sleep(timing.headers_s)
    if not plan.response.stream and (total := timing.first_s + timing.per_token_s * plan.response.tokens.output):
        yield Sleep(total)
    yield from _paced(Write(plan.head), behaviour)
    if plan.response.stream and timing.first_s:
        yield from _awaited(timing.first_s, behaviour, plan.chunked)
    for number, write in enumerate(plan.writes):
        if plan.response.stream and number and timing.per_token_s and write.tokens:
            yield Sleep(timing.per_token_s * write.tokens)
        elif behaviour.split and number:
            yield Sleep(0.0)
        yield from _paced(write, behaviour)
    yield from _padding(plan)
    while plan.repeat:
        yield Sleep(timing.per_token_s or 0.001)
        yield Write(plan.repeat, 1, 1)
    yield plan.end


def _awaited(seconds: float, behaviour: Behaviour, chunked: bool) -> Iterator[Part]:
    step = behaviour.keepalive_ms / 1000
    while step and seconds > step:
        yield Sleep(step)
        note = comment(b"keepalive", behaviour)
        yield Write(_chunk(note) if chunked else note)
        seconds -= step
    yield Sleep(seconds)


def _paced(write: Write, behaviour: Behaviour) -> Iterator[Part]:
    """A write as it is, or in crumbs at the wanted rate; the crumb that ends it carries its tokens."""
    if not behaviour.bytes_per_s:
        yield write
        return
    size = max(1, int(behaviour.bytes_per_s / 20))
    for start in range(0, len(write.data), size):
        crumb = write.data[start : start + size]
        last = start + size >= len(write.data)
        yield Write(crumb, write.tokens if last else 0, write.events if last else 0)
        yield Sleep(len(crumb) / behaviour.bytes_per_s)


def _padding(plan: Plan) -> Iterator[Part]:
    left = plan.pad
    while left > 0:
        block = _PAD[: min(left, len(_PAD))]
        left -= len(block)
        yield Write(_chunk(block) if plan.chunked else block)
        yield Sleep(0.0)
    if plan.pad and plan.chunked and not plan.repeat:
        yield Write(b"0\r\n\r\n")


def _body(response: Response, behaviour: Behaviour, dialect: Dialect, error: bytes) -> list[Piece]:
    if response.stream:
        pieces = written(response.events, behaviour, dialect, error)
    else:
        pieces = [Piece(response.body, response.tokens.output)] if response.body else []
    if behaviour.surrogate or behaviour.invalid_utf8:
        pieces = [replace(piece, data=_spoiled(piece.data)) for piece in pieces]
    return _encoded(pieces, behaviour)


def _spoiled(data: bytes) -> bytes:
    """Private-use marks, set where the text was made, become what no JSON writer would write."""
    return data.replace("\ue000".encode(), b"\\ud83d").replace("\ue001".encode(), b"\xff\xc3")


def _encoded(pieces: list[Piece], behaviour: Behaviour) -> list[Piece]:
    if behaviour.encoding in ("", "lying"):
        return pieces
    squeeze = zlib.compressobj(9, zlib.DEFLATED, 15 if behaviour.encoding == "deflate" else 31)
    made = [Piece(squeeze.compress(piece.data) + squeeze.flush(zlib.Z_SYNC_FLUSH), piece.tokens) for piece in pieces]
    if behaviour.encoding == "bomb":
        made.append(Piece(b"".join(squeeze.compress(_PAD) for _ in range(_BOMB_BYTES // len(_PAD)))))
    return [*made, Piece(squeeze.flush(), events=0)]


def _framed(pieces: list[Piece], behaviour: Behaviour, framing: str, last: bool) -> list[Piece]:
    """Put the pieces into chunks, where they are wanted; `last` = the closing chunk belongs to it."""
    if framing != "chunked":
        return pieces
    framed = [replace(piece, data=_chunk(piece.data)) for piece in pieces]
    if behaviour.malformed_chunk_after >= 0:
        return [*framed, Piece(b"XYZ\r\nnot a chunk\r\n", events=0)]
    return [*framed, Piece(b"0\r\n\r\n", events=0)] if last else framed


def _framing(response: Response, behaviour: Behaviour) -> str:
    if behaviour.malformed_chunk_after >= 0:
        return "chunked"
    if behaviour.framing != "auto":
        return behaviour.framing
    if response.stream or behaviour.endless:
        return "chunked"
    return "length"


def _stopped(pieces: list[Piece], stream: bool, behaviour: Behaviour) -> tuple[list[Piece], End]:
    """Cut the pieces where the first of the wanted accidents happens."""
    accidents: tuple[tuple[int, Ending], ...] = (
        (behaviour.cut_after, "close"),
        (behaviour.reset_after, "reset"),
        (behaviour.hang_after, "hang"),
        (behaviour.malformed_chunk_after, "close"),
    )
    wanted = [accident for accident in accidents if accident[0] >= 0]
    if not wanted:
        return _joined(pieces, behaviour.join), End("done")
    count, how = min(wanted)
    if stream:
        return _joined(pieces[:count], behaviour.join), End(how)
    body = b"".join(piece.data for piece in pieces)[:count]
    return ([Piece(body)] if body else []), End(how)


def _joined(pieces: Sequence[Piece], size: int) -> list[Piece]:
    if size <= 1:
        return list(pieces)
    return [_together(pieces[start : start + size]) for start in range(0, len(pieces), size)]


def _together(pieces: Sequence[Piece]) -> Piece:
    data = b"".join(piece.data for piece in pieces)
    return Piece(data, sum(piece.tokens for piece in pieces), sum(piece.events for piece in pieces))


def _segments(pieces: Sequence[Piece], behaviour: Behaviour) -> Iterator[Write]:
    """One write per piece, or writes of `split` bytes that respect nothing: not events, not chunks, not characters."""
    if not behaviour.split:
        yield from (Write(piece.data, piece.tokens, piece.events) for piece in pieces)
        return
    data = b"".join(piece.data for piece in pieces)
    ends: dict[int, tuple[int, int]] = {}
    at = 0
    for piece in pieces:
        at += len(piece.data)
        tokens, events = ends.get((at - 1) // behaviour.split, (0, 0))
        ends[(at - 1) // behaviour.split] = (tokens + piece.tokens, events + piece.events)
    for number, start in enumerate(range(0, len(data), behaviour.split)):
        yield Write(data[start : start + behaviour.split], *ends.get(number, (0, 0)))


def _repeated(pieces: Sequence[Piece], response: Response, chunked: bool) -> bytes:
    """What an endless answer repeats: its last event that carried a token, or white space."""
    data = next((piece.data for piece in reversed(pieces) if piece.tokens), b" ") if response.stream else b" "
    return _chunk(data) if chunked else data


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""


def _head(response: Response, behaviour: Behaviour, framing: str, length: int) -> bytes:
    status = response.status
    try:
        reason = HTTPStatus(status).phrase
    except ValueError:
        reason = "Overloaded" if status == 529 else "Unknown"
    lines = [f"HTTP/1.1 {status} {reason}"]
    if response.content_type and length:
        lines.append(f"Content-Type: {response.content_type}")
    if framing == "chunked":
        lines.append("Transfer-Encoding: chunked")
    elif framing == "length" and status not in (204, 304):
        lines.append(f"Content-Length: {max(0, length + behaviour.length_delta)}")
    elif framing == "close":
        lines.append("Connection: close")
    if behaviour.encoding:
        lines.append(f"Content-Encoding: {'deflate' if behaviour.encoding == 'deflate' else 'gzip'}")
    lines += [f"{name}: {value}" for name, value in (*response.headers, *_extra(behaviour))]
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n" * behaviour.informational
    return early + "\r\n".join([*lines, "", ""]).encode("latin-1", "replace")


def _extra(behaviour: Behaviour) -> Iterator[tuple[str, str]]:
    named = (
        ("Retry-After", behaviour.retry_after),
        ("retry-after-ms", behaviour.retry_after_ms),
        ("Location", behaviour.location),
    )
    yield from ((name, value) for name, value in named if value)
    if behaviour.leak_headers:
        yield from _LEAKS
    if behaviour.header_bytes:
        yield "x-huge", "h" * behaviour.header_bytes
    yield from behaviour.headers
