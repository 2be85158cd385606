"""Remember the requests under way in a memory-mapped file, so that a killed process leaves word of each of them.

A slot is written when a request is dispatched and cleared when its event is in the journal: no system call on either
side, and the pages outlive the process (not the machine). Whoever opens the file next learns of every request that
never finished.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

_MAGIC = b"MLXI\x01\0\0\0"
_HEADER = 64
SLOT_BYTES = 512
_SLOT = struct.Struct("<HHI")
"""Length, 0, CRC-32 of the payload; a length of 0 is an empty slot."""
MAX_PAYLOAD_BYTES = SLOT_BYTES - _SLOT.size
_EMPTY = bytes(_SLOT.size)


class InFlight:
    """A table of `slots` requests. When it is full, or a note too long, the caller journals a note instead."""

    def __init__(self, path: Path, slots: int = 4096) -> None:
        """Opens the file, replacing one that is not ours; `abandoned` must be read before anything is noted. Raises
        OSError.
        """
        size = _HEADER + slots * SLOT_BYTES
        path.parent.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._old = os.pread(self._fd, os.fstat(self._fd).st_size, 0)
        os.ftruncate(self._fd, size)
        os.posix_fallocate(self._fd, 0, size)  # a hole on a full disk would be a SIGBUS later
        self._map = mmap.mmap(self._fd, size)
        self._map[: len(_MAGIC)] = _MAGIC
        self._free = list(range(slots - 1, -1, -1))

    def abandoned(self) -> Iterator[bytes]:
        """What the process before left behind. Damaged slots are passed over."""
        old, self._old = self._old, b""
        if old[: len(_MAGIC)] != _MAGIC:
            return
        for at in range(_HEADER, len(old) - SLOT_BYTES + 1, SLOT_BYTES):
            size, _, crc = _SLOT.unpack_from(old, at)
            payload = old[at + _SLOT.size : at + _SLOT.size + size]
            if 0 < size <= MAX_PAYLOAD_BYTES and crc32(payload) == crc:
                yield payload

    def clear(self) -> None:
        """Forgets what was left behind, once it is in the journal."""
        self._map[_HEADER:] = bytes(len(self._map) - _HEADER)

    def note(self, payload: bytes) -> int:
        """Writes a request down; its slot, or -1 where there is no room."""
        size = len(payload)
        if not self._free or size > MAX_PAYLOAD_BYTES:
            return -1
        slot = self._free.pop()
        at = _HEADER + slot * SLOT_BYTES
        self._map[at : at + _SLOT.size + size] = _SLOT.pack(size, 0, crc32(payload)) + payload
        return slot

    def done(self, slot: int) -> None:
        """Clears a slot; -1 is ignored."""
        if slot >= 0:
            at = _HEADER + slot * SLOT_BYTES
            self._map[at : at + _SLOT.size] = _EMPTY
            self._free.append(slot)

    def close(self) -> None:
        self._map.close()
        os.close(self._fd)
