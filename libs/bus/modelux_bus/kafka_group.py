"""One member of a consumer group on Kafka: what it holds, reads and commits."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, ConsumerRecord, TopicPartition
from aiokafka.errors import (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    KafkaError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)

from modelux_bus.base import BusUnavailable, Delivery, Message, Partition, Rebalanced, Subscription

ID_HEADER = "modelux-id"
_LOST = (
    CommitFailedError,
    IllegalGenerationError,
    IllegalStateError,
    RebalanceInProgressError,
    UnknownMemberIdError,
)


class KafkaSubscription(Subscription):
    """Wraps a consumer; its client beats in the background and takes part in rebalances on its own."""

    def __init__(self, consumer: AIOKafkaConsumer, deadline_s: float) -> None:
        self.listener = _Listener()
        self._consumer = consumer
        self._deadline_s = deadline_s
        self._held: frozenset[Partition] = frozenset()
        self._positions: dict[Partition, int] = {}
        # Where to go back to: what was committed last, or fetched first.
        self._done: dict[Partition, int] = {}

    async def fetch(self, max_messages: int, max_wait_s: float) -> list[Delivery]:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + max_wait_s
        while True:
            self._settle()
            left = max(0.0, deadline - loop.time())
            try:
                async with asyncio.timeout(left + self._deadline_s):
                    found = await self._consumer.getmany(timeout_ms=int(left * 1000), max_records=max_messages)
            except (KafkaError, TimeoutError, OSError) as error:
                raise BusUnavailable(f"Kafka does not answer: {error!r}") from error
            records = [record for some in found.values() for record in some]
            for record in records:
                self._done.setdefault(Partition(record.topic, record.partition), record.offset)
            self._settle()
            batch = [self._delivery(record) for record in records if self._fresh(record)]
            for delivery in batch:
                self._positions[delivery.partition] = delivery.offset + 1
            if batch or loop.time() >= deadline:
                return batch

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        for partition, offset in next_offsets.items():
            if partition in self._positions and offset > self._positions[partition]:
                raise ValueError(f"offset {offset} of {partition} was not fetched yet")
        held = (self._held & self.listener.held) - self.listener.lost
        kept = {partition: offset for partition, offset in next_offsets.items() if partition in held}
        if kept:
            await self._commit(kept)
            self._done |= kept
        if len(kept) < len(next_offsets):
            raise Rebalanced

    def assigned(self) -> frozenset[Partition]:
        return self._held

    async def _commit(self, offsets: Mapping[Partition, int]) -> None:
        try:
            async with asyncio.timeout(self._deadline_s):
                await self._consumer.commit({TopicPartition(*place): offset for place, offset in offsets.items()})
        except _LOST as error:
            # The group is changing, nothing was committed: all of it comes again, here or elsewhere.
            self._rewind()
            raise Rebalanced from error
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusUnavailable(f"Kafka does not answer: {error!r}") from error

    def _settle(self) -> None:
        """Takes over what the rebalances since the last call decided. Raises `Rebalanced` when that took something."""
        lost, self.listener.lost = self.listener.lost, frozenset()
        lost &= self._held
        self._held = self.listener.held
        for partition in lost | (self._done.keys() - self._held):
            self._done.pop(partition, None)
            self._positions.pop(partition, None)
        if lost:
            self._rewind()
            raise Rebalanced

    def _rewind(self) -> None:
        """Lets the next fetch begin at the last commit of everything that is still held."""
        for partition, offset in self._done.items():
            # A partition that just went away answers so at the next fetch.
            with suppress(IllegalStateError):
                self._consumer.seek(TopicPartition(*partition), offset)
        self._positions = {}

    def _fresh(self, record: ConsumerRecord) -> bool:
        """Kafka starts again at the last commit after each rebalance; what this member has already is left out."""
        partition = Partition(record.topic, record.partition)
        return partition in self._held and bool(record.offset >= self._positions.get(partition, 0))

    def _delivery(self, record: ConsumerRecord) -> Delivery:
        headers = tuple((name, value) for name, value in record.headers if name != ID_HEADER)
        id_ = next((value for name, value in record.headers if name == ID_HEADER), b"").decode()
        message = Message(record.topic, record.key or b"", record.value or b"", id_, headers)
        return Delivery(message, Partition(record.topic, record.partition), record.offset, record.timestamp)


class _Listener(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """Remembers what the group gave to this member and what it took since somebody looked."""

    def __init__(self) -> None:
        self.held: frozenset[Partition] = frozenset()
        self.lost: frozenset[Partition] = frozenset()

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Everything is revoked in each round; what stays is known only when it is assigned again."""

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        held = frozenset(Partition(place.topic, place.partition) for place in assigned)
        self.lost |= self.held - held
        self.held = held
