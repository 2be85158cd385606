"""A member whose process dies is out of its PostgreSQL group at once; one that lives keeps its place or is fenced."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator

import psycopg
import pytest
from dying_member import die_with_process

from modelux_bus.base import Message, Partition, Rebalanced, Subscription
from modelux_bus.postgres import PostgresBus, Settings
from modelux_embedded.postgres import EmbeddedPostgres

FOR_EVER_S = 600.0
"""A heartbeat that no test waits for: what goes before it goes because of the session."""
PATIENT = Settings(deadline_s=5.0, alive_s=FOR_EVER_S)
QUICK = Settings(deadline_s=5.0, alive_s=0.4)
DEADLINE_S = 30.0
ONLY = Partition("t", 0)


@pytest.fixture
def url(postgres_server: EmbeddedPostgres) -> str:
    return postgres_server.create_database(f"bus_{uuid.uuid4().hex[:10]}")


@pytest.fixture
async def bus(url: str) -> AsyncIterator[PostgresBus]:
    opened = PostgresBus(url, PATIENT)
    await opened.ensure({"t": 1})
    await opened.publish([Message("t", b"k", b"%d" % n, f"req_{n}") for n in range(10)])
    yield opened
    await opened.close()


async def offsets(member: Subscription) -> list[int]:
    """The first batch that comes."""
    async with asyncio.timeout(DEADLINE_S):
        while True:
            if batch := await member.fetch(100, 0.1):
                return [delivery.offset for delivery in batch]


async def members(url: str) -> list[tuple[uuid.UUID, bool]]:
    """Each with whether its session was seen."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute("SELECT id, session_at IS NOT NULL FROM bus.member")
        return [(member, seen) for member, seen in await rows.fetchall()]


async def end_sessions(url: str) -> int:
    """Cuts the connections that hold locks of members, as a network may; answers how many those were."""
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute(
            "SELECT pg_terminate_backend(l.pid, 5000) FROM pg_locks l JOIN bus.member m "
            "ON bus.session_key(m.id) = (l.classid::bigint << 32) + l.objid::bigint "
            "WHERE l.locktype = 'advisory' AND l.mode = 'ExclusiveLock'"
        )
        return sum(ended for (ended,) in await rows.fetchall())


async def test_who_joins_after_a_kill_gets_the_partitions_at_once(url: str, bus: PostgresBus) -> None:
    async with die_with_process(url, FOR_EVER_S)(bus, "g", "t"):
        killed_at = time.monotonic()
        async with bus.subscribe("g", ["t"]) as next_one:
            assert await offsets(next_one) == [*range(10)]
        assert time.monotonic() - killed_at < DEADLINE_S


async def test_a_member_that_is_there_takes_over_with_its_next_beat(url: str, bus: PostgresBus) -> None:
    async with bus.subscribe("g", ["t"]) as first:
        assert await offsets(first) == [*range(10)]
        await first.commit({ONLY: 4})
        quick = PostgresBus(url, QUICK)
        async with quick.subscribe("g", ["t"]) as other:
            assert await other.fetch(100, 0.0) == []
            assert await end_sessions(url) == 2
            assert await offsets(other) == [4, 5, 6, 7, 8, 9]
        await quick.close()


async def test_who_lost_its_session_and_its_partitions_cannot_commit(url: str, bus: PostgresBus) -> None:
    async with bus.subscribe("g", ["t"]) as cut:
        await offsets(cut)
        assert await end_sessions(url) == 1
        async with bus.subscribe("g", ["t"]) as other:
            await offsets(other)
            await other.commit({ONLY: 7})
            with pytest.raises(Rebalanced):
                await cut.commit({ONLY: 10})
            with pytest.raises(Rebalanced):
                await cut.fetch(100, 0.0)
            assert (cut.assigned(), other.assigned()) == (frozenset(), {ONLY})
        assert await offsets(cut) == [7, 8, 9]


async def test_alone_a_member_outlives_its_session_and_gets_another(url: str) -> None:
    quick = PostgresBus(url, QUICK)
    await quick.ensure({"t": 1})
    await quick.publish([Message("t", b"k", b"v", "req_1")])
    async with quick.subscribe("g", ["t"]) as member:
        assert await offsets(member) == [0]
        assert [seen for _, seen in await members(url)] == [True]
        before = await members(url)
        assert await end_sessions(url) == 1
        async with asyncio.timeout(DEADLINE_S):
            while await end_sessions(url) == 0:
                assert await member.fetch(100, 0.05) == []
            while not (now := await members(url)) or not now[0][1]:
                assert await member.fetch(100, 0.05) == []
        assert now == before
        await member.commit({ONLY: 1})
    await quick.close()


async def test_a_member_without_a_session_is_left_to_its_heartbeat(url: str, bus: PostgresBus) -> None:
    """As members of a version that knew no sessions are."""
    async with bus.subscribe("g", ["t"]) as elder:
        await offsets(elder)
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            await connection.execute("UPDATE bus.member SET session_at = NULL")
        assert await end_sessions(url) == 1
        async with bus.subscribe("g", ["t"]) as other:
            assert await other.fetch(100, 0.2) == []
            assert other.assigned() == frozenset()
        await elder.commit({ONLY: 10})


async def test_leaving_frees_the_lock(url: str, bus: PostgresBus) -> None:
    async with bus.subscribe("g", ["t"]) as member:
        await offsets(member)
    async with await psycopg.AsyncConnection.connect(url) as connection:
        rows = await connection.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert await rows.fetchone() == (0,)
