"""The processes that simulate: started once, spawned and never forked, each with the plan it was last asked for."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from importlib.abc import MetaPathFinder
from multiprocessing import connection
from pathlib import Path
from types import ModuleType
from typing import TypeVar, cast

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.plan import Ordered, Plan, Prepare, Simulator

T = TypeVar("T")

MOST_BYTES = 4 * 1024 * 1024
"""Of one message with results, before the bus's own framing: it takes 8 MiB."""
SUMMARY_COLUMNS = (
    "evidence",
    "baseline_model",
    "baseline_provider",
    "baseline_cost_nano",
    "baseline_latency_us",
    "baseline_status",
    "baseline_input_tokens",
    "baseline_output_tokens",
    "candidate_model",
    "candidate_provider",
    "candidate_cost_nano",
    "candidate_cost_low_nano",
    "candidate_cost_high_nano",
    "candidate_latency_us",
    "candidate_status",
    "candidate_input_tokens",
    "candidate_output_tokens",
    "candidate_error_code",
    "similarity",
    "repeat_similarity",
    "repeat_status",
    "weight",
    "propensity",
    "split_draw",
    "stratum",
    "cluster",
    "reproduced",
)
"""What of the results the summary reads."""
PLACE = "place"
"""Of a row, in the window."""
_OWN = b'"request_id":'
"""Comes before the part of a trace that is its request's own."""
_PACKED = pa.ipc.IpcWriteOptions(compression=pa.Codec("zstd", 1), use_threads=False)
"""A unit of 5,000 rows took 6.8 ms with this, where it took 8.6 with level 3 and 5.1 with LZ4, which left it twice as
large. Workers take every core as it is."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work: a plan in a file, where the rows come from, and the columns that every result row gets."""

    prepare: Prepare
    """A function of a module, so that it can be named to another process."""
    plan: str
    rows: Callable[[], pa.Table] = field(repr=False)
    """Reads them, in the worker: a function of a module, with its arguments."""
    first_row: int
    weight: float
    constants: Mapping[str, str]
    ordered: bool = False
    """Whether rows under budgets are left for `run_left`; the simulator is `plan.Ordered` then."""


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a unit: `streams` in the shape of ClickHouse's table, `summary` with `SUMMARY_COLUMNS`."""

    rows: int
    streams: tuple[tuple[int, bytes], ...] = field(repr=False)
    """Rows and Arrow stream of each part."""
    summary: bytes = field(repr=False)
    left: bytes = field(default=b"", repr=False)
    """Rows that must be replayed after those left by the units before, with their places in `PLACE`; mostly none."""


class Pool:
    """Worker processes, started at the first piece of work. `workers` 0: one for each core."""

    def __init__(self, workers: int) -> None:
        self.workers = workers or os.cpu_count() or 1
        self._executor: ProcessPoolExecutor | None = None

    async def run(self, work: Callable[..., T], *arguments: object) -> T:
        """Runs a function of a module, in some worker. Raises what it raises."""
        if self._executor is None:
            context = multiprocessing.get_context("spawn")
            self._executor = ProcessPoolExecutor(self.workers, context, initializer=_settle)
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)

    def reset(self) -> None:
        """Gives up workers that died; the next piece of work starts new ones."""
        if self._executor is not None:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._executor = None

    def close(self) -> None:
        if self._executor is not None:
            self._executor.shutdown(wait=True, cancel_futures=True)


@contextmanager
def shared(plan: Plan) -> Iterator[str]:
    """The plan in a file that workers read, for as long as the block lasts."""
    with written(msgspec.msgpack.encode(plan, enc_hook=stream_of)) as path:
        yield path


def packed(plan: Plan) -> bytes:
    """The plan as workers read it, small enough to be sent to other machines."""
    return msgspec.msgpack.encode(plan, enc_hook=partial(stream_of, packed=True))


@contextmanager
def written(plan: bytes) -> Iterator[str]:
    """A plan of `packed` in a file, as `shared`."""
    with tempfile.TemporaryDirectory(prefix="modelux-replay-") as folder:
        path = Path(folder) / "plan"
        path.write_bytes(plan)
        yield str(path)


class _WithoutPandas(MetaPathFinder):
    """Arrow loads pandas where it is installed, as with chdb: 0.2 s and some 40 MB of every worker, for nothing."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        if name == "pandas":
            raise ModuleNotFoundError("workers do without pandas", name=name)


def _settle() -> None:
    """A new worker leaves Ctrl-C to its parent, and ends when that is killed: its queue would wait for ever."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.meta_path.insert(0, _WithoutPandas())
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=follow, name="parent", daemon=True).start()


def run_unit(unit: Unit) -> Done:
    """Simulates a unit, in a worker."""
    simulator, rows = _simulator(unit.prepare, unit.plan), unit.rows()
    if not unit.ordered:
        return done(_weighed(simulator(rows, unit.first_row), unit.weight), unit.constants)
    waits = cast(Ordered, simulator).under_budgets(rows)
    numbered = rows.append_column(PLACE, pa.array(range(unit.first_row, unit.first_row + len(rows)), pa.uint32()))
    now, left = numbered.filter(pc.invert(waits)), numbered.filter(waits)
    results = _placed(simulator(now.drop_columns([PLACE]), 0), now.column(PLACE))
    found = done(_weighed(results, unit.weight), unit.constants)
    return replace(found, left=stream_of(left)) if len(left) else found


def run_shared(unit: Unit) -> Done:
    """`run_unit`, with what it left packed, to be kept."""
    found = run_unit(unit)
    return replace(found, left=stream_of(_table(found.left), packed=True)) if found.left else found


def run_left(unit: Unit, left: bytes, state: bytes) -> tuple[Done, bytes]:
    """Simulates what a unit left, given the state after those left before it; the state after these."""
    rows = _table(left)
    simulator = cast(Ordered, _simulator(unit.prepare, unit.plan))
    results, state = simulator.in_order(rows.drop_columns([PLACE]), state, unit.weight)
    return done(_weighed(_placed(results, rows.column(PLACE)), unit.weight), unit.constants), state


def _placed(results: pa.Table, places: pa.ChunkedArray) -> pa.Table:
    return results.set_column(results.schema.get_field_index("row"), "row", places)


def _weighed(results: pa.Table, weight: float) -> pa.Table:
    if weight == 1.0:
        return results
    weights = pa.array([weight] * len(results), pa.float64())
    return results.set_column(results.schema.get_field_index("weight"), "weight", weights)


def done(results: pa.Table, constants: Mapping[str, str]) -> Done:
    """Results ready to be told: a table of `RESULTS`, perhaps with more columns; each row gets the constants too."""
    results = _thin(results.combine_chunks())  # one batch: all that is done to a column is done once
    whole = split_traces(results)
    for name, value in constants.items():
        whole = whole.append_column(name, _repeated(value, len(results)))
    return Done(len(results), tuple(_parts(whole)), stream_of(results.select(SUMMARY_COLUMNS), packed=True))


def split_traces(results: pa.Table) -> pa.Table:
    """With what traces have in common with others, up to their own request, in a column apart: each such head once."""
    place = results.schema.get_field_index("trace")
    cut = pc.split_pattern(results.column(place).combine_chunks().fill_null(b""), _OWN, max_splits=1)
    pieces, parts = cut.flatten(), pc.list_value_length(cut)
    last = pc.subtract(pc.cumulative_sum(parts), 1)
    heads = pieces.take(pc.if_else(pc.equal(parts, 2), pc.subtract(last, 1), None)).dictionary_encode()
    none = len(heads.dictionary)
    texts = pa.concat_arrays([pc.binary_join_element_wise(heads.dictionary, _OWN, b""), pa.array([b""], pa.binary())])
    known = pa.DictionaryArray.from_arrays(heads.indices.fill_null(none), texts)
    return results.set_column(place, "trace", pieces.take(last)).append_column("trace_head", known)


def stream_of(table: pa.Table, *, packed: bool = False) -> bytes:
    """A table as an Arrow IPC stream."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_PACKED if packed else None) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def _thin(table: pa.Table) -> pa.Table:
    """With each text once, but for ids, which are all different."""
    for place, each in enumerate(table.schema):
        if pa.types.is_string(each.type) and not each.name.endswith("request_id"):
            table = table.set_column(place, each.name, table.column(place).dictionary_encode())
    return table


def _repeated(value: str, count: int) -> pa.DictionaryArray:
    return pa.DictionaryArray.from_arrays(pa.repeat(pa.scalar(0, pa.int32()), count), pa.array([value], pa.string()))


def _parts(table: pa.Table) -> Iterator[tuple[int, bytes]]:
    """The table in halves of halves, until each fits into a message."""
    stream = stream_of(table, packed=True)
    if len(stream) <= MOST_BYTES or len(table) == 1:
        yield len(table), stream
        return
    middle = len(table) // 2
    yield from _parts(table.slice(0, middle))
    yield from _parts(table.slice(middle))


def _read(kind: type[object], stream: object) -> object:
    """The tables of a plan, the only fields of it that MessagePack does not know."""
    assert kind is pa.Table
    assert isinstance(stream, bytes)
    return _table(stream)


def _table(stream: bytes) -> pa.Table:
    return pa.ipc.open_stream(stream).read_all()


_prepared: dict[str, Simulator] = {}
"""The simulator of the plan that this worker was last asked for."""


def _simulator(prepare: Prepare, path: str) -> Simulator:
    if path not in _prepared:
        _prepared.clear()
        _prepared[path] = prepare(msgspec.msgpack.decode(Path(path).read_bytes(), type=Plan, dec_hook=_read))
    return _prepared[path]
