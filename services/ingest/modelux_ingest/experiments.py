"""Write batches of `experiment.results` to ClickHouse: they come in the shape of their table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from modelux.events.v1.experiment_pb2 import ExperimentResults
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_store.analytics import Analytics, Rejected, Unavailable

TABLE = "experiment_rows"
_OWN = ("experiment_id", "organization_id", "project_id")
_MANY_ROWS = 3_000
"""A stream of so many is worth an insert of its own: to unpack it and pack it with others takes as long."""
_BROKEN = (pa.ArrowException, OSError)
"""What Arrow raises for a stream that it cannot read."""
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")
"""ClickHouse takes 50,000 rows with their traces for 0.3 CPU seconds so, plain for 0.45: it copies what it receives."""


@dataclass(frozen=True, slots=True)
class _Rows:
    """An Arrow stream, and the deliveries whose rows it holds."""

    deliveries: tuple[int, ...]
    schema: pa.Schema
    stream: bytes = field(repr=False)
    whole: bool
    """Whether it is best inserted as it came."""


class ResultsWriter:
    """Handles one member's deliveries. Rows that come twice replace themselves."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Writes large deliveries as they came, and the rows of all others as one block for each shape of theirs.

        Raises:
            InvalidMessage: one delivery holds no results, or ClickHouse will never take them.
            Overloaded: ClickHouse is away or busy.
        """
        found = [_checked(index, delivery) for index, delivery in enumerate(deliveries)]
        blocks = [each for each in found if each.whole]
        others = [each for each in found if not each.whole]
        for schema in dict.fromkeys(each.schema for each in others):
            blocks.append(_together([each for each in others if each.schema == schema]))
        for block in blocks:
            try:
                await self._write(block)
            except Rejected as error:
                await self._blame([found[index] for index in block.deliveries])
                raise Overloaded(f"ClickHouse refused rows together that it took alone: {error}") from error
        return []

    async def _blame(self, parts: Sequence[_Rows]) -> None:
        """Finds the delivery that ClickHouse will not take."""
        for part in parts:
            try:
                await self._write(_together([part]))
            except Rejected as error:
                raise InvalidMessage(part.deliveries[0], f"ClickHouse refuses it: {error}") from error

    async def _write(self, rows: _Rows) -> None:
        try:
            await self._analytics.insert_arrow(TABLE, rows.schema.names, rows.stream)
        except Unavailable as error:
            _read(rows)  # what came broken is no reason to wait
            raise Overloaded(f"ClickHouse: {error}") from error


def _checked(index: int, delivery: Delivery) -> _Rows:
    """The rows of a delivery, which belong to the experiment that it names: only the columns that say so are read."""
    message = delivery.message
    try:
        event = codec.decode(ExperimentResults, message.value, message.headers)
    except codec.Undecodable as error:
        raise InvalidMessage(index, str(error)) from error
    try:
        schema = pa.ipc.open_stream(event.arrow).schema
        places = [schema.get_field_index(name) for name in _OWN if name in schema.names]
        reader = pa.ipc.open_stream(event.arrow, options=pa.ipc.IpcReadOptions(included_fields=places))
        own = reader.read_all()
    except _BROKEN as error:
        raise _no_stream(index, error) from error
    for name in _OWN:
        if name not in schema.names or set(own.column(name).unique().to_pylist()) != {getattr(event, name)}:
            raise InvalidMessage(index, f"its rows are not all of the {name} that it names")
    # In one batch a column has one dictionary; more of them are joined here, not left to ClickHouse.
    whole = len(own) >= _MANY_ROWS and reader.stats.num_record_batches == 1
    return _Rows((index,), schema, event.arrow, whole)


def _together(parts: Sequence[_Rows]) -> _Rows:
    """The rows of several of one schema as one block."""
    table = pa.concat_tables([_read(part) for part in parts]).unify_dictionaries()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=_PACKED) as writer:
        writer.write_table(table)
    deliveries = tuple(index for part in parts for index in part.deliveries)
    return _Rows(deliveries, table.schema, sink.getvalue().to_pybytes(), whole=False)


def _read(rows: _Rows) -> pa.Table:
    try:
        return pa.ipc.open_stream(rows.stream).read_all()
    except _BROKEN as error:
        raise _no_stream(rows.deliveries[0], error) from error


def _no_stream(index: int, error: Exception) -> InvalidMessage:
    return InvalidMessage(index, f"its rows are no Arrow stream: {error}")
