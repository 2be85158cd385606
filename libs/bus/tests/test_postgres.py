"""What only the PostgreSQL bus does: schema, retention, fencing of silent members, server restarts."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import psycopg
import pytest

from modelux_bus.base import BusUnavailable, Message, Partition, Rebalanced
from modelux_bus.postgres import PostgresBus, Settings
from modelux_bus.postgres_group import PostgresSubscription
from modelux_embedded.postgres import EmbeddedPostgres

DAY_MS = int(timedelta(days=1).total_seconds() * 1000)
QUICK = Settings(deadline_s=3.0, alive_s=0.6, grace_s=0.5)


def messages(count: int, start: int = 0) -> list[Message]:
    return [Message("t", b"k%d" % (n % 5), b"%d" % n, f"req_{n}") for n in range(start, start + count)]


@pytest.fixture
def url(postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.create_database(f"bus_{uuid.uuid4().hex[:10]}")


@pytest.fixture
async def bus(url: str) -> AsyncIterator[PostgresBus]:
    opened = PostgresBus(url, QUICK)
    yield opened
    await opened.close()


async def offsets(url: str) -> list[int]:
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute('SELECT "offset" FROM bus.record ORDER BY 1')
        return [row[0] for row in await rows.fetchall()]


async def test_many_processes_may_create_the_schema_at_once(url: str) -> None:
    buses = [PostgresBus(url) for _ in range(6)]
    async with asyncio.TaskGroup() as tasks:
        for bus in buses:
            tasks.create_task(bus.ensure({"t": 2}))
    assert len(await buses[0].lag("g", ["t"])) == 2
    for bus in buses:
        await bus.close()


async def test_an_edited_migration_is_refused(url: str, bus: PostgresBus) -> None:
    await bus.ensure({"t": 1})
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute("UPDATE bus.migration SET sha256 = 'other'")
    other = PostgresBus(url)
    with pytest.raises(RuntimeError, match=r"0001_log\.sql"):
        await other.ensure({"t": 1})
    await other.close()


async def test_deletes_what_is_old_and_read_and_keeps_what_a_group_still_needs(url: str, bus: PostgresBus) -> None:
    await bus.ensure({"t": 1})
    await bus.publish(messages(30))
    now_ms = int(time.time() * 1000)
    async with bus.subscribe("fast", ["t"]) as fast, bus.subscribe("slow", ["t"]) as slow:
        await fast.fetch(100, 5.0)
        await fast.commit({Partition("t", 0): 30})
        await slow.fetch(100, 5.0)
        await slow.commit({Partition("t", 0): 12})
        assert await bus.expire(now_ms) == 0
        assert await bus.expire(now_ms + 2 * DAY_MS) == 12
        assert await offsets(url) == list(range(12, 30))
        assert await bus.expire(now_ms + 8 * DAY_MS) == 18
    assert await bus.lag("slow", ["t"]) == {Partition("t", 0): 0}
    assert await bus.lag("new", ["t"]) == {Partition("t", 0): 0}
    await bus.publish(messages(2, start=30))
    async with bus.subscribe("new", ["t"]) as new:
        assert [delivery.offset for delivery in await new.fetch(10, 5.0)] == [30, 31]


async def test_deletes_in_chunks_until_all_is_gone(url: str, bus: PostgresBus) -> None:
    await bus.ensure({"t": 1})
    for _ in range(3):
        await bus.publish(messages(4000))
    assert await bus.expire(int(time.time() * 1000) + 8 * DAY_MS) == 12_000
    assert await offsets(url) == []


async def test_a_member_that_fell_silent_is_replaced_and_fenced(url: str, bus: PostgresBus) -> None:
    await bus.ensure({"t": 1})
    await bus.publish(messages(10))
    silent = PostgresSubscription(url, bus.connection, "g", ["t"], QUICK)  # nobody beats for it
    assert len(await silent.fetch(100, 5.0)) == 10
    async with bus.subscribe("g", ["t"]) as other:
        taken = []
        deadline = time.monotonic() + 10
        while not taken:
            assert time.monotonic() < deadline
            taken = await other.fetch(100, 0.5)
        with pytest.raises(Rebalanced):
            await silent.commit({Partition("t", 0): 10})
        await other.commit({Partition("t", 0): 7})
        with pytest.raises(Rebalanced):
            await silent.fetch(100, 0.0)
        assert silent.assigned() == frozenset()
    got = []
    while not got:
        assert time.monotonic() < deadline
        got = await silent.fetch(100, 0.5)
    assert [delivery.offset for delivery in got] == [7, 8, 9]
    await silent.leave()


async def test_a_busy_member_keeps_its_partition_for_the_grace_and_no_longer(url: str, bus: PostgresBus) -> None:
    await bus.ensure({"t": 2})
    async with bus.subscribe("g", ["t"]) as busy:
        await busy.fetch(1, 0.0)
        assert len(busy.assigned()) == 2
        started = time.monotonic()
        async with bus.subscribe("g", ["t"]) as other:
            while not other.assigned():
                assert time.monotonic() - started < 10
                await other.fetch(1, 0.1)
            assert time.monotonic() - started >= QUICK.grace_s
            (lost,) = other.assigned()
            with pytest.raises(Rebalanced):
                await busy.commit({lost: 0})


async def test_members_come_back_to_their_partitions_after_a_server_restart() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="mlx-bus-pg-", ignore_cleanup_errors=True) as folder,
        EmbeddedPostgres(folder, fast=True) as server,
    ):
        bus = PostgresBus(server.url, QUICK)
        await bus.ensure({"t": 2})
        await bus.publish(messages(10))
        async with bus.subscribe("g", ["t"]) as member:
            first = await member.fetch(100, 5.0)
            assert len(first) == 10
            await asyncio.to_thread(server.stop)
            with pytest.raises(BusUnavailable):
                await bus.publish(messages(1, start=10))
            with pytest.raises(BusUnavailable):
                await member.fetch(10, 0.1)
            await asyncio.to_thread(server.start)
            got: list[int] = []
            deadline = time.monotonic() + 15
            published = False
            while len(got) < 5:
                assert time.monotonic() < deadline
                try:
                    if not published:
                        await bus.publish(messages(5, start=10))
                        published = True
                    got += [int(delivery.message.value) for delivery in await member.fetch(100, 0.1)]
                except BusUnavailable:
                    await asyncio.sleep(0.05)
            assert sorted(got) == list(range(10, 15))
            await member.commit(dict.fromkeys(member.assigned(), 100 if False else 0))
        await bus.close()


async def test_a_server_that_hangs_is_unavailable_within_the_deadline(url: str, bus: PostgresBus) -> None:
    await bus.ensure({"t": 1})
    await bus.publish(messages(1))
    async with await psycopg.AsyncConnection.connect(url) as blocker:
        await blocker.execute("LOCK TABLE bus.partition")
        started = time.monotonic()
        with pytest.raises(BusUnavailable):
            await bus.publish(messages(1))
        assert time.monotonic() - started < QUICK.deadline_s + 15
        await blocker.rollback()
    await bus.publish(messages(1))


async def test_a_closed_bus_stays_closed(url: str) -> None:
    bus = PostgresBus(url)
    await bus.ensure({"t.closed": 1})
    await bus.close()
    with pytest.raises(BusUnavailable, match="closed"):
        await bus.publish([Message("t.closed", b"k", b"v", "id")])
