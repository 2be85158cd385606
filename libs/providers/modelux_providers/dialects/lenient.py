"""Read JSON that is not quite JSON: lone surrogates (from models cut in half) and NaN, which msgspec refuses."""

from __future__ import annotations

import json
import re
from typing import TypeVar

import msgspec

T = TypeVar("T")
NULL = msgspec.Raw(b"null")
"""Default of an unread member; a union of Raw and None would refuse every value."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def decode(body: bytes, shape: type[T]) -> T | None:
    """`body` as a `shape`, or None where it is not JSON or not of that shape."""
    try:
        return msgspec.json.decode(body, type=shape)
    except msgspec.ValidationError:
        return None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        repaired = readable(body)
    if repaired is None:
        return None
    try:
        return msgspec.json.decode(repaired, type=shape)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None


def given(raw: msgspec.Raw) -> bool:
    """The member is there, and not null."""
    return raw is not NULL and bytes(raw) != b"null"


def readable(body: bytes) -> bytes | None:
    """A copy that any JSON reader takes: lone surrogates become U+FFFD, NaN and infinities null. None where `body`
    is not JSON at all.

    Only for reading: numbers are re-serialised, so what goes to the caller stays the original bytes.
    """
    try:
        value = json.loads(body, parse_constant=lambda _: None)
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    except (ValueError, RecursionError):
        return None
    return _SURROGATE.sub("\ufffd", text).encode()


def strict(body: bytes) -> bool:
    """True where every JSON reader takes `body` as it is, but for lone surrogates: no NaN, no infinity, nothing
    broken."""
    try:
        json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return False
    return True


def _refuse(constant: str) -> None:
    raise ValueError(constant)
