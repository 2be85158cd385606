"""Refuse JSON that two readers could read differently, or that costs too much to read, before anything is made of it.

The common case is two passes of C over the bytes; the slow, exact checks run only where a cheap bound cannot rule the
problem out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable

import msgspec

from modelux_contracts.errors import OpenAIError

MAX_DEPTH = 64
MAX_KEYS = 100_000
MAX_TOP_LEVEL_KEYS = 256
MAX_CONTAINERS = 100_000
"""Lists and objects."""
MAX_VALUES = 1_000_000
MAX_DIGITS = 300

_decode = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_BOMS = (b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"+/v")
_AT = re.compile(r"\(byte (\d+)\)")
_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
_DEEP = re.compile(rb"[\[{]{%d}" % (MAX_DEPTH + 1))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_LARGE = 1024 * 1024
"""Bytes from which on every body is weighed, as reading it would hold up everybody else."""
_SMALLEST_MEMBER = 5
"""Bytes of `"":1,`: fewer bytes unaccounted for cannot hide a member."""


def members(body: bytes) -> dict[str, msgspec.Raw]:
    """The top-level members of a JSON object. Raises OpenAIError (400) for anything else."""
    _check_encoding(body)
    if len(body) > _LARGE or body.count(b"[") + body.count(b"{") > MAX_DEPTH:
        _check_size(body)
    try:
        found = _decode(body)
    except msgspec.ValidationError:
        raise _refused("invalid_json", "the body must be a JSON object") from None
    except msgspec.DecodeError as error:
        raise _malformed(body, str(error)) from None
    except RecursionError:
        raise _too_deep() from None
    if len(found) > MAX_TOP_LEVEL_KEYS:
        raise _too_many_keys()
    accounted = 1
    for key, raw in found.items():
        size = len(memoryview(raw))
        accounted += len(key) + 4 + size
        if size > MAX_DIGITS and memoryview(raw)[0] in b"-0123456789":
            raise _refused("number_too_large", f"the number at {key!r} has too many digits", key)
    if len(body) - accounted >= _SMALLEST_MEMBER:
        _check_duplicates(body)
    if b"\\u" in body and _SURROGATE.search(body) is not None:
        _check_surrogates(body)
    return found


def _check_encoding(body: bytes) -> None:
    if not body:
        raise _refused("invalid_json", "the body is empty")
    if body.isascii() and body[:3] != b"+/v":
        return
    if body.startswith(_BOMS):
        raise _refused("invalid_encoding", "send plain UTF-8 without a byte order mark")
    try:
        body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _refused("invalid_encoding", f"the body is not valid UTF-8 (byte {error.start})") from None


def _check_size(body: bytes) -> None:
    """Counts and depth of what stands outside of strings, before anything is built from it."""
    bare = body.replace(b"\\\\", b"").replace(b'\\"', b"") if b"\\" in body else body
    if bare.count(b'"') > 2 * MAX_VALUES:
        raise _too_many_keys() if bare.count(b":") > MAX_KEYS else _too_many_values()
    outside = b"".join(bare.split(b'"')[::2])
    brackets = outside.translate(None, _NOT_BRACKETS)
    if len(brackets) > MAX_DEPTH:
        _check_depth(brackets)
    if outside.count(b":") > MAX_KEYS:
        raise _too_many_keys()
    if len(brackets) > 2 * MAX_CONTAINERS or outside.count(b",") > MAX_VALUES:
        raise _too_many_values()


def _check_depth(brackets: bytes) -> None:
    """Peels one level of empty pairs after another, unless there are too many to be read at all."""
    if _DEEP.search(brackets[:4096]) is not None:
        raise _too_deep()
    if len(brackets) > 2 * MAX_CONTAINERS:
        return
    for _ in range(MAX_DEPTH):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"").replace(b"{}", b"")
    whole_pairs = b"[]" in brackets or b"{}" in brackets
    only_opened = not brackets.strip(b"[{") and len(brackets) > MAX_DEPTH
    if whole_pairs or only_opened:
        raise _too_deep()


def _check_duplicates(body: bytes) -> None:
    last: list[tuple[str, object]] = []

    def keep(pairs: list[tuple[str, object]]) -> None:
        nonlocal last
        last = pairs  # the outermost object is the last one to be completed

    _loads(body, keep)
    seen: set[str] = set()
    for key, _ in last:
        if key in seen:
            raise _refused("duplicate_key", f"the key {key!r} appears twice", key)
        seen.add(key)


def _loads(body: bytes, hook: Callable[[list[tuple[str, object]]], None]) -> None:
    try:
        json.loads(body, object_pairs_hook=hook, parse_int=len, parse_float=len)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise _refused("invalid_json", f"the body is not valid JSON: {error}") from None


def _check_surrogates(body: bytes) -> None:
    """Escapes of half a character have no UTF-8 form: providers refuse or mangle them."""
    try:
        json.dumps(json.loads(body, parse_int=len, parse_float=len), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise _refused("invalid_encoding", "a string holds half of a surrogate pair") from None


def _malformed(body: bytes, message: str) -> OpenAIError:
    """Where it broke, in lines and columns."""
    if _SURROGATE.search(body) is not None:
        try:
            _check_surrogates(body)
        except OpenAIError as error:
            return error
        except ValueError:
            pass
    found = _AT.search(message)
    at = int(found[1]) if found else len(body)
    before = body[:at]
    line = before.count(b"\n") + 1
    column = at - (before.rfind(b"\n") + 1) + 1
    what = "it ends too early" if found is None else "unexpected character"
    return _refused("invalid_json", f"the body is not valid JSON: {what} at line {line}, column {column}")


def _too_many_keys() -> OpenAIError:
    return _refused("too_many_keys", "the body has too many keys")


def _too_many_values() -> OpenAIError:
    message = f"the body holds more than {MAX_CONTAINERS:,} lists and objects, or more than {MAX_VALUES:,} values"
    return _refused("too_many_values", message)


def _too_deep() -> OpenAIError:
    return _refused("too_deep", f"the body is nested more than {MAX_DEPTH} levels deep")


def _refused(code: str, message: str, param: str | None = None) -> OpenAIError:
    return OpenAIError(400, message, code=code, param=param)
