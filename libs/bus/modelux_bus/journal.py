"""Append events to a local, bounded, CRC'd journal that survives kill -9 and tells good records from damaged ones."""

from __future__ import annotations

import errno
import fcntl
import os
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from modelux_bus import segment
from modelux_bus.cursor import Cursor, load_cursor, save_cursor

_READ_BYTES = 1024 * 1024
_QUARANTINE_FILES = 256


class JournalFull(Exception):
    """The record was not kept: the quota is used up or the disk refused it. The journal itself stays whole."""


class JournalLocked(Exception):
    """Another process has this journal open."""


class Frame(NamedTuple):
    """One record; `after` is the cursor that acknowledges it and all before it."""

    kind: int
    payload: bytes
    after: Cursor


@dataclass(slots=True)
class Damage:
    """What was found unreadable since the journal was opened. Each place counts once; its bytes go to `quarantine/`."""

    records: int = 0
    bytes: int = 0
    foreign_files: int = 0


class Journal:
    """An append-only queue of records on disk with one reader.

    A record is with the operating system when `append` returns: it survives the death of the process; after `sync`
    also that of the machine. Segments are deleted once acknowledged. One process at a time; within it one thread may
    append while another reads, advances or syncs. Segment files end with `.seg`; layout in `segment.py`.
    """

    def __init__(
        self, path: str | Path, quota_bytes: int, segment_bytes: int = 16 * 1024 * 1024, boot_id: bytes | None = None
    ) -> None:
        """Opens or creates the journal in folder `path`. Raises `JournalLocked`, `OSError`.

        Args:
            path: a folder of its own.
            quota_bytes: what all segments together may take.
            segment_bytes: when to start the next segment; cut to an eighth of a small quota.
            boot_id: 16 bytes that change with each boot of the machine; the kernel's by default.
        """
        self._path = Path(path)
        self._quota = quota_bytes
        self._segment_bytes = min(segment_bytes, max(quota_bytes // 8, 4096))
        self._boot_id = boot_id or _kernel_boot_id()
        self._guard = threading.Lock()
        self._known_bad: set[Cursor] = set()
        self.damage = Damage()
        self.other_boot = False
        self._path.mkdir(parents=True, exist_ok=True)
        self._lock = _lock(self._path / "lock")
        self._sealed: dict[int, int] = {}
        self._unsynced: set[int] = set()
        self._fd = -1
        self._id, self._acked = b"", Cursor(0, 0)
        try:
            self._adopt()
        except BaseException:
            self.close()
            raise
        # A fresh segment for each run: a torn tail stays where it is, and the header tells which boot wrote it.
        # With a full disk there is none yet; what is here can still be read, shipped and so freed.
        self._active, self._end = max([*self._sealed, self._acked.segment]), segment.HEADER_BYTES
        self._broken = True
        self._count()
        with suppress(OSError):
            self._rotate()

    @property
    def cursor(self) -> Cursor:
        """Everything before it is acknowledged; where reading starts."""
        return self._acked

    @property
    def end(self) -> Cursor:
        """Everything before it is written whole; where another process that reads along has to stop."""
        return Cursor(self._active, self._end)

    @property
    def folder(self) -> Path:
        return self._path

    def append(self, kind: int, payload: bytes) -> None:
        """Keeps one record (`kind` in 0..255). Raises `JournalFull`, after which the journal is as it was before."""
        self._write(segment.record(self._salt, kind, payload))

    def append_all(self, kind: int, payloads: Sequence[bytes]) -> None:
        """Keeps several in one write: all of them, or with `JournalFull` none."""
        salt = self._salt
        self._write(b"".join([segment.record(salt, kind, payload) for payload in payloads]))

    def _write(self, record: bytes) -> None:
        size = len(record)
        if self._end + size > self._room or self._broken:
            self._make_room(size)
        try:
            written = os.write(self._fd, record)
        except OSError as error:
            self._undo()
            raise JournalFull(f"cannot write to the journal: {error.strerror}") from error
        if written != size:
            self._undo()
            raise JournalFull("cannot write to the journal: no space for a whole record")
        self._end += size

    def used_fraction(self) -> float:
        """Bytes in all segments over the quota, 0 when empty; 1 or close to it when full."""
        return (self._sealed_bytes + self._end - segment.HEADER_BYTES) / self._quota

    def read(self, cursor: Cursor, max_frames: int = 1000, max_bytes: int = _READ_BYTES) -> tuple[list[Frame], Cursor]:
        """The next records from `cursor` on (about `max_bytes`, at least one where there is one) and where to go on.

        Damaged places are counted, copied to `quarantine/` and passed over. No frames and an unchanged cursor: no more.
        """
        frames: list[Frame] = []
        taken = 0
        while len(frames) < max_frames and taken < max_bytes:
            place = self._place(cursor)
            if place is None:
                return frames, cursor
            cursor, end = place
            found, reached = self._scan(cursor, end, max_frames - len(frames), max_bytes - taken)
            frames += found
            taken += reached - cursor.offset
            cursor = Cursor(cursor.segment, reached)
        return frames, cursor

    def advance(self, cursor: Cursor) -> None:
        """Acknowledges everything before `cursor`, for good: the place is on disk when this returns. Never goes back.

        Acknowledged segments are deleted first, so a full disk gets its room back even if the cursor cannot be
        written (`OSError`; a restart then repeats some records).
        """
        with self._guard:
            if cursor <= self._acked:
                return
            self._acked = cursor
            self._delete_acknowledged()
        save_cursor(self._path / "cursor", self._id, cursor)

    def recover(self) -> Iterator[Frame]:
        """Every record not yet acknowledged, in order; afterwards `damage` covers all of them."""
        cursor = self._acked
        while True:
            frames, after = self.read(cursor)
            yield from frames
            if after == cursor:
                return
            cursor = after

    def sync(self) -> None:
        """Returns when every record appended before the call is on the disk. Blocks; may run in another thread.

        A failed sync is never repeated on the same file (the kernel may have dropped the pages and would then answer
        yes): `JournalFull` is raised and the next record goes to a new segment.
        """
        with self._guard:
            active, pending = self._active, sorted({*self._unsynced, self._active})
        try:
            for number in pending:
                _sync_file(self._file(number))
            _sync_file(self._path)
        except OSError as error:
            with self._guard:
                self._unsynced.difference_update(pending)
                self._broken |= self._active == active
            raise JournalFull(f"cannot sync the journal: {error.strerror}") from error
        with self._guard:
            self._unsynced.difference_update(pending)

    def close(self) -> None:
        """Lets the folder go. Idempotent."""
        for file in (self._fd, self._lock):
            if file >= 0:
                os.close(file)
        self._fd = self._lock = -1

    # Segments

    def _file(self, number: int) -> Path:
        return segment.path_of(self._path, number)

    def _adopt(self) -> None:
        """Takes over the segments of an earlier run; files of another journal go to quarantine."""
        headers: dict[int, segment.Header | None] = {}
        for file in sorted(self._path.glob("*.seg")):
            if file.stem.isdigit() and file == self._file(int(file.stem)):
                headers[int(file.stem)] = segment.read_header(file)
            else:
                self._quarantine_file(file)
        ours = [header.journal_id for header in headers.values() if header]
        saved = load_cursor(self._path / "cursor")
        if saved and (saved.journal_id in ours or not ours):
            self._id, self._acked = saved.journal_id, saved.cursor
        else:
            self._id, self._acked = (ours[0] if ours else uuid.uuid4().bytes), Cursor(0, 0)
        self._salt = segment.salt_of(self._id)
        for number, header in headers.items():
            if header is None or header.journal_id != self._id:
                self._quarantine_file(self._file(number))
            elif number < self._acked.segment:
                self._file(number).unlink(missing_ok=True)
            else:
                self._sealed[number] = self._file(number).stat().st_size
                self._unsynced.add(number)
                self.other_boot |= header.boot_id != self._boot_id

    def _rotate(self) -> None:
        """Seals the active segment and starts the next. Raises `OSError`, with nothing changed."""
        number = self._active + 1
        fd = os.open(self._file(number), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC, 0o600)
        header = segment.header(self._id, self._boot_id)
        try:
            if os.write(fd, header) != len(header):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            os.close(fd)
            self._file(number).unlink(missing_ok=True)
            raise
        if self._fd >= 0:
            self._sealed[self._active] = self._end
            self._unsynced.add(self._active)
            os.close(self._fd)
        self._fd, self._active, self._end, self._broken = fd, number, len(header), False
        self._count()

    def _count(self) -> None:
        """Keeps what `append` compares with in one number: how far the active segment may grow."""
        self._sealed_bytes = sum(self._sealed.values())
        self._room = min(self._segment_bytes, self._quota - self._sealed_bytes)

    def _make_room(self, size: int) -> None:
        """Called by `append` alone, so that no other thread ever closes the file under a write."""
        with self._guard:
            all_read = self._acked >= Cursor(self._active, self._end)
            if self._sealed_bytes + self._end + size > self._quota and not all_read:
                raise JournalFull(f"the journal holds its {self._quota} bytes")
            if self._end > segment.HEADER_BYTES or self._broken:
                try:
                    self._rotate()
                except OSError as error:
                    raise JournalFull(f"cannot start a segment: {error.strerror}") from error
                self._delete_acknowledged()
            if self._sealed_bytes + self._end + size > self._quota:
                raise JournalFull(f"the journal holds its {self._quota} bytes")

    def _delete_acknowledged(self) -> None:
        acked = self._acked
        for number, end in list(self._sealed.items()):
            if (number, end) <= acked:
                del self._sealed[number]
                self._unsynced.discard(number)
                self._file(number).unlink(missing_ok=True)
        self._count()

    def _undo(self) -> None:
        """Cuts off what a failed write left behind; a segment that cannot even be cut gets no more records."""
        try:
            os.ftruncate(self._fd, self._end)
        except OSError:
            self._broken = True

    # Reading

    def _place(self, cursor: Cursor) -> tuple[Cursor, int] | None:
        """The first readable place at or after `cursor` and the end of that segment."""
        with self._guard:
            ends = dict(self._sealed)
            if self._fd >= 0:
                ends[self._active] = self._end
        for number in sorted(ends):
            offset = max(cursor.offset if number == cursor.segment else 0, segment.HEADER_BYTES)
            if number >= cursor.segment and offset < ends[number]:
                return Cursor(number, offset), ends[number]
        return None

    def _scan(self, cursor: Cursor, end: int, max_frames: int, max_bytes: int) -> tuple[list[Frame], int]:
        with open(self._file(cursor.segment), "rb") as file:
            found = segment.scan(file, self._salt, cursor.offset, end, max_frames, max_bytes)
            if found.damaged:
                start, stop = found.damaged
                self._quarantine(Cursor(cursor.segment, start), file, stop)
        number = cursor.segment
        return [Frame(kind, payload, Cursor(number, after)) for kind, payload, after in found.records], found.reached

    # Damage

    def _quarantine(self, place: Cursor, file: segment.Readable, stop: int) -> None:
        if place in self._known_bad:
            return
        self._known_bad.add(place)
        self.damage.records += 1
        self.damage.bytes += stop - place.offset
        file.seek(place.offset)
        self._keep(f"{place.segment:016}-{place.offset}.bad", file.read(min(stop - place.offset, _READ_BYTES)))

    def _quarantine_file(self, file: Path) -> None:
        self.damage.foreign_files += 1
        folder = self._path / "quarantine"
        folder.mkdir(exist_ok=True)
        file.rename(folder / f"{file.name}.{uuid.uuid4().hex}")

    def _keep(self, name: str, content: bytes) -> None:
        """Saves damaged bytes for a person to look at: a courtesy that must not fail or fill the disk."""
        folder = self._path / "quarantine"
        try:
            folder.mkdir(exist_ok=True)
            if len(os.listdir(folder)) < _QUARANTINE_FILES:
                (folder / name).write_bytes(content)
        except OSError:
            return


def _sync_file(file: Path) -> None:
    """Syncs whatever of `file` is not on disk yet; one that was acknowledged and deleted meanwhile needs nothing."""
    try:
        fd = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _lock(file: Path) -> int:
    fd = os.open(file, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(fd)
        raise JournalLocked(f"the journal {str(file.parent)!r} is open in another process") from error
    return fd


def _kernel_boot_id() -> bytes:
    try:
        return uuid.UUID(Path("/proc/sys/kernel/random/boot_id").read_text().strip()).bytes
    except (OSError, ValueError):
        return bytes(16)
