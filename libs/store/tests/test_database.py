"""The pool on a real server: commit, rollback, deadlines, restarts."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from pathlib import Path

import pytest

from modelux_embedded.postgres import EmbeddedPostgres
from modelux_store.database import AlreadyExists, Database, Unavailable


async def count(database: Database) -> object:
    async with database.transaction() as tx:
        row = await tx.fetch_one("SELECT count(*) AS n FROM t")
    return row and row["n"]


@pytest.fixture
async def table(database: Database) -> Database:
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE t (id int CONSTRAINT t_once PRIMARY KEY, name text, raw bytea, tags text[])")
    return database


async def test_rows_are_dictionaries(table: Database) -> None:
    async with table.transaction() as tx:
        insert = "INSERT INTO t VALUES (%(id)s, %(name)s, %(raw)s, %(tags)s)"
        row = {"id": 1, "name": "é'; --", "raw": b"\x00\xff", "tags": ["a", "b"]}
        assert await tx.execute(insert, row) == 1
        assert await tx.fetch_all("SELECT * FROM t") == [row]
        assert await tx.fetch_one("SELECT * FROM t WHERE id = %s", (2,)) is None


async def test_a_failure_rolls_everything_back(table: Database) -> None:
    async def write() -> None:
        async with table.transaction() as tx:
            await tx.execute("INSERT INTO t (id) VALUES (1)")
            raise RuntimeError("later")

    with pytest.raises(RuntimeError, match="later"):
        await write()
    assert await count(table) == 0


async def test_a_unique_constraint_is_named(table: Database) -> None:
    with pytest.raises(AlreadyExists) as refusal:
        async with table.transaction() as tx:
            await tx.execute("INSERT INTO t (id) VALUES (1), (1)")
    assert refusal.value.constraint == "t_once"


async def pipelined(database: Database, *ids: int, fails: bool = False) -> None:
    async with database.transaction(pipelined=True) as tx:
        for each in ids:
            assert await tx.execute("INSERT INTO t (id) VALUES (%s)", (each,)) == -1
        if fails:
            raise RuntimeError("later")


async def test_a_pipelined_transaction_commits_whole_or_not_at_all(table: Database) -> None:
    await pipelined(table, 1, 2)
    assert await count(table) == 2
    with pytest.raises(AlreadyExists) as refusal:
        await pipelined(table, 3, 1)
    assert refusal.value.constraint == "t_once"
    with pytest.raises(RuntimeError, match="later"):
        await pipelined(table, 4, fails=True)
    assert await count(table) == 2


async def test_a_cancelled_pipelined_transaction_leaves_nothing_behind(table: Database) -> None:
    async def wait_for_the_lock() -> None:
        async with table.transaction(pipelined=True) as tx:
            await tx.execute("INSERT INTO t (id) VALUES (1)")
            asked.set()
            await tx.fetch_all("SELECT pg_advisory_xact_lock(1)")

    asked = asyncio.Event()
    async with table.transaction() as holder, asyncio.TaskGroup() as group:
        await holder.fetch_all("SELECT pg_advisory_xact_lock(1)")
        waiting = group.create_task(wait_for_the_lock())
        await asked.wait()
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    assert await count(table) == 0


async def test_a_lock_held_by_somebody_does_not_hold_us_for_long(postgres: EmbeddedPostgres) -> None:
    database = await Database.open(postgres.create_database("held"), statement_timeout_s=0.2)
    async with database.transaction() as tx:
        await tx.execute("CREATE TABLE t (id int)")
    async with database.transaction() as holder:
        await holder.execute("LOCK TABLE t")
        began = time.monotonic()
        with pytest.raises(Unavailable, match="statement timeout"):
            await count(database)
        assert time.monotonic() - began < 10
    assert await count(database) == 0
    await database.close()


async def test_a_restart_of_the_server_is_survived() -> None:
    folder = Path(tempfile.mkdtemp(prefix="mlx-db-"))
    server = EmbeddedPostgres(folder, fast=True)
    database = await Database.open(await asyncio.to_thread(server.start), max_size=3)
    try:
        async with database.transaction() as tx:
            await tx.execute("CREATE TABLE t (id int)")
        await asyncio.to_thread(server.stop)
        with pytest.raises(Unavailable):
            await count(database)
        await asyncio.to_thread(server.start)
        deadline = time.monotonic() + 20
        while True:
            try:
                assert await count(database) == 0
                break
            except Unavailable:
                assert time.monotonic() < deadline
    finally:
        await database.close()
        await asyncio.to_thread(server.stop)
        shutil.rmtree(folder)
