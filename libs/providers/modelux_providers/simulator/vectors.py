"""Embed a text lexically: texts that share words point the same way, so that similarity means something in tests."""

from __future__ import annotations

import math
import re
from functools import lru_cache
from hashlib import blake2b

_WORD = re.compile(r"\w+")


@lru_cache(maxsize=4096)
def vector(text: str, size: int) -> tuple[float, ...]:
    """Return a unit vector of `size` floats: signed feature hashing of the lower-cased words."""
    sums = [0.0] * size
    for word in _WORD.findall(text.lower()) or [text]:
        digest = int.from_bytes(blake2b(word.encode("utf-8", "replace"), digest_size=8).digest(), "big")
        sums[(digest >> 1) % size] += 1.0 if digest & 1 else -1.0
    norm = math.sqrt(sum(value * value for value in sums))
    if norm == 0.0:
        sums[0] = norm = 1.0
    return tuple(value / norm for value in sums)
