"""The ClickHouse client on the real engine: values, tokens, and which failures are worth another try."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import pytest
from clickhouse_connect.driver.exceptions import DatabaseError

from modelux_embedded.clickhouse import EmbeddedClickHouse
from modelux_store.analytics import Analytics, Rejected, Unavailable
from modelux_store.migrate import apply_clickhouse, migrate_clickhouse, read

NOW = datetime(2026, 3, 4, 5, 6, 7, 123456, tzinfo=UTC)


@pytest.fixture
async def table(analytics: Analytics) -> Analytics:
    await analytics.command(
        "CREATE TABLE t (id Int64, at DateTime64(6, 'UTC'), name LowCardinality(String), body String,"
        " tags Map(String, String)) ENGINE = MergeTree ORDER BY id SETTINGS non_replicated_deduplication_window = 100"
    )
    return analytics


def columns(*ids: int) -> dict[str, list[object]]:
    many = len(ids)
    return {
        "id": [*ids],
        "at": [NOW] * many,
        "name": ["é"] * many,
        "body": [b'{"a":1}'] * many,
        "tags": [{"k": "v'"}] * many,
    }


async def test_a_table_that_is_still_to_gain_a_column_is_waited_for(analytics: Analytics) -> None:
    await apply_clickhouse(analytics, read("clickhouse")[:12])
    with pytest.raises(Unavailable, match="older than this program"):
        await analytics.rows("SELECT arm FROM requests")
    await migrate_clickhouse(analytics)
    assert await analytics.rows("SELECT arm FROM requests") == []
    with pytest.raises(DatabaseError, match="no_such_column"):
        await analytics.rows("SELECT no_such_column FROM requests")


async def test_columns_come_back_as_rows(table: Analytics) -> None:
    await table.insert("t", columns(2, 1))
    rows = await table.rows("SELECT * FROM t WHERE name = {name:String} ORDER BY id", {"name": "é"})
    assert rows == [{"id": n, "at": NOW, "name": "é", "body": '{"a":1}', "tags": {"k": "v'"}} for n in (1, 2)]
    assert await table.rows("SELECT id FROM t WHERE id > {n:Int64}", {"n": 5}) == []


async def test_a_token_makes_a_repeated_insert_harmless(table: Analytics) -> None:
    for token in ("a", "a", "b"):
        await table.insert("t", columns(1), token=token)
    assert await table.rows("SELECT count() AS n FROM t") == [{"n": 2}]


@pytest.mark.parametrize(
    "wrong", [{"id": ["text"]}, {"id": [2**70]}, {"tags": ["not a map"]}, {"at": ["no time"]}, {"id": [None]}]
)
async def test_rows_that_never_fit_are_rejected(table: Analytics, wrong: dict[str, list[object]]) -> None:
    with pytest.raises(Rejected):
        await table.insert("t", columns(1) | wrong)
    assert await table.rows("SELECT count() AS n FROM t") == [{"n": 0}]


async def test_a_wrong_statement_is_a_bug_and_crashes(table: Analytics) -> None:
    with pytest.raises(DatabaseError, match="Syntax error"):
        await table.rows("SELEC 1")
    with pytest.raises(DatabaseError):
        await table.rows("SELECT nothing FROM t")


async def test_a_table_that_is_not_there_yet_may_come(analytics: Analytics) -> None:
    with pytest.raises(Unavailable):
        await analytics.insert("nowhere", {"a": [1]})
    with pytest.raises(Unavailable):
        await analytics.rows("SELECT * FROM nowhere")


async def test_calls_run_side_by_side(table: Analytics) -> None:
    answers = await asyncio.gather(*(table.rows("SELECT {n:Int64} AS n", {"n": n}) for n in range(50)))
    assert answers == [[{"n": n}] for n in range(50)]


async def test_a_server_that_is_away_is_unavailable_until_it_is_back() -> None:
    folder = Path(tempfile.mkdtemp(prefix="mlx-an-"))
    server = EmbeddedClickHouse(folder)
    await asyncio.to_thread(server.start)
    analytics = await Analytics.open(server.url)
    try:
        await analytics.create_database()
        await asyncio.to_thread(server.stop)
        with pytest.raises(Unavailable):
            await analytics.rows("SELECT 1")
        await asyncio.to_thread(server.start)
        assert await analytics.rows("SELECT 1 AS one") == [{"one": 1}]
    finally:
        await analytics.close()
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder)
