"""Lay out and read one journal segment: a header, then records.

A record is `[len u32 | crc32 u32 | kind u8 | payload]`, the header `[magic | journal id | boot id | crc32 u32]` (8, 16
and 16 bytes), all little-endian; `len` counts the payload. The CRC of the payload is seeded with length, kind and the
journal's salt: a record of zeros is never valid, and a payload cannot pretend to contain records of this journal (which
matters when damage is passed over).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple, Protocol
from zlib import crc32

MAX_PAYLOAD_BYTES = 16 * 1024 * 1024 - 1
_MAGIC = b"MLXJ\x01\0\0\0"
_HEADER = struct.Struct("<8s16s16sI")
HEADER_BYTES = _HEADER.size
_RECORD = struct.Struct("<IIB")
_pack = _RECORD.pack
_unpack = _RECORD.unpack_from
RECORD_BYTES = _RECORD.size
# How far behind a damaged length to look for the next good record. Beyond that the rest of the segment is given up.
_SEARCH_BYTES = 1024 * 1024
_CHECK_BYTES = 64 * 1024 * 1024


class Header(NamedTuple):
    journal_id: bytes
    boot_id: bytes


class Readable(Protocol):
    def seek(self, offset: int, /) -> int: ...

    def read(self, size: int, /) -> bytes: ...


class Record(NamedTuple):
    kind: int
    payload: bytes
    after: int


class Scan(NamedTuple):
    """Good records, the offset to go on from, and the damaged range passed over last (start, stop)."""

    records: list[Record]
    reached: int
    damaged: tuple[int, int] | None


def path_of(folder: Path, number: int) -> Path:
    """Where a segment lies."""
    return folder / f"{number:016}.seg"


def header(journal_id: bytes, boot_id: bytes) -> bytes:
    """The first bytes of a segment."""
    body = _MAGIC + journal_id + boot_id
    return body + struct.pack("<I", crc32(body))


def read_header(file: Path) -> Header | None:
    """What a segment says of itself; None when it is none of ours, cut short or damaged."""
    try:
        with open(file, "rb") as opened:
            content = opened.read(HEADER_BYTES)
    except OSError:
        return None
    if len(content) != HEADER_BYTES:
        return None
    magic, journal_id, boot_id, crc = _HEADER.unpack(content)
    if magic != _MAGIC or crc != crc32(content[:-4]):
        return None
    return Header(journal_id, boot_id)


def salt_of(journal_id: bytes) -> int:
    """What the CRCs of one journal are seeded with; never 0."""
    return crc32(journal_id) or 1


def record(salt: int, kind: int, payload: bytes) -> bytes:
    """The bytes of one record. Raises `ValueError` for a payload above `MAX_PAYLOAD_BYTES`."""
    size = len(payload)
    if size > MAX_PAYLOAD_BYTES:
        raise ValueError(f"a record of {size} bytes, at most {MAX_PAYLOAD_BYTES} fit")
    return _pack(size, crc32(payload, salt ^ size << 8 ^ kind), kind) + payload


def scan(file: Readable, salt: int, offset: int, end: int, max_records: int, max_bytes: int) -> Scan:
    """Reads records from `offset` on, never past `end`; stops after one damaged range."""
    file.seek(offset)
    window = file.read(min(end - offset, max_bytes + RECORD_BYTES))
    records: list[Record] = []
    at = 0
    while len(records) < max_records and at < max_bytes and offset + at < end:
        stop = _stop(window, at, end - offset)
        if stop > len(window) and at:
            break  # the next call starts here, with a window of its own
        if stop > len(window):
            file.seek(offset)
            window = file.read(stop)
        found = _valid(window, at, stop, salt)
        if found is None:
            good = _resume(file, salt, offset + at, end)
            return Scan(records, good, (offset + at, good))
        records.append(Record(found[0], found[1], offset + stop))
        at = stop
    return Scan(records, offset + at, None)


def _stop(window: bytes, at: int, limit: int) -> int:
    """Where the record at `at` says it ends; `at` itself when it cannot be one."""
    if at + RECORD_BYTES > len(window):
        return at if at + RECORD_BYTES > limit else at + RECORD_BYTES
    stop: int = at + RECORD_BYTES + _unpack(window, at)[0]
    return stop if stop <= limit else at


def _valid(window: bytes, at: int, stop: int, salt: int) -> tuple[int, bytes] | None:
    if stop < at + RECORD_BYTES or stop > len(window):
        return None
    size, crc, kind = _unpack(window, at)
    payload = window[at + RECORD_BYTES : stop]
    if size > MAX_PAYLOAD_BYTES or crc32(payload, salt ^ size << 8 ^ kind) != crc:
        return None
    return kind, payload


def _resume(file: Readable, salt: int, start: int, end: int) -> int:
    """The offset of the first good record behind a damaged one at `start`, or `end` when none is near."""
    file.seek(start)
    window = file.read(min(end - start, _SEARCH_BYTES))
    after = _stop(window, 0, end - start)
    if after == end - start or (after and _good_at(file, salt, start + after, end)):
        return start + after  # only the payload was damaged: the chain of lengths holds
    budget = _CHECK_BYTES
    for at in range(1, len(window) - RECORD_BYTES + 1):
        size = _unpack(window, at)[0]
        if size <= MAX_PAYLOAD_BYTES and start + at + RECORD_BYTES + size <= end:
            budget -= size
            if _good_at(file, salt, start + at, end):
                return start + at
            if budget < 0:
                break
    return end


def _good_at(file: Readable, salt: int, at: int, end: int) -> bool:
    file.seek(at)
    head = file.read(RECORD_BYTES)
    stop = _stop(head, 0, end - at)
    return _valid(head + file.read(max(0, stop - RECORD_BYTES)), 0, stop, salt) is not None
