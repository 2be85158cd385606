"""Write batches of `experiment.results` to ClickHouse: they come in the shape of their table."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from modelux.events.v1.experiment_pb2 import ExperimentResults
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_store.analytics import Analytics, Rejected, Unavailable

TABLE = "experiment_rows"
_OWN = ("experiment_id", "organization_id", "project_id")


class ResultsWriter:
    """Handles one member's deliveries. Rows that come twice replace themselves."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Writes the rows of all deliveries as one block for each shape of theirs.

        Raises:
            InvalidMessage: one delivery holds no results, or ClickHouse will never take them.
            Overloaded: ClickHouse is away or busy.
        """
        tables = [_table(index, delivery) for index, delivery in enumerate(deliveries)]
        for schema in dict.fromkeys(table.schema for table in tables):
            same = [(index, table) for index, table in enumerate(tables) if table.schema == schema]
            try:
                await self._write(pa.concat_tables([table for _, table in same]))
            except Unavailable as error:
                raise Overloaded(f"ClickHouse: {error}") from error
            except Rejected as error:
                await self._blame(same)
                raise Overloaded(f"ClickHouse refused rows together that it took alone: {error}") from error
        return []

    async def _blame(self, tables: Sequence[tuple[int, pa.Table]]) -> None:
        """Finds the delivery that ClickHouse will not take."""
        for index, table in tables:
            try:
                await self._write(table)
            except Rejected as error:
                raise InvalidMessage(index, f"ClickHouse refuses it: {error}") from error
            except Unavailable as error:
                raise Overloaded(f"ClickHouse: {error}") from error

    async def _write(self, table: pa.Table) -> None:
        table = table.unify_dictionaries()
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
        await self._analytics.insert_arrow(TABLE, table.column_names, sink.getvalue().to_pybytes())


def _table(index: int, delivery: Delivery) -> pa.Table:
    """The rows of a delivery, checked to belong to the experiment that it names."""
    message = delivery.message
    try:
        event = codec.decode(ExperimentResults, message.value, message.headers)
        found = pa.ipc.open_stream(event.arrow).read_all()
    except codec.Undecodable as error:
        raise InvalidMessage(index, str(error)) from error
    except pa.ArrowInvalid as error:
        raise InvalidMessage(index, f"its rows are no Arrow stream: {error}") from error
    for name in _OWN:
        known = name in found.column_names
        if not known or set(found.column(name).unique().to_pylist()) != {getattr(event, name)}:
            raise InvalidMessage(index, f"its rows are not all of the {name} that it names")
    return found
