"""Keep a spender's leases in a memory-mapped file that survives kill -9 exactly and tells when not to trust it.

Layout, little endian: a page with the header twice, then slots of `SLOT` bytes. A slot holds a marker (used or free),
the lease's identity with a CRC-32, its totals twice, each with a CRC-32 that is seeded with the identity's, and its
texts. Both copies of a thing are written one after the other: a process that dies in between leaves one of them whole.

`struct.pack_into` clears the place before it fills it, so that for a moment neither the old nor the new is there: no
call of it may span both copies, and what is there once is packed first and copied as a whole.
"""

from __future__ import annotations

import fcntl
import logging
import mmap
import os
import struct
import uuid
from pathlib import Path
from zlib import crc32

from routing_core.errors import ModeluxError
from routing_core.ledger.meters import Meter
from routing_core.ledger.slots import FULL, Row

log = logging.getLogger("modelux.ledger")

MAGIC = b"MLXL\x01\0\0\0"
PAGE = 4096
SLOT = 2304
"""Room for the longest names: an end user of 512 characters in UTF-8."""
LEAST_SLOTS = 64
MOST_SLOTS = 16_384

_LONGEST_ID = 94
_HEADER_COPIES = (0, 512)
_HEADER = struct.Struct(f"<8s16sIH{_LONGEST_ID}s")
"""Magic, boot id, slots in the file, length of the replica id, replica id; a CRC-32 follows."""
_CRC = struct.Struct("<I")
_MARKER = struct.Struct("<Q")
_USED, _FREE = _MARKER.pack(0x5AC3_960F_69F0_3CA5), bytes(_MARKER.size)
"""The size of a word: copied by one machine instruction."""
_IDENTITY = struct.Struct("<qHHHH")
"""Start of the window; lengths of lease id, budget id, value and unit; a CRC-32 over these and the texts follows."""
_TOTALS = struct.Struct("<5q")
_TOTALS_CRC = struct.Struct("<5qI")
_IDENTITY_AT, _TOTALS_AT, _COPY_AT, _TEXT_AT = 8, 32, 80, 128


class TableLocked(ModeluxError):
    """Another process spends from this table."""


class _Damaged(Exception):
    """What the file holds was not written by `LeaseTable`, or not all of it is left."""


class LeaseTable:
    """The table of one replica (`routing_core.ledger.slots.Table`). One process at a time."""

    def __init__(self, file: Path, boot_id: bytes | None = None) -> None:
        """Opens or creates the table.

        A table of another boot of the machine, or a damaged one, is emptied together with its `replica_id`: what may
        have been spent of its leases is not known, and the ledger charges them whole once their replica stays silent.

        Args:
            file: in a folder that exists.
            boot_id: 16 bytes that change with each boot of the machine; the kernel's by default.

        Raises:
            TableLocked: another process has it open.
            OSError: the file cannot be made or read.
        """
        self.replica_id = ""
        """Whose leases these are; empty in a fresh table."""
        self.discarded = ""
        """Why the table that was found was emptied; empty where it was not."""
        self._boot_id = boot_id if boot_id is not None else _kernel_boot_id()
        self._salts: list[int] = []
        """The CRC-32 of the identity in each slot that is used."""
        self._free: list[int] = []
        self._fd = _locked(file)
        try:
            try:
                self._adopt()
            except _Damaged as reason:
                log.warning("the leases in %s are given up and will be charged whole: %s", file, reason)
                self.discarded = str(reason)
                os.ftruncate(self._fd, 0)
                self._adopt()
        except BaseException:
            os.close(self._fd)
            raise

    def identify(self, replica_id: str) -> None:
        """Notes whose leases are added from now on. Must come before the first `add`."""
        self.replica_id = replica_id
        self._write_header(len(self._salts))

    def add(self, lease_id: str, meter: Meter, window_start_us: int, granted: int) -> int:
        """Begins a row; its index, or `FULL`: the disk or the table is, or a name is too long."""
        texts = [text.encode() for text in (lease_id, meter.budget_id, meter.value, meter.unit)]
        text = b"".join(texts)
        if len(text) > SLOT - _TEXT_AT or not (self._free or self._grown()):
            return FULL
        index = self._free.pop()
        at = PAGE + index * SLOT
        identity = _IDENTITY.pack(window_start_us, *map(len, texts))
        self._salts[index] = salt = crc32(text, crc32(identity))
        self._map[at + _TEXT_AT : at + _TEXT_AT + len(text)] = text
        self._map[at + _IDENTITY_AT : at + _IDENTITY_AT + len(identity) + 4] = identity + _CRC.pack(salt)
        self.update(index, granted, 0, 0, 0, 0)
        self._map[at : at + _MARKER.size] = _USED
        return index

    def update(self, index: int, granted: int, settled: int, open: int, unknown: int, overrun: int) -> None:
        """Overwrites the totals of a row, all or none of them."""
        crc = crc32(_TOTALS.pack(granted, settled, open, unknown, overrun), self._salts[index])
        at = PAGE + index * SLOT
        _TOTALS_CRC.pack_into(self._map, at + _TOTALS_AT, granted, settled, open, unknown, overrun, crc)
        _TOTALS_CRC.pack_into(self._map, at + _COPY_AT, granted, settled, open, unknown, overrun, crc)

    def remove(self, index: int) -> None:
        """Ends a row."""
        at = PAGE + index * SLOT
        self._map[at : at + _MARKER.size] = _FREE
        self._free.append(index)

    def load(self) -> list[Row]:
        """All rows, as they are in the file now."""
        return [self._row(index)[0] for index in range(len(self._salts)) if self._used(index)]

    def close(self) -> None:
        """Lets another process open it. The rows stay."""
        self._map.close()
        os.close(self._fd)

    def _adopt(self) -> None:
        """Maps the file, made where it is empty, and finds what is in it. Raises _Damaged."""
        self.replica_id, self._salts, self._free = "", [], []
        if os.fstat(self._fd).st_size < PAGE:  # fresh, or whoever made it died before the first lease
            os.posix_fallocate(self._fd, 0, PAGE)
        self._map = mmap.mmap(self._fd, 0)
        slots = self._read_header()
        size = PAGE + slots * SLOT
        if len(self._map) < size:
            raise _Damaged("the file was cut short")
        if len(self._map) > size:  # died before the header said so
            self._map.resize(size)
        self._salts = [0] * slots
        for index in range(slots):
            if self._used(index):
                self._salts[index] = self._row(index)[1]
            else:
                self._free.append(index)

    def _write_header(self, slots: int) -> None:
        name = self.replica_id.encode()
        assert len(name) <= _LONGEST_ID
        header = _HEADER.pack(MAGIC, self._boot_id, slots, len(name), name)
        header += _CRC.pack(crc32(header))
        for at in _HEADER_COPIES:
            self._map[at : at + len(header)] = header

    def _read_header(self) -> int:
        """The slots that the file has by its header, written where there is none. Raises _Damaged."""
        if not any(self._map[:PAGE]):  # fresh
            self._write_header(0)
            return 0
        header = self._whole(_HEADER_COPIES, _HEADER.size)
        if not header:
            raise _Damaged("its header is damaged")
        magic, boot_id, slots, length, name = _HEADER.unpack(header)
        if magic != MAGIC:
            raise _Damaged("it is of another version")
        if boot_id != self._boot_id or not any(boot_id):
            raise _Damaged("the machine was started anew since")
        self.replica_id = name[:length].decode()
        return int(slots)

    def _used(self, index: int) -> bool:
        at = PAGE + index * SLOT
        marker = self._map[at : at + _MARKER.size]
        if marker not in (_USED, _FREE):
            raise _Damaged(f"slot {index} is damaged")
        return marker == _USED

    def _row(self, index: int) -> tuple[Row, int]:
        """One lease and the CRC-32 of its identity."""
        at = PAGE + index * SLOT
        identity = self._map[at + _IDENTITY_AT : at + _IDENTITY_AT + _IDENTITY.size]
        (salt,) = _CRC.unpack_from(self._map, at + _IDENTITY_AT + _IDENTITY.size)
        window_start_us, *lengths = _IDENTITY.unpack(identity)
        text = self._map[at + _TEXT_AT : at + min(_TEXT_AT + sum(lengths), SLOT)]
        if crc32(text, crc32(identity)) != salt:
            raise _Damaged(f"the names in slot {index} are damaged")
        parts = []
        for length in lengths:
            parts.append(text[:length].decode())
            text = text[length:]
        lease_id, *meter = parts
        return Row(index, lease_id, Meter(*meter), window_start_us, *self._totals(index, salt)), salt

    def _totals(self, index: int, salt: int) -> tuple[int, int, int, int, int]:
        at = PAGE + index * SLOT
        totals = self._whole((at + _TOTALS_AT, at + _COPY_AT), _TOTALS.size, salt)
        if not totals:
            raise _Damaged(f"the totals in slot {index} are damaged")
        return _TOTALS.unpack(totals)

    def _whole(self, places: tuple[int, int], size: int, salt: int = 0) -> bytes:
        """The first whole copy of what is written twice; empty where none is. The other one is made like it, so that
        the next death finds two again.
        """
        for at, other in (places, places[::-1]):
            copy = self._map[at : at + size + _CRC.size]
            if (crc32(copy[:size], salt),) == _CRC.unpack_from(copy, size):
                if self._map[other : other + len(copy)] != copy:
                    self._map[other : other + len(copy)] = copy
                return copy[:size]
        return b""

    def _grown(self) -> bool:
        """Doubles the room; False: there is none. The disk is asked first: writes to a map cannot be refused."""
        slots = len(self._salts)
        more = max(slots, LEAST_SLOTS)
        if slots + more > MOST_SLOTS:
            return False
        size = PAGE + (slots + more) * SLOT
        try:
            os.posix_fallocate(self._fd, 0, size)
            self._map.resize(size)
        except OSError as error:
            log.error("the table of leases cannot grow: %s", error)
            return False
        self._write_header(slots + more)
        self._salts.extend([0] * more)
        self._free.extend(range(slots + more - 1, slots - 1, -1))
        return True


def _locked(file: Path) -> int:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise TableLocked(
            "table_locked",
            f"another process spends from the leases in {str(file)!r}",
            hint="Give each process a data folder of its own.",
        ) from error
    return fd


def _kernel_boot_id() -> bytes:
    """Zeros where the kernel does not tell: then no table is trusted."""
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return bytes(16)
