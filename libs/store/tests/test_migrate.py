"""Migrations on the real engines: once, in order, by many at a time, and never over what is newer."""

from __future__ import annotations

import asyncio

import pytest

from modelux_store.analytics import Analytics
from modelux_store.database import Database
from modelux_store.errors import SchemaError
from modelux_store.migrate import (
    Migration,
    apply_clickhouse,
    apply_postgres,
    migrate_clickhouse,
    migrate_postgres,
    pending,
    statements,
)

ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (a int); CREATE TABLE two (b int)")
TWO = Migration(2, "0002_two.sql", "ALTER TABLE one ADD COLUMN b int")


async def test_each_file_is_applied_once_by_many_at_a_time(database: Database) -> None:
    applied = await asyncio.gather(*(apply_postgres(database, "s", [ONE, TWO]) for _ in range(5)))
    assert sorted(applied) == [0, 0, 0, 0, 2]
    async with database.transaction() as tx:
        await tx.execute("INSERT INTO one (a, b) VALUES (1, 2)")


async def test_a_failing_file_leaves_nothing_behind(database: Database) -> None:
    broken = Migration(2, "0002_broken.sql", "CREATE TABLE three (a int); SELECT nonsense")
    with pytest.raises(Exception, match="nonsense"):
        await apply_postgres(database, "s", [ONE, broken])
    assert await apply_postgres(database, "s", [ONE, TWO]) == 2


async def test_a_schema_of_the_program_applies_once(database: Database) -> None:
    assert await migrate_postgres(database, "outbox") >= 1
    assert await migrate_postgres(database, "outbox") == 0


def test_a_newer_store_and_an_edited_file_are_refused() -> None:
    with pytest.raises(SchemaError, match="is at version 2, this program knows 1"):
        pending("s", [ONE], {1: ONE.sha256, 2: TWO.sha256})
    with pytest.raises(SchemaError, match=r"'0001_one.sql' of schema 's' was edited"):
        pending("s", [Migration(1, "0001_one.sql", "SELECT 1")], {1: ONE.sha256})
    assert pending("s", [ONE, TWO], {1: ONE.sha256}) == [TWO]


async def test_clickhouse_files_apply_twice_and_together(analytics: Analytics) -> None:
    applied = await asyncio.gather(*(migrate_clickhouse(analytics) for _ in range(3)))
    assert max(applied) >= 1
    assert await migrate_clickhouse(analytics) == 0
    with pytest.raises(SchemaError):
        await apply_clickhouse(analytics, [])


def test_statements_end_at_a_semicolon_at_the_end_of_a_line() -> None:
    assert list(statements("-- about;\nSELECT ';' a;\n\nSELECT 2;\n")) == ["SELECT ';' a", "SELECT 2"]
