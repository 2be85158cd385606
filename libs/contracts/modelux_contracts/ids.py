"""Identifiers: a prefix that names the kind, and a UUIDv7 in Crockford base32, so that ids sort by time."""

from __future__ import annotations

import secrets
import time
from hashlib import sha256

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_PAIRS = tuple(a + b for a in _ALPHABET for b in _ALPHABET)


def new_id(prefix: str, now_ms: int | None = None) -> str:
    """`prefix` + 26 characters, unique without coordination: 74 random bits a millisecond. `now_ms` is for imports."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    return prefix + _base32(_uuid7(ms, secrets.randbits(74)))


def derived_id(prefix: str, ms: int, origin: str) -> str:
    """The same shape, the same for the same moment and origin: for what may be made again after a crash."""
    return prefix + _base32(_uuid7(ms, int.from_bytes(sha256(origin.encode()).digest()) >> 182))


def _uuid7(ms: int, bits: int) -> int:
    return (ms & 0xFFFFFFFFFFFF) << 80 | 0x7 << 76 | (bits >> 62) << 64 | 0b10 << 62 | (bits & 0x3FFFFFFFFFFFFFFF)


def _base32(value: int) -> str:
    """128 bits as 26 characters, ten bits at a time (the first character carries three bits)."""
    pairs = _PAIRS
    return (
        pairs[value >> 120]
        + pairs[value >> 110 & 1023]
        + pairs[value >> 100 & 1023]
        + pairs[value >> 90 & 1023]
        + pairs[value >> 80 & 1023]
        + pairs[value >> 70 & 1023]
        + pairs[value >> 60 & 1023]
        + pairs[value >> 50 & 1023]
        + pairs[value >> 40 & 1023]
        + pairs[value >> 30 & 1023]
        + pairs[value >> 20 & 1023]
        + pairs[value >> 10 & 1023]
        + pairs[value & 1023]
    )


def new_key(prefix: str) -> str:
    """A secret key (`mlx_sk_…`, `mlx_mk_…`): 32 random bytes in URL-safe base64. Only its SHA-256 is stored."""
    return prefix + secrets.token_urlsafe(32)
