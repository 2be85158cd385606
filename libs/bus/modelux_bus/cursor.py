"""Keep the place up to which a journal is acknowledged: one small file, replaced as a whole."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

_MAGIC = b"MLXC\x01\0\0\0"
_BODY = struct.Struct("<8s16sQQ")
_CRC = struct.Struct("<I")


class Cursor(NamedTuple):
    """A place in a journal: segment number and byte offset. Cursors compare in reading order."""

    segment: int
    offset: int


class Saved(NamedTuple):
    journal_id: bytes
    cursor: Cursor


def save_cursor(file: Path, journal_id: bytes, cursor: Cursor) -> None:
    """Replaces the file atomically and waits for the disk. Raises `OSError`."""
    body = _BODY.pack(_MAGIC, journal_id, cursor.segment, cursor.offset)
    fresh = file.with_suffix(".new")
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(fd, body + _CRC.pack(crc32(body)))
        os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(fresh, file)
    folder = os.open(file.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def load_cursor(file: Path) -> Saved | None:
    """What was saved; None when there is nothing or it is damaged (the reader then starts at the oldest record)."""
    try:
        content = file.read_bytes()
    except OSError:
        return None
    if len(content) != _BODY.size + _CRC.size:
        return None
    body = content[: _BODY.size]
    magic, journal_id, number, offset = _BODY.unpack(body)
    if magic != _MAGIC or _CRC.unpack_from(content, _BODY.size)[0] != crc32(body):
        return None
    return Saved(journal_id, Cursor(number, offset))
