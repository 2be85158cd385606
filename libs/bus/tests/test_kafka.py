"""What only the Kafka bus does: living through a broker that dies or hangs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator

import pytest
from aiokafka import TopicPartition
from kafka_broker import KafkaBroker
from reading import fetch

from modelux_bus.base import BusUnavailable, Message, Partition, Rebalanced
from modelux_bus.kafka import KafkaBus, Settings
from modelux_bus.kafka_group import KafkaSubscription

pytestmark = pytest.mark.kafka

QUICK = Settings(deadline_s=2.0, session_s=2.0)


def messages(count: int, start: int = 0) -> list[Message]:
    return [Message("t", b"key", b"%d" % n, f"req_{n}") for n in range(start, start + count)]


@pytest.fixture
def broker(kafka_server: KafkaBroker) -> Iterator[KafkaBroker]:
    """One of its own, since this one is harmed; the shared one says whether there can be any."""
    with KafkaBroker(kafka_server.jars) as own:
        yield own


async def publish_until_taken(bus: KafkaBus, batch: list[Message], deadline_s: float = 40.0) -> int:
    deadline = time.monotonic() + deadline_s
    failures = 0
    while True:
        try:
            await bus.publish(batch)
        except BusUnavailable:
            assert time.monotonic() < deadline
            failures += 1
            await asyncio.sleep(0.1)
        else:
            return failures


@pytest.mark.nightly
async def test_nothing_acknowledged_is_lost_when_the_broker_is_killed_and_when_it_hangs(broker: KafkaBroker) -> None:
    bus = KafkaBus(broker.servers, QUICK)
    await bus.ensure({"t": 1})
    async with bus.subscribe("g", ["t"]) as member:
        await bus.publish(messages(20))
        broker.kill()
        with pytest.raises(BusUnavailable):
            await bus.publish(messages(20, start=20))
        await asyncio.to_thread(broker.start)
        await publish_until_taken(bus, messages(20, start=20))
        broker.pause()
        started = time.monotonic()
        with pytest.raises(BusUnavailable):
            await bus.publish(messages(20, start=40))
        assert time.monotonic() - started < QUICK.deadline_s + 15
        broker.resume()
        await publish_until_taken(bus, messages(20, start=40))
        seen: list[int] = []
        deadline = time.monotonic() + 40
        while not set(range(60)) <= set(seen):
            assert time.monotonic() < deadline, sorted(set(seen))
            try:
                seen += [int(delivery.message.value) for delivery in await member.fetch(100, 0.5)]
            except BusUnavailable:
                await asyncio.sleep(0.1)
    first_seen = list(dict.fromkeys(seen))
    assert first_seen == list(range(60))
    await bus.close()


async def test_after_a_loss_what_is_still_held_comes_again_from_the_last_commit(kafka_server: KafkaBroker) -> None:
    """The client rewinds by itself in a real rebalance; this one it knows nothing of."""
    bus = KafkaBus(kafka_server.servers, Settings(deadline_s=8.0))
    await bus.ensure({"rewound": 2})
    await bus.publish([Message("rewound", b"key-%d" % n, b"%d" % n, f"req_{n}") for n in range(40)])
    async with bus.subscribe("rewinder", ["rewound"]) as member:
        assert isinstance(member, KafkaSubscription)
        first = await fetch(member, 40)
        await member.commit({Partition("rewound", 0): 3})
        member.listener.on_partitions_assigned([TopicPartition("rewound", 0)])
        with pytest.raises(Rebalanced):
            await member.fetch(100, 0.5)
        expected = [delivery.offset for delivery in first if delivery.partition.number == 0 and delivery.offset >= 3]
        again = await fetch(member, len(expected))
        again += await member.fetch(100, 0.5)
    assert [delivery.offset for delivery in again] == expected
    await bus.close()
