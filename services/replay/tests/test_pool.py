"""Workers: what they are sent, what they give back, and that they leave with their parent."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from plain_simulator import prepare
from pool_process import loads_pandas

from modelux_providers.catalog import CredentialFacts, PriceOverride
from modelux_replay.plan import CALLS, ROWS, Document, Plan
from modelux_replay.pool import MOST_BYTES, SUMMARY_COLUMNS, Pool, Unit, run_unit, shared

CONSTANTS = {"experiment_id": "sim_1", "organization_id": "org_1", "project_id": "proj_1"}
NO_CALLS = CALLS.empty_table()


def plan_of(model: str = "gpt-4o-mini") -> Plan:
    document = Document("", 0, b'{"strategy":"single","model":"%s"}' % model.encode())
    price = PriceOverride("prc_1", "openai", "gpt-4o-mini", 1, 2, cache_read=None)
    credential = CredentialFacts("pc_1", "openai", ("gpt-4o-mini",))
    return Plan("proj_1", 7, document, (document,), {"production": 3}, (credential,), (price,), NO_CALLS, "task")


def rows_of(count: int, error_code: str = "") -> pa.Table:
    row = dict.fromkeys(ROWS.names)
    row |= {"request_id": "req", "started_at": datetime(2026, 4, 10, tzinfo=UTC), "model": "gpt-4o", "outcome": "ok"}
    row |= {"cost_nano": 10, "latency_us": 10, "attempts": 1, "input_tokens": 1, "output_tokens": 1}
    row |= {"tags": {"task": "t"}, "error_code": error_code}
    return pa.Table.from_pylist([row] * count, ROWS)


def unit_of(path: str, rows: pa.Table, first_row: int = 0, weight: float = 1.0) -> Unit:
    return Unit(prepare, path, lambda: rows, first_row, weight, CONSTANTS)


def test_a_plan_comes_through_a_file_as_it_was(tmp_path: Path) -> None:
    wanted = plan_of()
    seen: list[Plan] = []

    def look(plan: Plan) -> object:
        seen.append(plan)
        return prepare(plan)

    with shared(wanted) as path:
        run_unit(Unit(look, path, lambda: rows_of(1), 0, 1.0, CONSTANTS))  # type: ignore[arg-type]
        assert Path(path).exists()
    assert not Path(path).exists()
    (found,) = seen
    same = [name for name in Plan.__dataclass_fields__ if getattr(found, name) == getattr(wanted, name)]
    assert same == list(Plan.__dataclass_fields__)


def test_a_unit_comes_back_in_the_shape_of_the_table() -> None:
    with shared(plan_of()) as path:
        done = run_unit(unit_of(path, rows_of(3), 100, 2.5))
    ((rows, stream),) = done.streams
    table = pa.ipc.open_stream(stream).read_all()
    assert (rows, done.rows, len(table)) == (3, 3, 3)
    assert table.column("row").to_pylist() == [100, 101, 102]
    assert table.column("weight").to_pylist() == [2.5] * 3
    assert {name: table.column(name)[0].as_py() for name in CONSTANTS} == CONSTANTS
    summary = pa.ipc.open_stream(done.summary).read_all()
    assert tuple(summary.column_names) == SUMMARY_COLUMNS
    assert summary.column("cluster").to_pylist() == ["t"] * 3


def test_what_is_too_large_for_a_message_comes_in_parts() -> None:
    with shared(plan_of()) as path:
        done = run_unit(unit_of(path, rows_of(4, "x" * MOST_BYTES)))
        large = run_unit(unit_of(path, pa.concat_tables([rows_of(1, os.urandom(2**20).hex()) for _ in range(5)])))
    assert len(done.streams) == 1, "what counts is the packed size"
    assert len(large.streams) > 1
    assert sum(rows for rows, _ in large.streams) == large.rows == 5
    found = pa.concat_tables([pa.ipc.open_stream(stream).read_all() for _, stream in large.streams])
    assert found.column("row").to_pylist() == list(range(5))


async def test_workers_that_died_are_replaced(tmp_path: Path) -> None:
    pool = Pool(1)
    first = await pool.run(os.getpid)
    pool.reset()
    second = await pool.run(os.getpid)
    pool.close()
    assert first != second != os.getpid()


async def test_workers_do_without_pandas() -> None:
    pool = Pool(1)
    try:
        assert not await pool.run(loads_pandas)
    finally:
        pool.close()


async def test_workers_leave_with_a_parent_that_is_killed() -> None:
    script = Path(__file__).with_name("pool_process.py")
    parent = await asyncio.create_subprocess_exec(sys.executable, script, stdout=asyncio.subprocess.PIPE)
    assert parent.stdout is not None
    workers = [int(each) for each in (await parent.stdout.readline()).split()]
    assert len(workers) == 2
    parent.send_signal(signal.SIGKILL)
    await parent.wait()
    async with asyncio.timeout(20):
        while any(_runs(each) for each in workers):
            await asyncio.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
