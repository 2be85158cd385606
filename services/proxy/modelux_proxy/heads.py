"""Remember request heads that were parsed and checked once, as callers send the same one again and again.

Only the length of the body differs between the requests of one caller, so it is taken out of what is compared. A head
is
remembered only after the strict parser and all checks passed it; equal bytes then mean an equal request.
"""

from __future__ import annotations

from routing_core.records import record

_NAMES = (b"\r\nContent-Length: ", b"\r\ncontent-length: ")
"""With the end of the line before: a name or value that merely ends like this is another header."""
_MAX_HEADS = 2048
_MAX_HEAD_BYTES = 4096


@record
class Head:
    """What a head says. `headers` must not be changed: requests share it."""

    method: str
    path: str
    query: str
    headers: dict[bytes, bytes]


@record
class Whole:
    """A segment that is exactly one request:
    its head without the length, the parsed head if it is known, and the body's start.
    """

    key: bytes
    head: Head | None
    body_at: int


class HeadMemo:
    """Heads by their bytes, a bounded number of them."""

    def __init__(self) -> None:
        self._heads: dict[bytes, Head] = {}

    def whole(self, data: bytes) -> Whole | None:
        """Recognises a segment that holds exactly one request with a Content-Length; None: leave it to the parser."""
        end = data.find(b"\r\n\r\n") + 4
        if not 4 <= end <= _MAX_HEAD_BYTES:
            return None
        at = data.find(_NAMES[0], 0, end)
        if at < 0 and (at := data.find(_NAMES[1], 0, end)) < 0:
            return None
        at += 18
        stop = data.find(b"\r", at, end)
        digits = data[at:stop]
        if not digits.isdigit() or int(digits) != len(data) - end:
            return None
        key = data[:at] + data[stop:end]
        return Whole(key, self._heads.get(key), end)

    def remember(self, key: bytes, head: Head) -> None:
        if len(self._heads) >= _MAX_HEADS:
            self._heads.clear()
        self._heads[key] = head
