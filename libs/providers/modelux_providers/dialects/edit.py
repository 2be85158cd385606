"""Change top-level members of a JSON object in its own bytes; every other byte stays as it is.

Big integers, decimals, key order, white space and lone surrogates survive because nothing is re-serialised.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Set
from typing import TypeAlias

import msgspec

Member: TypeAlias = tuple[str, int, int, int]
"""One `"key": value`: the key, where its opening quote stands, where the value starts and ends."""
Patch: TypeAlias = tuple[int, int, bytes]
"""`body[start:end]` becomes the text."""

_split = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_scan = json.JSONDecoder(parse_int=len, parse_float=len, strict=False).raw_decode
"""Numbers are measured, not read: a huge integer must not stop the scan."""
_head = re.compile(rb'\s*[{,]\s*"([^"\\]*)"\s*:\s*').match
_tail = re.compile(rb"\s*\}").match


def members(body: bytes) -> list[Member]:
    """The top-level members of an object, in order. Raises ValueError where `body` is no object."""
    return _by_length(body) or list(_by_walk(body))


def _by_length(body: bytes) -> list[Member] | None:
    """Places members by the lengths of their values, without looking into them. None where that does not come out even
    (duplicate or escaped keys, lone surrogates, an empty object, no object)."""
    try:
        values = _split(body)
    except (msgspec.DecodeError, RecursionError):
        return None
    at = 0
    found = []
    for key, raw in values.items():
        head = _head(body, at)
        if head is None or head[1] != key.encode():
            return None
        value = head.end()
        at = value + len(memoryview(raw))
        found.append((key, head.start(1) - 1, value, at))
    return found if _tail(body, at) else None


def _by_walk(body: bytes) -> Iterator[Member]:
    """Reads every value on the way; duplicates and all."""
    text = body.decode("latin-1")  # One character per byte, so that positions agree.
    at = _skip(text, 0)
    if text[at : at + 1] != "{":
        raise ValueError("not an object")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return
    while True:
        start = at
        key, at = _scan(text, at)
        at = _skip(text, at)
        if type(key) is not str or text[at : at + 1] != ":":
            raise ValueError(f"expected a key and a colon at {start}")
        value = _skip(text, at + 1)
        _, end = _scan(text, value)
        yield (key, start, value, end)
        at = _skip(text, end)
        if text[at : at + 1] == "}":
            return
        if text[at : at + 1] != ",":
            raise ValueError(f"expected a comma at {at}")
        at = _skip(text, at + 1)


def _skip(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\t", "\n", "\r"):
        at += 1
    return at


def removals(found: list[Member], gone: Set[int]) -> list[Patch]:
    """Takes out members by their place, leaving exactly the commas that the others need."""
    first_kept = next((place for place in range(len(found)) if place not in gone), len(found))
    patches = []
    for place in sorted(gone):
        _, start, _, end = found[place]
        if place > first_kept:
            patches.append((found[place - 1][3], end, b""))
        else:
            patches.append((start, end if place + 1 == len(found) else found[place + 1][1], b""))
    return patches


def apply(body: bytes, patches: list[Patch]) -> bytes:
    """The body with all patches, which do not overlap."""
    patches.sort()
    pieces = []
    at = 0
    for start, end, text in patches:
        pieces.append(body[at:start])
        pieces.append(text)
        at = end
    pieces.append(body[at:])
    return b"".join(pieces)


def without(body: bytes, *keys: str) -> bytes:
    """The object without these members."""
    found = members(body)
    return apply(body, removals(found, {place for place, member in enumerate(found) if member[0] in keys}))
