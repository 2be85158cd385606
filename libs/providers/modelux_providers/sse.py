"""Server-sent events, incrementally: bytes split anywhere go in, whole events come out."""

from __future__ import annotations

from typing import NamedTuple

MAX_EVENT_BYTES = 10 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class Event(NamedTuple):
    """One dispatched event. `data` lines are joined with a newline."""

    data: bytes
    name: bytes = b""
    raw: bytes = b""
    """The event's own bytes with its blank line, where they are exactly `data: …\\n\\n`; else empty."""


class EventTooLarge(Exception):
    """An event grew past `MAX_EVENT_BYTES` without ending."""


class Scanner:
    """Splits one stream into events. Accepts LF, CRLF and CR line ends, comments, `event:`, `id:`, several `data:`
    lines, no space after
    the colon, a byte order mark; an event without data is dropped, as the specification says."""

    __slots__ = ("_after_cr", "_parts", "_size", "_started")

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self._after_cr = False
        self._started = False

    def feed(self, data: bytes) -> list[Event]:
        """Events completed by `data`. Raises EventTooLarge."""
        if self._after_cr or b"\r" in data:
            data = self._with_lf(data)
        if not data:
            return []
        parts = self._parts
        if not parts and self._started and data[-2:] == b"\n\n":
            return [event for block in data[:-2].split(b"\n\n") if (event := _event(block)) is not None]
        if parts:
            if b"\n\n" not in data and not (data[0] == 10 and parts[-1][-1] == 10):
                self._keep(data)
                return []
            parts.append(data)
            data = b"".join(parts)
            parts.clear()
            self._size = 0
        if not self._started:
            if len(data) < 3 and _BOM.startswith(data):
                self._keep(data)
                return []
            self._started = True
            data = data.removeprefix(_BOM)
        *blocks, rest = data.split(b"\n\n")
        if rest:
            self._keep(rest)
        return [event for block in blocks if (event := _event(block)) is not None]

    def whole(self, data: bytes) -> bool:
        """True where `data` is exactly one canonical event and nothing is pending: it may be read without the
        scanner.
        """
        return (
            data[:6] == b"data: "
            and data.find(b"\n") == len(data) - 2
            and data[-1] == 10
            and not self._parts
            and self._started
            and not self._after_cr
            and b"\r" not in data
        )

    def eof(self) -> Event | None:
        """What an ended stream left without a closing blank line, if it holds data. It may be half an event."""
        rest = b"".join(self._parts)
        if not self._started:
            rest = rest.removeprefix(_BOM)
        self._parts.clear()
        return _event(rest.rstrip(b"\n")) if rest else None

    def _keep(self, data: bytes) -> None:
        self._parts.append(data)
        self._size += len(data)
        if self._size > MAX_EVENT_BYTES:
            raise EventTooLarge(f"an event of more than {MAX_EVENT_BYTES} bytes")

    def _with_lf(self, data: bytes) -> bytes:
        if self._after_cr and data[:1] == b"\n":
            data = data[1:]  # The second half of a CRLF whose first half ended the last segment.
            self._after_cr = False
        if data:
            self._after_cr = data[-1] == 13
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _event(block: bytes) -> Event | None:
    if block.startswith(b"data: ") and b"\n" not in block:
        return Event(block[6:], b"", block + b"\n\n")
    return _from_lines(block)


def _from_lines(block: bytes) -> Event | None:
    lines: list[bytes] = []
    name = b""
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            lines.append(value)
        elif field == b"event":
            name = value
    return Event(b"\n".join(lines), name) if lines else None
