"""The journal keeps what it was given, within its bounds, and never trusts damaged bytes."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from modelux_bus import journal as journal_module
from modelux_bus.cursor import Cursor
from modelux_bus.journal import Frame, Journal, JournalFull, JournalLocked

MIB = 1024 * 1024


def payloads(frames: list[Frame]) -> list[bytes]:
    return [frame.payload for frame in frames]


def everything(path: Path, quota: int = MIB) -> tuple[list[bytes], Journal]:
    journal = Journal(path, quota)
    kept = [frame.payload for frame in journal.recover()]
    journal.close()
    return kept, journal


def test_reads_back_in_order_over_many_segments(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 64 * MIB, segment_bytes=10_000)
    sent = [f"event {number} ".encode() * (number % 90) for number in range(3000)]
    for number, payload in enumerate(sent):
        journal.append(number % 256, payload)
    frames = list(journal.recover())
    assert payloads(frames) == sent
    assert [frame.kind for frame in frames] == [number % 256 for number in range(3000)]
    assert len(list(tmp_path.glob("*.seg"))) > 20
    assert journal.damage.records == 0
    journal.close()


def test_reads_in_steps_and_meets_new_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB)
    assert journal.read(journal.cursor) == ([], journal.cursor)
    for number in range(10):
        journal.append(1, bytes([number]))
    first, cursor = journal.read(journal.cursor, max_frames=4)
    rest, cursor = journal.read(cursor)
    assert payloads(first + rest) == [bytes([number]) for number in range(10)]
    assert journal.read(cursor) == ([], cursor)
    journal.append(1, b"later")
    assert payloads(journal.read(cursor)[0]) == [b"later"]
    journal.close()


def test_reads_a_record_longer_than_the_window(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 16 * MIB)
    sent = [b"a", os.urandom(3 * MIB), b"b", os.urandom(2 * MIB), b""]
    for payload in sent:
        journal.append(7, payload)
    assert payloads(list(journal.recover())) == sent
    assert payloads(journal.read(journal.cursor, max_bytes=10)[0]) == [b"a"]
    journal.close()


def test_continues_after_a_restart_from_the_acknowledged_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB, segment_bytes=4096)
    for number in range(500):
        journal.append(1, b"%d" % number)
    frames, _ = journal.read(journal.cursor, max_frames=123)
    journal.advance(frames[-1].after)
    journal.close()
    again = Journal(tmp_path, MIB)
    again.append(1, b"new")
    assert payloads(list(again.recover())) == [b"%d" % number for number in range(123, 500)] + [b"new"]
    again.close()


def test_advancing_deletes_segments_and_never_goes_back(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB, segment_bytes=4096)
    for _ in range(300):
        journal.append(1, bytes(100))
    before = len(list(tmp_path.glob("*.seg")))
    frames, end = journal.read(journal.cursor)
    journal.advance(end)
    journal.advance(frames[0].after)
    assert journal.cursor == end
    assert len(list(tmp_path.glob("*.seg"))) == 1 < before
    assert journal.read(journal.cursor)[0] == []
    journal.close()


def test_a_full_journal_refuses_and_takes_again_when_acknowledged(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 100_000)
    kept = 95
    for _ in range(kept):
        journal.append(1, bytes(1000))
    with pytest.raises(JournalFull, match="100000 bytes"):
        journal.append(1, bytes(5000))
    assert 0.9 < journal.used_fraction() <= 1.0
    assert sum(file.stat().st_size for file in tmp_path.glob("*.seg")) <= 100_000
    frames, end = journal.read(journal.cursor)
    assert len(frames) == kept
    journal.advance(end)
    for _ in range(kept - 10):
        journal.append(1, bytes(1000))
    journal.close()


def test_records_written_together_are_kept_all_or_none(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 100_000)
    journal.append_all(1, [b"a" * 1000, b"", b"b" * 5000])
    with pytest.raises(JournalFull):
        journal.append_all(1, [b"c", bytes(99_000)])
    journal.append(1, b"d")
    assert payloads(list(journal.recover())) == [b"a" * 1000, b"", b"b" * 5000, b"d"]
    journal.close()


def test_one_record_that_filled_the_quota_is_freed_once_read(tmp_path: Path) -> None:
    journal = Journal(tmp_path, 100_000)
    journal.append(1, bytes(99_000))
    with pytest.raises(JournalFull):
        journal.append(1, bytes(2000))
    journal.advance(journal.read(journal.cursor)[1])
    journal.append(1, bytes(2000))
    assert payloads(list(journal.recover())) == [bytes(2000)]
    journal.close()


def test_only_one_process_may_open_it(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB)
    with pytest.raises(JournalLocked):
        Journal(tmp_path, MIB)
    journal.close()
    Journal(tmp_path, MIB).close()


def test_says_when_the_machine_was_started_anew(tmp_path: Path) -> None:
    first = Journal(tmp_path, MIB, boot_id=bytes(16))
    assert not first.other_boot
    first.close()
    same = Journal(tmp_path, MIB, boot_id=bytes(16))
    assert not same.other_boot
    same.close()
    other = Journal(tmp_path, MIB, boot_id=b"1" * 16)
    assert other.other_boot
    other.close()


def test_what_was_appended_survives_kill_9(tmp_path: Path) -> None:
    script = """
import os, sys
from modelux_bus.journal import Journal
journal = Journal(sys.argv[1], 64 << 20, segment_bytes=1 << 16)
number = 0
while True:
    journal.append(1, b"%d " % number + bytes(500))
    os.write(1, b"%d\\n" % number)
    number += 1
"""
    root = str(Path(journal_module.__file__).parents[1])
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, cwd=root, env={"PYTHONPATH": root}
    ) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(2000)]
        process.send_signal(signal.SIGKILL)
        said += process.stdout.readlines()
    last = int([line for line in said if line.endswith(b"\n")][-1])
    kept, journal = everything(tmp_path, 64 * MIB)
    assert [int(payload.split()[0]) for payload in kept][: last + 1] == list(range(last + 1))
    assert journal.damage.records == 0


def test_a_full_disk_is_journal_full_and_leaves_it_whole(tmp_path: Path) -> None:
    limit = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(journal_module.__file__).parents[1])},
    )
    kept = int(limit.stdout)
    records, journal = everything(tmp_path)
    assert kept > 10
    assert records == [b"%d" % number + bytes(700) for number in range(kept)]
    assert journal.damage.records == 0


# A limit on the size of files makes write() stop short and then fail, as a full disk does.
FULL_DISK = """
import resource, signal, sys
from modelux_bus.journal import Journal, JournalFull
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
journal = Journal(sys.argv[1], 1 << 20)
kept = 0
for attempt in range(100):
    try:
        journal.append(1, b"%d" % kept + bytes(700))
        kept += 1
    except JournalFull:
        if attempt > 50:
            break
print(kept)
"""


def test_opens_on_a_full_disk_to_be_emptied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = Journal(tmp_path, MIB)
    first.append(1, b"kept")
    first.close()
    real = os.write

    def refuse(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(journal_module.os, "write", refuse)
    full = Journal(tmp_path, MIB)
    with pytest.raises(JournalFull):
        full.append(1, b"refused")
    frames, _ = full.read(full.cursor)
    assert payloads(frames) == [b"kept"]
    monkeypatch.setattr(journal_module.os, "write", real)
    full.append(1, b"room again")
    assert payloads(list(full.recover())) == [b"kept", b"room again"]
    full.close()


def test_sync_reaches_the_disk_and_a_failed_one_changes_the_segment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path, MIB)
    journal.append(1, b"one")
    journal.sync()

    def refuse(fd: int) -> None:
        raise OSError(errno.EIO, "input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(journal_module.os, "fsync", refuse)
        with pytest.raises(JournalFull):
            journal.sync()
    before = set(tmp_path.glob("*.seg"))
    journal.append(1, b"two")
    assert len(set(tmp_path.glob("*.seg")) - before) == 1
    journal.sync()
    assert payloads(list(journal.recover())) == [b"one", b"two"]
    journal.close()


def test_a_flipped_byte_costs_one_record_and_is_quarantined_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB)
    for number in range(100):
        journal.append(1, b"%03d" % number + bytes(97))
    journal.close()
    file = next(tmp_path.glob("*.seg"))
    content = bytearray(file.read_bytes())
    content[content.index(b"050")] ^= 1
    file.write_bytes(content)
    again = Journal(tmp_path, MIB)
    for _ in range(2):
        kept = [int(frame.payload[:3]) for frame in again.recover()]
        assert kept == [number for number in range(100) if number != 50]
        assert (again.damage.records, again.damage.bytes) == (1, 109)
    assert len(list((tmp_path / "quarantine").iterdir())) == 1
    again.close()


def test_a_damaged_length_costs_one_record(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB)
    ends = []
    for number in range(100):
        journal.append(1, b"%03d" % number + bytes(97))
        ends.append(journal.read(journal.cursor, max_bytes=MIB)[1].offset)
    journal.close()
    file = next(tmp_path.glob("*.seg"))
    content = bytearray(file.read_bytes())
    content[ends[49] + 1] ^= 0x80
    file.write_bytes(content)
    kept, _ = everything(tmp_path)
    assert [int(payload[:3]) for payload in kept] == [number for number in range(100) if number != 50]


def test_a_payload_cannot_smuggle_records_past_damage(tmp_path: Path) -> None:
    other = Journal(tmp_path / "other", MIB)
    other.append(9, b"forged")
    other.close()
    forged = next((tmp_path / "other").glob("*.seg")).read_bytes()
    journal = Journal(tmp_path / "own", MIB)
    journal.append(1, forged * 20)
    journal.append(1, b"honest")
    journal.close()
    file = next((tmp_path / "own").glob("*.seg"))
    content = bytearray(file.read_bytes())
    content[journal_module.segment.HEADER_BYTES + 1] ^= 0x40
    file.write_bytes(content)
    assert everything(tmp_path / "own")[0] == [b"honest"]


def test_foreign_files_are_put_aside(tmp_path: Path) -> None:
    for name in ("a", "b"):
        journal = Journal(tmp_path / name, MIB)
        journal.append(1, name.encode())
        journal.close()
    (foreign,) = (tmp_path / "b").glob("*.seg")
    shutil.copy(foreign, tmp_path / "a" / f"{77:016}.seg")
    (tmp_path / "a" / "notes.seg").write_text("not a segment")
    kept, journal = everything(tmp_path / "a")
    assert kept == [b"a"]
    assert journal.damage.foreign_files == 2


def test_a_damaged_cursor_repeats_rather_than_loses(tmp_path: Path) -> None:
    journal = Journal(tmp_path, MIB)
    for number in range(10):
        journal.append(1, b"%d" % number)
    journal.advance(journal.read(journal.cursor, max_frames=5)[1])
    journal.close()
    (tmp_path / "cursor").write_bytes(b"garbage")
    kept, _ = everything(tmp_path)
    assert kept == [b"%d" % number for number in range(10)]


def mutate(rng: random.Random, content: bytearray) -> bytearray:
    """One of the faults that disks, crashes and people cause."""
    at = rng.randrange(len(content))
    match rng.randrange(6):
        case 0:
            return content[:at]
        case 1:
            content[at] ^= 1 << rng.randrange(8)
        case 2:
            content[at : at + 512] = bytes(len(content[at : at + 512]))
        case 3:
            content += rng.randbytes(rng.randrange(1, 400))
        case 4:
            content[at : at + 64] = rng.randbytes(len(content[at : at + 64]))
        case _:
            del content[at : at + rng.randrange(1, 200)]
    return content


def test_four_thousand_damaged_journals(tmp_path: Path) -> None:
    """Whatever happens to the bytes: no crash, no invented record, order kept, everything before the damage kept."""
    rng = random.Random(20)
    journal = Journal(tmp_path, MIB, segment_bytes=4096, boot_id=bytes(16))
    sent = [b"%04d" % number + rng.randbytes(rng.randrange(300)) for number in range(40)]
    for payload in sent:
        journal.append(1, payload)
    journal.close()
    pristine = {file: file.read_bytes() for file in sorted(tmp_path.glob("*.seg"))}
    lost_most = 0
    for _ in range(4000):
        for left in tmp_path.glob("*.seg"):
            left.unlink()
        shutil.rmtree(tmp_path / "quarantine", ignore_errors=True)
        victim = rng.choice(list(pristine))
        for file, content in pristine.items():
            file.write_bytes(mutate(rng, bytearray(content)) if file == victim else content)
        kept, again = everything(tmp_path)
        before = [p for file, content in pristine.items() if file < victim for p in sent if p in content]
        assert kept[: len(before)] == before
        assert [payload for payload in sent if payload in kept] == kept
        if kept != sent:
            lost_most = max(lost_most, len(sent) - len(kept))
            changed = again.damage.records + again.damage.foreign_files
            assert changed or victim.stat().st_size < len(pristine[victim]) if victim.exists() else changed
    assert 0 < lost_most < len(sent)


def test_cursors_order_as_they_are_read() -> None:
    assert Cursor(1, 900) < Cursor(2, 0) < Cursor(2, 1)
