"""Name requests: the ids of `modelux_contracts.ids`, made without a system call each."""

from __future__ import annotations

from random import Random, SystemRandom

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_VERSION = 0x7 << 6
_VARIANT = 0b10 << 2
"""As they stand in their pairs of characters."""
_COUNTS = 1 << 20


class RequestIds:
    """UUIDv7 in base32 behind `req_`. The random bits need only be unique, so an ordinary generator draws them, once
    per millisecond: the last 20 of them are then counted up (RFC 9562, 6.2).
    """

    def __init__(self) -> None:
        self._draw = Random(SystemRandom().getrandbits(256)).getrandbits
        self._ms = -1
        self._prefix = ""
        self._count = 0

    def next(self, now_ms: int) -> str:
        count = self._count + 1
        if now_ms != self._ms or count >= _COUNTS:
            self._ms = now_ms
            self._prefix = "req_" + "".join([_PAIRS[now_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)])
            high, low = self._draw(14), self._draw(40)
            self._prefix += _PAIRS[_VERSION | high >> 8] + _PAIRS[(high >> 2 & 63) << 4 | _VARIANT | high & 3]
            self._prefix += "".join([_PAIRS[low >> shift & 1023] for shift in (30, 20, 10, 0)])
            count = self._draw(19)
        self._count = count
        return f"{self._prefix}{_PAIRS[count >> 10]}{_PAIRS[count & 1023]}"
