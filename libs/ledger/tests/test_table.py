"""The table of leases: what was written is read back after any death, and what cannot be trusted is noticed."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_ledger.table import LEAST_SLOTS, PAGE, SLOT, LeaseTable, TableLocked
from routing_core.ledger.meters import Meter
from routing_core.ledger.slots import FULL

BOOT = b"boot-of-the-test"
METER = Meter("bud_1", "run-7", "usd")
KILLED = """
import logging, os, random, signal, sys, time
from contextlib import closing
from pathlib import Path
from modelux_ledger.table import LeaseTable
from routing_core.ledger.meters import Meter

logging.disable()
folder, boot, meter = Path(sys.argv[1]), b"boot-of-the-test", Meter("bud_1", "", "usd")

def spend(file, begun):
    table = LeaseTable(file, boot)
    table.identify("rep_1")
    index = table.add("op/0", meter, 0, 10**9)
    os.write(begun, b"!")
    for n in range(10**9):
        table.update(index, 10**9, n, n, n, n)
        table.remove(table.add("op/1", meter, 0, n))

for death in range(int(sys.argv[2])):
    file = folder / str(death)
    reading, writing = os.pipe()
    if not (child := os.fork()):
        spend(file, writing)
    os.read(reading, 1)
    time.sleep(random.random() / 2000)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading), os.close(writing)
    with closing(LeaseTable(file, boot)) as table:
        found = {row.lease_id: (row.granted, row.settled, row.open, row.unknown, row.overrun) for row in table.load()}
        print(table.replica_id, *found.get("op/0", ()), *found.keys() - {"op/0", "op/1"})
    file.unlink()
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "leases"


def opened(file: Path, boot_id: bytes = BOOT) -> LeaseTable:
    return LeaseTable(file, boot_id)


def rows(file: Path) -> list[tuple[Any, ...]]:
    """Lease ids and totals as a process that comes next finds them."""
    with closing(opened(file)) as table:
        found = [(r.lease_id, r.meter, r.granted, r.settled, r.open, r.unknown, r.overrun) for r in table.load()]
    return sorted(found)


def filled(file: Path) -> LeaseTable:
    """Two leases, one of them removed and one added in its place, and one that was spent from."""
    table = opened(file)
    table.identify("rep_1")
    removed = table.add("op_1/0", METER, 5, 100)
    spent = table.add("op_1/1", Meter("bud_2", "", "calls"), 0, 7)
    table.remove(removed)
    table.add("op_2/0", METER, 5, 300)
    table.update(spent, 7, 3, 2, 1, 0)
    return table


FILLED = [
    ("op_1/1", Meter("bud_2", "", "calls"), 7, 3, 2, 1, 0),
    ("op_2/0", METER, 300, 0, 0, 0, 0),
]


def test_what_was_written_is_there_after_a_restart(file: Path) -> None:
    filled(file).close()
    with closing(opened(file)) as table:
        assert (table.replica_id, table.discarded) == ("rep_1", "")
        assert {row.lease_id: row.window_start_us for row in table.load()} == {"op_1/1": 0, "op_2/0": 5}
    assert rows(file) == FILLED


def test_one_process_at_a_time(file: Path) -> None:
    with closing(filled(file)), pytest.raises(TableLocked, match="another process spends") as refused:
        opened(file)
    assert refused.value.hint == "Give each process a data folder of its own."


def test_it_grows_and_keeps_what_it_had(file: Path) -> None:
    with closing(opened(file)) as table:
        assert file.stat().st_size == PAGE
        indexes = [table.add(f"op/{n}", METER, 0, n) for n in range(LEAST_SLOTS * 3)]
        assert len(set(indexes)) == LEAST_SLOTS * 3
    assert {row[0]: row[2] for row in rows(file)} == {f"op/{n}": n for n in range(LEAST_SLOTS * 3)}


def test_slots_are_used_again(file: Path) -> None:
    with closing(opened(file)) as table:
        for n in range(LEAST_SLOTS * 3):
            table.remove(table.add(f"op/{n}", METER, 0, n))
    assert file.stat().st_size == PAGE + LEAST_SLOTS * SLOT


def test_the_longest_names_fit_and_longer_ones_are_refused(file: Path) -> None:
    with closing(opened(file)) as table:
        assert table.add("op_" + "0" * 26 + "/0", Meter("bud_" + "0" * 26, "𝔘" * 512, "calls"), 0, 1) != FULL
        assert table.add("op/1", Meter("bud_1", "x" * SLOT, "usd"), 0, 1) == FULL
        assert len(table.load()) == 1


def test_a_full_disk_leaves_the_table_as_it_was(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with closing(filled(file)) as table:
        monkeypatch.setattr("os.posix_fallocate", refuse)
        indexes = [table.add(f"more/{n}", METER, 0, 1) for n in range(LEAST_SLOTS)]
        assert indexes[-2:] == [FULL, FULL]
        assert FULL not in indexes[:-2]
    assert len(rows(file)) == LEAST_SLOTS


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        pytest.param(lambda content: content[: PAGE + SLOT], "the file was cut short", id="cut short"),
        pytest.param(lambda content: b"x" * PAGE + content[PAGE:], "its header is damaged", id="another file"),
        pytest.param(lambda content: content[:100], "its header is damaged", id="half a header"),
    ],
)
def test_a_table_that_lost_something_is_emptied_with_its_identity(
    file: Path, harm: Callable[[bytes], bytes], reason: str
) -> None:
    filled(file).close()
    file.write_bytes(harm(file.read_bytes()))
    with closing(opened(file)) as table:
        assert (table.replica_id, table.load(), table.discarded) == ("", [], reason)
        table.identify("rep_2")
        table.add("op_9/0", METER, 0, 1)
    assert [row[0] for row in rows(file)] == ["op_9/0"]


@pytest.mark.parametrize("boot", [pytest.param(b"another boot....", id="another"), pytest.param(bytes(16), id="none")])
def test_after_another_boot_nothing_is_trusted(file: Path, boot: bytes) -> None:
    filled(file).close()
    with closing(opened(file, boot)) as table:
        assert (table.replica_id, table.load()) == ("", [])
        assert table.discarded == "the machine was started anew since"


def test_where_the_kernel_names_no_boot_nothing_is_trusted(file: Path) -> None:
    opened(file, bytes(16)).close()
    with closing(opened(file, bytes(16))) as table:
        assert table.discarded


def test_every_flipped_byte_is_harmless_or_noticed(file: Path) -> None:
    filled(file).close()
    content = file.read_bytes()
    places = [*range(140), *range(PAGE, PAGE + 400), *range(PAGE + SLOT, PAGE + SLOT + 400)]
    noticed = 0
    for place in places:
        flipped = bytearray(content)
        flipped[place] ^= 0x41
        file.write_bytes(flipped)
        with closing(opened(file)) as table:
            noticed += bool(table.discarded)
            assert table.discarded or table.replica_id == "rep_1"
            kept = [] if table.discarded else FILLED
        file.write_bytes(flipped)
        assert rows(file) == kept, f"byte {place}"
    assert noticed > 80


@given(cut=st.integers(0, 96), totals=st.lists(st.integers(0, 2**62), min_size=10, max_size=10))
def test_a_death_within_an_update_leaves_the_totals_before_or_after_it(
    tmp_path_factory: pytest.TempPathFactory, cut: int, totals: list[int]
) -> None:
    file = tmp_path_factory.mktemp("torn") / "leases"
    with closing(opened(file)) as table:
        index = table.add("op/0", METER, 0, 1)
        table.update(index, *totals[:5])
        before = file.read_bytes()
        table.update(index, *totals[5:])
        after = file.read_bytes()
    at = PAGE + index * SLOT + 32 + cut
    file.write_bytes(after[:at] + before[at:])
    ((_, _, *found),) = rows(file)
    assert found in (totals[:5], totals[5:])


@given(cut=st.integers(0, PAGE))
def test_a_death_while_the_room_doubles_leaves_every_lease(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    file = tmp_path_factory.mktemp("grown") / "leases"
    with closing(opened(file)) as table:
        table.identify("rep_1")
        for n in range(LEAST_SLOTS):
            table.add(f"op/{n}", METER, 0, n)
        before = file.read_bytes()
        table.add("op/one more", METER, 0, 1)
        after = file.read_bytes()
    # The room is made first, and then both headers say so.
    file.write_bytes(after[:cut] + before[cut:] + bytes(len(after) - len(before)))
    with closing(opened(file)) as table:
        assert table.replica_id == "rep_1"
        assert len(table.load()) == LEAST_SLOTS
        assert table.add("op/one more", METER, 0, 1) != FULL


@pytest.mark.parametrize(
    "torn", [pytest.param((0, 512), id="header"), pytest.param((PAGE + SLOT + 32, PAGE + SLOT + 80), id="totals")]
)
@pytest.mark.parametrize("first", [0, 1])
def test_deaths_that_tear_one_copy_each_time_lose_nothing(file: Path, torn: tuple[int, int], first: int) -> None:
    filled(file).close()
    for death in range(first, first + 4):
        content = bytearray(file.read_bytes())
        at = torn[death % 2]
        content[at : at + 40] = bytes(40)
        file.write_bytes(content)
        assert rows(file) == FILLED


@given(written=st.sets(st.integers(8, SLOT - 1)))
def test_a_death_within_an_addition_leaves_no_trace(
    tmp_path_factory: pytest.TempPathFactory, written: set[int]
) -> None:
    file = tmp_path_factory.mktemp("torn") / "leases"
    with closing(filled(file)) as table:
        before = file.read_bytes()
        at = PAGE + table.add("op_3/0", METER, 0, 9) * SLOT
        after = file.read_bytes()
    torn = bytearray(before)
    for place in written:
        torn[at + place] = after[at + place]
    file.write_bytes(torn)
    assert rows(file) == FILLED
    file.write_bytes(after)
    assert len(rows(file)) == 3


@given(
    steps=st.lists(st.tuples(st.sampled_from(["add", "update", "remove"]), st.integers(0, 2**40)), max_size=200),
)
def test_it_holds_what_a_dictionary_would(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    file = tmp_path_factory.mktemp("model") / "leases"
    model: dict[int, tuple[Any, ...]] = {}
    with closing(opened(file)) as table:
        for number, (step, amount) in enumerate(steps):
            if step == "add":
                index = table.add(f"op/{number}", METER, 0, amount)
                assert index not in model
                model[index] = (f"op/{number}", METER, amount, 0, 0, 0, 0)
            elif model:
                index = list(model)[amount % len(model)]
                if step == "remove":
                    table.remove(index)
                    del model[index]
                else:
                    totals = (amount, amount // 2, amount // 3, amount // 5, amount // 7)
                    table.update(index, *totals)
                    model[index] = (*model[index][:2], *totals)
        # What the file says while the process lives is what a process after its death finds.
        copy = file.with_name("copy")
        copy.write_bytes(file.read_bytes())
    assert rows(copy) == sorted(model.values())


def test_a_killed_process_leaves_whole_totals(tmp_path: Path) -> None:
    deaths = 300
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(tmp_path), str(deaths)], stdout=subprocess.PIPE, timeout=60, check=True
    )
    left = [line.split() for line in done.stdout.splitlines()]
    assert len(left) == deaths
    for replica_id, granted, *spent in left:
        assert (replica_id, granted, len(spent), len(set(spent))) == (b"rep_1", b"1000000000", 4, 1)
