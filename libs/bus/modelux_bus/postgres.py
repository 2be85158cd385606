"""The bus on PostgreSQL: a partitioned log in schema `bus`, woken by LISTEN/NOTIFY."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import msgspec
import psycopg
from psycopg.rows import TupleRow
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from modelux_bus.assign import partition_of
from modelux_bus.base import Bus, BusUnavailable, Message, Partition, Subscription, check_sizes
from modelux_bus.cancellation import Cancellations
from modelux_bus.postgres_group import PostgresSubscription, keep_alive
from modelux_bus.postgres_schema import migrate

_HEADERS = msgspec.msgpack.Encoder()
_PUBLISH = "SELECT bus.publish(%b, %b, %b, %b, %b, %b, %b, %b, %b)"
_EXPIRE_CHUNK = 5000


@dataclass(frozen=True, slots=True)
class Settings:
    """How long things may take and how long they are kept."""

    deadline_s: float = 10.0
    """Of every call; what takes longer is `BusUnavailable`."""
    alive_s: float = 8.0
    """A member that did not beat for so long is out of its group; one whose process died is out within a quarter of it,
    and at once for a process that joins.
    """
    grace_s: float = 30.0
    """How long a living member may keep working on a partition that should go to another."""
    retention_s: float = 24 * 3600.0
    """How long records stay that every group has read."""
    unread_retention_s: float = 7 * 24 * 3600.0
    """How long records stay that some group has not read."""
    max_connections: int = 4
    """Besides two for each subscription."""


class PostgresBus(Bus):
    """The bus on the PostgreSQL at `url`. Connects, and creates its schema, at the first call."""

    def __init__(self, url: str, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        self._url = url
        self._opening = asyncio.Lock()
        self._pool: AsyncConnectionPool[psycopg.AsyncConnection[TupleRow]] | None = None
        self._ready = False
        self._closed = False
        self._partitions: dict[str, tuple[int, int]] = {}

    async def publish(self, messages: Sequence[Message]) -> None:
        check_sizes(messages)
        if not messages:
            return
        async with self.connection() as connection:
            batch = await self._batch(connection, messages)
            await connection.execute(_PUBLISH, batch)
            # Not in the same transaction: committing one that notifies takes a lock of the whole database, and that
            # should not be held while the disk is waited for. A reader that misses it looks again within a second.
            await connection.execute(
                "SELECT pg_notify('bus_record', unnest(%b::text[]))", [[*{m.topic for m in messages}]]
            )

    @asynccontextmanager
    async def subscribe(self, group: str, topics: Sequence[str]) -> AsyncIterator[Subscription]:
        member = PostgresSubscription(self._url, self.connection, group, topics, self.settings)
        async with keep_alive(member, self._tidy):
            yield member

    async def lag(self, group: str, topics: Sequence[str]) -> Mapping[Partition, int]:
        async with self.connection() as connection:
            rows = await connection.execute("SELECT topic, number, lag FROM bus.lag(%s, %s)", (group, list(topics)))
            return {Partition(topic, number): lag for topic, number, lag in await rows.fetchall()}

    async def ensure(self, topics: Mapping[str, int]) -> None:
        async with self.connection() as connection:
            await connection.execute("SELECT bus.ensure(%b::text[], %b::int4[])", (list(topics), list(topics.values())))

    async def expire(self, now_ms: int) -> int:
        """Deletes what is older than the retention, in chunks; answers how many records went."""
        read_ms = now_ms - int(self.settings.retention_s * 1000)
        unread_ms = now_ms - int(self.settings.unread_retention_s * 1000)
        gone = 0
        async with self.connection() as connection:
            rows = await connection.execute("SELECT topic_id, number FROM bus.partition")
            partitions = await rows.fetchall()
        for topic_id, number in partitions:
            while True:
                async with self.connection() as connection:
                    rows = await connection.execute(
                        "SELECT bus.expire(%s::int4, %s::int4, %s, %s, %s::int4)",
                        (topic_id, number, read_ms, unread_ms, _EXPIRE_CHUNK),
                    )
                    answer = await rows.fetchone()
                count = int(answer[0]) if answer else 0
                gone += count
                if count < _EXPIRE_CHUNK:
                    break
        return gone

    async def _tidy(self) -> None:
        await self.expire(time.time_ns() // 1_000_000)

    async def close(self) -> None:
        self._closed = True
        pool, self._pool, self._ready = self._pool, None, False
        if pool is not None:
            await pool.close(timeout=self.settings.deadline_s)

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[psycopg.AsyncConnection[TupleRow]]:
        """A connection in autocommit mode to a database whose schema is there; the block has the deadline of a call."""
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                cancelled = Cancellations()
                pool = await self._open()
                async with pool.connection(self.settings.deadline_s) as connection:
                    cancelled.heed()
                    yield connection
                cancelled.heed()
        except (psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout, TimeoutError, OSError) as error:
            raise BusUnavailable(f"PostgreSQL does not answer: {error or type(error).__name__}") from error

    async def _open(self) -> AsyncConnectionPool[psycopg.AsyncConnection[TupleRow]]:
        if self._pool is not None and self._ready:
            return self._pool
        async with self._opening:
            if self._closed:  # a pool made now would be closed by nobody, and its workers outlive their loop
                raise BusUnavailable("the bus is closed")
            if self._pool is None:
                options = {"autocommit": True, "connect_timeout": 5, "prepare_threshold": 0}
                self._pool = AsyncConnectionPool(
                    self._url,
                    kwargs=options,
                    min_size=0,
                    max_size=self.settings.max_connections,
                    reconnect_timeout=2.0,  # then the next caller tries anew; the pool's own pauses double
                    open=False,
                )
                await self._pool.open(wait=False)
            if not self._ready:
                async with self._pool.connection(self.settings.deadline_s) as connection:
                    await migrate(connection)
                self._ready = True
        return self._pool

    async def _batch(
        self, connection: psycopg.AsyncConnection[TupleRow], messages: Sequence[Message]
    ) -> tuple[list[object], ...]:
        """The arguments of `bus.publish`: the partitions concerned, and each record's slot and step in them."""
        if any(message.topic not in self._partitions for message in messages):
            rows = await connection.execute(
                "SELECT t.name, t.id, count(*) FROM bus.topic t JOIN bus.partition p ON p.topic_id = t.id GROUP BY 1, 2"
            )
            self._partitions = {name: (topic_id, count) for name, topic_id, count in await rows.fetchall()}
        slots: dict[tuple[int, int], int] = {}
        counts: list[int] = []
        parts: list[int] = []
        steps: list[int] = []
        for message in messages:
            if message.topic not in self._partitions:
                raise BusUnavailable(f"topic {message.topic!r} does not exist yet")
            topic_id, partitions = self._partitions[message.topic]
            slot = slots.setdefault((topic_id, partition_of(message.key, partitions)), len(slots))
            if slot == len(counts):
                counts.append(0)
            parts.append(slot + 1)
            steps.append(counts[slot])
            counts[slot] += 1
        return (
            [topic_id for topic_id, _ in slots],
            [number for _, number in slots],
            [*counts],
            [*parts],
            [*steps],
            [message.key for message in messages],
            [message.id for message in messages],
            [message.value for message in messages],
            [_HEADERS.encode(message.headers) if message.headers else None for message in messages],
        )
