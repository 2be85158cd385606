"""The bus in one process: deterministic, for tests and for services that run without any broker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import count

from modelux_bus.assign import assign, partition_of
from modelux_bus.base import Bus, BusUnavailable, Delivery, Message, Partition, Rebalanced, Subscription, check_sizes


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


class MemoryBus(Bus):
    """Keeps every record until it is closed. All members live in this process and share this object."""

    def __init__(self, now_ms: Callable[[], int] = _now_ms) -> None:
        self._now_ms = now_ms
        self._logs: dict[Partition, list[Delivery]] = {}
        self._partitions: dict[str, int] = {}
        self._groups: dict[str, _Group] = {}
        self._names = (f"member-{number:06}" for number in count(1))
        self._grew = asyncio.Event()

    async def publish(self, messages: Sequence[Message]) -> None:
        check_sizes(messages)
        for message in messages:
            if message.topic not in self._partitions:
                raise BusUnavailable(f"topic {message.topic!r} does not exist yet")
        now_ms = self._now_ms()
        for message in messages:
            number = partition_of(message.key, self._partitions[message.topic])
            partition = Partition(message.topic, number)
            log = self._logs[partition]
            log.append(Delivery(message, partition, len(log), now_ms))
        self.wake()

    @asynccontextmanager
    async def subscribe(self, group: str, topics: Sequence[str]) -> AsyncIterator[Subscription]:
        state = self._groups.setdefault(group, _Group())
        member = MemorySubscription(self, state, next(self._names), frozenset(topics))
        state.members[member.name] = member
        self._rebalance(state)
        try:
            yield member
        finally:
            self.drop(member)

    def drop(self, member: Subscription) -> None:
        """Takes `member` out of its group as if its process had died: what it did not commit goes to the others."""
        assert isinstance(member, MemorySubscription)
        if member.group.members.pop(member.name, None) is not None:
            self._rebalance(member.group)

    async def lag(self, group: str, topics: Sequence[str]) -> Mapping[Partition, int]:
        committed = self._groups[group].committed if group in self._groups else {}
        return {p: len(log) - committed.get(p, 0) for p, log in self._logs.items() if p.topic in topics}

    async def ensure(self, topics: Mapping[str, int]) -> None:
        for topic, partitions in topics.items():
            if topic not in self._partitions:
                self._partitions[topic] = partitions
                self._logs |= {Partition(topic, number): [] for number in range(partitions)}
        for state in self._groups.values():
            self._rebalance(state)

    async def close(self) -> None:
        self.wake()

    def read(self, partition: Partition, start: int, limit: int) -> list[Delivery]:
        """Up to `limit` records of a partition from offset `start` on."""
        return self._logs[partition][start : start + limit]

    def wake(self) -> None:
        """Makes every waiting `fetch` look again."""
        grew, self._grew = self._grew, asyncio.Event()
        grew.set()

    async def changed(self, seconds: float) -> bool:
        """False after `seconds` in which nothing was published and no group changed."""
        try:
            async with asyncio.timeout(seconds):
                await self._grew.wait()
        except TimeoutError:
            return False
        return True

    def _rebalance(self, state: _Group) -> None:
        wanted = {name: member.topics for name, member in state.members.items()}
        before, state.owners = state.owners, assign(wanted, self._logs.keys(), state.owners)
        for partition, name in before.items():
            if state.owners.get(partition) != name and name in state.members:
                state.members[name].lose(partition)
        self.wake()


@dataclass(slots=True)
class _Group:
    members: dict[str, MemorySubscription] = field(default_factory=dict)
    owners: dict[Partition, str] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)


class MemorySubscription(Subscription):
    """A member of a group on the memory bus."""

    def __init__(self, bus: MemoryBus, group: _Group, name: str, topics: frozenset[str]) -> None:
        self.group = group
        self.name = name
        self.topics = topics
        self._bus = bus
        self._positions: dict[Partition, int] = {}
        self._lost: set[Partition] = set()
        self._turn = 0

    async def fetch(self, max_messages: int, max_wait_s: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max_wait_s
        while True:
            self._sync()
            if batch := self._take(max_messages):
                # A handler that never waits would otherwise keep the loop from everybody else.
                await asyncio.sleep(0)
                return batch
            if not await self._bus.changed(max(0.0, deadline - loop.time())):
                return []

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        held = self._held() - self._lost
        for partition, offset in next_offsets.items():
            if partition in self._positions and offset > self._positions[partition]:
                raise ValueError(f"offset {offset} of {partition} was not fetched yet")
        kept = {partition: offset for partition, offset in next_offsets.items() if partition in held}
        self.group.committed.update(kept)
        if len(kept) < len(next_offsets):
            raise Rebalanced

    def assigned(self) -> frozenset[Partition]:
        return frozenset(self._positions)

    def lose(self, partition: Partition) -> None:
        """Fences this member off `partition` until its next `fetch`, even if it gets it back before."""
        if partition in self._positions:
            self._lost.add(partition)

    def _held(self) -> set[Partition]:
        return {partition for partition, owner in self.group.owners.items() if owner == self.name}

    def _sync(self) -> None:
        held = self._held()
        if self._lost:
            self._lost.clear()
            self._positions = {partition: self.group.committed.get(partition, 0) for partition in held}
            raise Rebalanced
        for partition in held - self._positions.keys():
            self._positions[partition] = self.group.committed.get(partition, 0)

    def _take(self, max_messages: int) -> list[Delivery]:
        batch: list[Delivery] = []
        order = sorted(self._positions)
        self._turn += 1
        for step in range(len(order)):
            partition = order[(self._turn + step) % len(order)]
            some = self._bus.read(partition, self._positions[partition], max_messages - len(batch))
            self._positions[partition] += len(some)
            batch += some
        return batch
