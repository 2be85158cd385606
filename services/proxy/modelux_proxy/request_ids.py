"""Name requests: the ids of `modelux_contracts.ids`, made without a system call each."""

from __future__ import annotations

from random import Random, SystemRandom

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)
_VERSION = 0x7 << 6
_VARIANT = 0b10 << 2
"""As they stand in their pairs of characters."""


class RequestIds:
    """UUIDv7 in base32 behind `req_`. The random bits need only be unique, so an ordinary generator draws them.

    The 48 bits of the millisecond fill the first ten characters exactly; they are made once per millisecond.
    """

    def __init__(self) -> None:
        self._draw = Random(SystemRandom().getrandbits(256)).getrandbits
        self._ms = -1
        self._prefix = ""

    def next(self, now_ms: int) -> str:
        if now_ms != self._ms:
            self._ms = now_ms
            pairs = [_PAIRS[now_ms >> shift & 1023] for shift in (40, 30, 20, 10, 0)]
            self._prefix = "req_" + "".join(pairs)
        high, low = self._draw(14), self._draw(60)  # numbers above 62 bits are much slower
        pairs_of = _PAIRS
        return (
            self._prefix
            + pairs_of[_VERSION | high >> 8]
            + pairs_of[(high >> 2 & 63) << 4 | _VARIANT | high & 3]
            + pairs_of[low >> 50]
            + pairs_of[low >> 40 & 1023]
            + pairs_of[low >> 30 & 1023]
            + pairs_of[low >> 20 & 1023]
            + pairs_of[low >> 10 & 1023]
            + pairs_of[low & 1023]
        )
