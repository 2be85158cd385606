"""One member of a consumer group on PostgreSQL: what it holds, reads and commits, and its heartbeat."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from typing import Protocol

import msgspec
import psycopg
from psycopg.rows import TupleRow

from modelux_bus.assign import assign
from modelux_bus.base import BusUnavailable, Delivery, Message, Partition, Rebalanced, Subscription
from modelux_bus.postgres_session import Session

log = logging.getLogger(__name__)

_HEADERS = msgspec.msgpack.Decoder(tuple[tuple[str, bytes], ...])
_MAX_FETCH_BYTES = 16 * 1024 * 1024
# Notifications only make things faster: whoever misses one looks again after so long.
_LOOK_AGAIN_S = 1.0
_TIDY_S = 60.0

Connection = psycopg.AsyncConnection[TupleRow]
Connections = Callable[[], AbstractAsyncContextManager[Connection]]


class GroupSettings(Protocol):
    """See `modelux_bus.postgres.Settings`."""

    @property
    def deadline_s(self) -> float: ...
    @property
    def alive_s(self) -> float: ...
    @property
    def grace_s(self) -> float: ...


class PostgresSubscription(Subscription):
    """Keeps two connections of its own: it listens and fetches on one, the other is its session.

    The rest runs on the bus's connections.
    """

    def __init__(
        self, url: str, connections: Connections, group: str, topics: Sequence[str], settings: GroupSettings
    ) -> None:
        self.id = uuid.uuid4()
        self.beat_every_s = settings.alive_s / 4
        self._url = url
        self._connections = connections
        self._group = group
        self._topics = sorted(set(topics))
        self._settings = settings
        self._alive = timedelta(seconds=settings.alive_s)
        self._session = Session(url, self.id, settings.deadline_s)
        self._listener: Connection | None = None
        self._generation: int | None = None
        self._stale = True
        self._mine: set[Partition] = set()
        self._waiting_for_more = False
        self._beaten_at = time.monotonic()
        self._drained_at = time.monotonic()
        self._positions: dict[Partition, int] = {}
        self._topic_ids: dict[str, int] = {}
        self._turn = 0

    async def fetch(self, max_messages: int, max_wait_s: float) -> list[Delivery]:
        deadline = time.monotonic() + max_wait_s
        while True:
            if self._stale or time.monotonic() - self._beaten_at > self._settings.alive_s:
                await self._sync()
            batch = await self._read(max_messages)
            left = deadline - time.monotonic()
            if batch or left <= 0:
                return batch
            await self._wait(min(left, _LOOK_AGAIN_S))
            self._stale |= self._waiting_for_more

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        lost = next_offsets.keys() - self._positions.keys()
        kept = {partition: offset for partition, offset in next_offsets.items() if partition not in lost}
        for partition, offset in kept.items():
            if offset > self._positions[partition]:
                raise ValueError(f"offset {offset} of {partition} was not fetched yet")
        topic_ids = [self._topic_ids[partition.topic] for partition in kept]
        numbers = [partition.number for partition in kept]
        async with self._connections() as connection:
            rows = await connection.execute(
                "SELECT bus.commit(%b, %b, %b::int4[], %b::int4[], %b::int8[])",
                (self._group, self.id, topic_ids, numbers, [*kept.values()]),
            )
            answer = await rows.fetchone()
        if lost or answer is None or answer[0] < len(kept):
            self._stale = True
            raise Rebalanced

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    async def beat(self) -> None:
        """Says that this member lives, and notices when the group changed. Raises `BusUnavailable`."""
        async with self._connections() as connection:
            rows = await connection.execute("SELECT bus.beat(%b, %b, %b)", (self._group, self.id, self._alive))
            answer = await rows.fetchone()
        self._beaten_at = time.monotonic()
        if answer is None or answer[0] != self._generation:
            self._stale = True
        await self._session.hold()

    async def leave(self) -> None:
        """Gives everything up for the others to take at once. Raises `BusUnavailable`."""
        await self._drop_listener()
        try:
            if self._generation is not None:
                async with self._connections() as connection, connection.transaction():
                    await connection.execute("SELECT bus.leave(%s, %s)", (self._group, self.id))
        finally:
            await self._session.close()

    async def _sync(self) -> None:
        """Settles with the group who holds what. Raises `Rebalanced` when that took something away."""
        self._stale = False
        async with self._connections() as connection:
            await self._session.hold()
            async with connection.transaction():
                self._generation = await self._settle(connection)
                rows = await connection.execute(
                    "SELECT topic_id, topic, number, next_offset FROM bus.take(%s, %s, %s)",
                    (self._group, self.id, timedelta(seconds=self._settings.grace_s)),
                )
                held = await rows.fetchall()
        self._beaten_at = time.monotonic()
        committed = {Partition(topic, number): offset for _, topic, number, offset in held}
        self._topic_ids = {topic: topic_id for topic_id, topic, _, _ in held}
        self._waiting_for_more = bool(self._mine - committed.keys())
        if self._positions.keys() - committed.keys():
            self._positions = committed
            raise Rebalanced
        # Somebody else may have been further while this member was away and nothing is behind what is committed.
        self._positions = {
            partition: max(self._positions.get(partition, 0), start) for partition, start in committed.items()
        }

    async def _settle(self, connection: Connection) -> int:
        """With the group locked: counts the living, spreads the partitions and gives up what goes to others."""
        rows = await connection.execute("SELECT bus.lock_group(%s)", (self._group,))
        (generation,) = await rows.fetchone() or (0,)
        rows = await connection.execute(
            "SELECT id, topics FROM bus.enter(%s, %s, %s, %s)", (self._group, self.id, self._topics, self._alive)
        )
        members = {str(member): topics for member, topics in await rows.fetchall()}
        topics = sorted({topic for topics in members.values() for topic in topics})
        rows = await connection.execute(
            "SELECT topic_id, topic, number, owner, target FROM bus.holdings(%s, %s)", (self._group, topics)
        )
        now = {
            Partition(topic, number): (topic_id, owner, target)
            for topic_id, topic, number, owner, target in await rows.fetchall()
        }
        current = {partition: str(target) for partition, (_, _, target) in now.items() if target is not None}
        wanted = assign(members, now.keys(), current)
        self._mine = {partition for partition, member in wanted.items() if member == str(self.id)}
        moved = [partition for partition in now if wanted.get(partition) != current.get(partition)]
        await connection.execute(
            "SELECT bus.retarget(%s, %s::int4[], %s::int4[], %s::uuid[])",
            (
                self._group,
                [now[partition][0] for partition in moved],
                [partition.number for partition in moved],
                [wanted.get(partition) for partition in moved],
            ),
        )
        rows = await connection.execute("SELECT bus.give_up(%s, %s)", (self._group, self.id))
        (given,) = await rows.fetchone() or (0,)
        if moved or given:
            rows = await connection.execute("SELECT bus.bump(%s)", (self._group,))
            (generation,) = await rows.fetchone() or (generation,)
        return int(generation)

    async def _read(self, max_messages: int) -> list[Delivery]:
        # Each call begins with another partition, so that a busy one cannot starve the rest.
        order = sorted(self._positions)
        self._turn = (self._turn + 1) % max(1, len(order))
        order = order[self._turn :] + order[: self._turn]
        async with self._listening() as connection:
            if time.monotonic() - self._drained_at > _LOOK_AGAIN_S:
                await self._notices(connection, 0)
            if not order:
                return []
            cursor = connection.cursor(binary=True)
            await cursor.execute(
                'SELECT slot, "offset", appended_ms, key, id, value, headers '
                "FROM bus.fetch(%b::int4[], %b::int4[], %b::int8[], %b::int4, %b::int8)",
                (
                    [self._topic_ids[partition.topic] for partition in order],
                    [partition.number for partition in order],
                    [self._positions[partition] for partition in order],
                    max_messages,
                    _MAX_FETCH_BYTES,
                ),
            )
            rows = await cursor.fetchall()
        batch: list[Delivery] = []
        for slot, offset, appended_ms, key, id_, value, headers in rows:
            partition = order[slot - 1]
            extra = _HEADERS.decode(headers) if headers else ()
            batch.append(Delivery(Message(partition.topic, key, value, id_, extra), partition, offset, appended_ms))
            self._positions[partition] = offset + 1
        return batch

    async def _wait(self, seconds: float) -> None:
        async with self._listening(seconds) as connection:
            await self._notices(connection, seconds)

    async def _notices(self, connection: Connection, seconds: float) -> None:
        """Waits for news of a topic or of the group."""
        deadline = time.monotonic() + seconds
        while True:
            relevant = False
            async for notice in connection.notifies(timeout=max(0.0, deadline - time.monotonic()), stop_after=1):
                if notice.channel == "bus_group":
                    changed = notice.payload in (self._group, "*")
                    self._stale |= changed
                    relevant |= changed
                else:
                    relevant |= notice.payload in self._topics
            if relevant or time.monotonic() >= deadline:
                self._drained_at = time.monotonic()
                return

    @asynccontextmanager
    async def _listening(self, extra_s: float = 0.0) -> AsyncIterator[Connection]:
        """The connection that listens; thrown away when anything at all went wrong with it."""
        try:
            async with asyncio.timeout(self._settings.deadline_s + extra_s):
                if self._listener is None:
                    self._listener = await psycopg.AsyncConnection.connect(
                        self._url, autocommit=True, connect_timeout=5, prepare_threshold=0
                    )
                    await self._listener.execute("LISTEN bus_record")
                    await self._listener.execute("LISTEN bus_group")
                yield self._listener
        except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError) as error:
            await self._drop_listener()
            raise BusUnavailable(f"PostgreSQL does not answer: {error or type(error).__name__}") from error
        except BaseException:
            await self._drop_listener()
            raise

    async def _drop_listener(self) -> None:
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.close()


@asynccontextmanager
async def keep_alive(member: PostgresSubscription, tidy: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Beats for `member` as long as the block runs, whatever its handler does meanwhile, and leaves at the end.

    `tidy` is called every minute: readers look after the log, since where nobody reads it nobody has read it either.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(_beat_on(member)), tasks.create_task(_tidy_on(tidy))]
            try:
                yield
            finally:
                for task in running:
                    task.cancel()
                try:
                    await member.leave()
                except BusUnavailable:
                    log.warning("could not leave the group; its heartbeat runs out")
    except BaseExceptionGroup as group:
        # The tasks never fail: what is in here is the block's own exception, which its caller expects bare.
        raise group.exceptions[0] from None


async def _beat_on(member: PostgresSubscription) -> None:
    while True:
        await asyncio.sleep(member.beat_every_s)
        try:
            await member.beat()
        except BusUnavailable as error:
            log.warning("heartbeat missed: %s", error)


async def _tidy_on(tidy: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(_TIDY_S)
        try:
            await tidy()
        except BusUnavailable as error:
            log.warning("could not delete old records: %s", error)
