"""Results of experiments on their way into ClickHouse."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from modelux.events.v1.experiment_pb2 import ExperimentResults
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.topics import EXPERIMENT_RESULTS
from modelux_ingest.experiments import ResultsWriter
from modelux_store.analytics import Analytics

OWN = {"experiment_id": "sim_1", "organization_id": "org_1", "project_id": "proj_1"}


def stream(table: pa.Table, compression: str | None = None) -> bytes:
    sink, options = pa.BufferOutputStream(), pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    found: bytes = sink.getvalue().to_pybytes()
    return found


def rows(first: int, count: int, **more: object) -> pa.Table:
    """Rows with as few columns as the table allows; the others have their defaults."""
    columns: dict[str, object] = {"row": pa.array(range(first, first + count), pa.uint32())}
    columns |= {name: pa.array([value] * count).dictionary_encode() for name, value in OWN.items()}
    return pa.table({**columns, **{name: [value] * count for name, value in more.items()}})


def delivery(value: bytes, number: int = 0) -> Delivery:
    topic = EXPERIMENT_RESULTS.name
    message = Message(topic, b"sim_1", value, f"sim_1.{number}.0", codec.headers(topic))
    return Delivery(message, Partition(topic, 0), number, 0)


def results(table: pa.Table, number: int = 0, **fields: str) -> Delivery:
    return delivery(codec.encode(ExperimentResults(**{**OWN, **fields}, unit=number, arrow=stream(table))), number)


async def stored(analytics: Analytics) -> Sequence[tuple[object, object]]:
    found = await analytics.rows("SELECT row, candidate_cost_nano AS cost FROM experiment_rows FINAL ORDER BY row")
    return [(each["row"], each["cost"]) for each in found]


@pytest.fixture
async def writer(analytics: Analytics) -> ResultsWriter:
    return ResultsWriter(analytics)


async def test_units_become_rows_once_however_often_they_come(writer: ResultsWriter, analytics: Analytics) -> None:
    units = [results(rows(0, 3, candidate_cost_nano=5), 0), results(rows(3, 2, candidate_cost_nano=7), 1)]
    assert await writer.handle(units) == []
    await writer.handle(units[1:])
    await writer.handle(units)
    assert await stored(analytics) == [(0, 5), (1, 5), (2, 5), (3, 7), (4, 7)]


async def test_units_of_different_shapes_come_together(writer: ResultsWriter, analytics: Analytics) -> None:
    """As after an update, while an older process still sends without a new column."""
    await writer.handle([results(rows(0, 1), 0), results(rows(1, 1, candidate_cost_nano=7), 1), results(rows(2, 1), 2)])
    assert await stored(analytics) == [(0, None), (1, 7), (2, None)]


async def test_large_units_come_beside_small_ones(writer: ResultsWriter, analytics: Analytics) -> None:
    many = results(rows(2, 5_000, candidate_cost_nano=7, evidence="observed"), 1)
    units = [results(rows(0, 2, candidate_cost_nano=5), 0), many, results(rows(5_002, 1, candidate_cost_nano=9), 2)]
    await writer.handle(units)
    await writer.handle([many])
    assert await stored(analytics) == [(n, 5 if n < 2 else 7 if n < 5_002 else 9) for n in range(5_003)]


async def test_a_large_unit_may_bring_other_texts_in_each_batch(writer: ResultsWriter, analytics: Analytics) -> None:
    batches = [
        rows(first, 2_500).append_column("evidence", pa.array([text] * 2_500).dictionary_encode())
        for first, text in ((0, "observed"), (2_500, "reused"))
    ]
    await writer.handle([results(pa.concat_tables(batches))])
    query = "SELECT evidence, toInt64(count()) AS rows FROM experiment_rows GROUP BY evidence ORDER BY evidence"
    found = [tuple(each.values()) for each in await analytics.rows(query)]
    assert found == [("observed", 2_500), ("reused", 2_500)]


async def test_what_breaks_only_where_clickhouse_unpacks_it_is_named(writer: ResultsWriter) -> None:
    good = stream(rows(0, 4_000, request_id="req_0123456789"), compression="zstd")
    place = good.rindex(b"\x28\xb5\x2f\xfd") + 4  # after the mark that each column packed by Zstandard starts with
    broken = good[:place] + bytes(8) + good[place + 8 :]
    with pytest.raises(InvalidMessage, match="no Arrow stream") as refused:
        await writer.handle([results(rows(0, 1)), delivery(codec.encode(ExperimentResults(**OWN, arrow=broken)), 1)])
    assert refused.value.delivery_index == 1


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(delivery(b"\xff\xff"), "not a modelux", id="no event"),
        pytest.param(delivery(ExperimentResults(**OWN, arrow=b"nothing").SerializeToString()), "Arrow", id="no Arrow"),
        pytest.param(results(rows(0, 1), experiment_id="sim_2"), "experiment_id", id="another experiment's rows"),
        pytest.param(results(rows(0, 1), organization_id="org_2"), "organization_id", id="another tenant's rows"),
        pytest.param(results(rows(0, 1).drop_columns(["project_id"])), "project_id", id="a column is missing"),
    ],
)
async def test_what_is_no_result_is_named_and_the_rest_is_taken(
    writer: ResultsWriter, analytics: Analytics, bad: Delivery, reason: str
) -> None:
    with pytest.raises(InvalidMessage, match=reason) as refused:
        await writer.handle([results(rows(0, 1)), bad])
    assert refused.value.delivery_index == 1
    assert await stored(analytics) == []


async def test_rows_that_clickhouse_refuses_are_found_among_others(writer: ResultsWriter, analytics: Analytics) -> None:
    wrong = results(rows(1, 1, started_at="nonsense"), 1)
    with pytest.raises(InvalidMessage, match="ClickHouse refuses") as refused:
        await writer.handle([results(rows(0, 1), 0), wrong])
    assert refused.value.delivery_index == 1


async def test_a_clickhouse_that_is_away_is_waited_for() -> None:
    nowhere = await Analytics.open("http://nobody:x@127.0.0.1:1/modelux")
    with pytest.raises(Overloaded):
        await ResultsWriter(nowhere).handle([results(rows(0, 1))])
    await nowhere.close()
