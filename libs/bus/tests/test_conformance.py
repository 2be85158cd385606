"""What every bus promises, tried on each of them: memory, PostgreSQL and a real Apache Kafka."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest
from reading import done, fetch, lag_is, message, messages, numbers, until

from modelux_bus.base import (
    MAX_MESSAGE_BYTES,
    Bus,
    BusUnavailable,
    Delivery,
    Message,
    MessageTooLarge,
    Partition,
    Subscription,
)
from modelux_bus.consume import InvalidMessage, Overloaded, Pace, consume


async def test_a_message_arrives_as_it_was_sent(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 3})
    sent = Message(topic, b"project \xff", bytes(range(256)), "req_x", (("trace", b"\x00\xff"), ("a", b"")))
    before = time.time() * 1000
    await bus.publish([sent])
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        (delivery,) = await fetch(member, 1)
    assert delivery.message == sent
    assert delivery.partition.topic == topic
    assert delivery.offset == 0
    assert before - 2000 < delivery.timestamp_ms < time.time() * 1000 + 2000


async def test_order_per_key_without_gaps_under_concurrent_publishers(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 4})

    async def publisher(name: int) -> None:
        for batch in range(10):
            await bus.publish([message(topic, batch * 20 + n, key=f"publisher-{name}-key-{n % 4}") for n in range(20)])

    async with asyncio.TaskGroup() as tasks:
        for name in range(4):
            tasks.create_task(publisher(name))
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        got = await fetch(member, 800)
    per_key: dict[bytes, list[Delivery]] = {}
    per_partition: dict[Partition, list[int]] = {}
    for delivery in got:
        per_key.setdefault(delivery.message.key, []).append(delivery)
        per_partition.setdefault(delivery.partition, []).append(delivery.offset)
    assert len(per_key) == 16
    for deliveries in per_key.values():
        assert len({delivery.partition for delivery in deliveries}) == 1
        assert numbers(deliveries) == sorted(numbers(deliveries))
        assert len(deliveries) == 50
    assert len(per_partition) > 1
    for offsets in per_partition.values():
        assert offsets == list(range(len(offsets)))


async def test_each_group_reads_everything_from_the_oldest(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 2})
    await bus.publish(messages(topic, 30))
    for group in ("early", "late"):
        async with bus.subscribe(f"{group}.{topic}", [topic]) as member:
            got = await fetch(member, 30)
            await member.commit(done(got))
        assert sorted(numbers(got)) == list(range(30))


async def test_resumes_behind_the_commit(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 1})
    await bus.publish(messages(topic, 50))
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        first = await fetch(member, 20)
        await member.commit(done(first))
        await fetch(member, 15)  # read on, but never committed
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        rest = await fetch(member, 30)
    assert numbers(first) == list(range(20))
    assert numbers(rest) == list(range(20, 50))


async def test_a_fetch_continues_behind_the_one_before(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 1})
    await bus.publish(messages(topic, 25))
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        assert [numbers(await fetch(member, 10)) for _ in range(2)] == [list(range(10)), list(range(10, 20))]
        await bus.publish(messages(topic, 5, start=25))
        assert numbers(await fetch(member, 10)) == list(range(20, 30))


async def test_an_idle_fetch_comes_back_empty_and_a_waiting_one_wakes(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 2})
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        await until(lambda: _holds(member, 2))
        assert await member.fetch(10, 0.05) == []

        async def later() -> None:
            await asyncio.sleep(0.1)
            await bus.publish(messages(topic, 1))

        started = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(later())
            got = await member.fetch(10, 10.0)
        assert numbers(got) == [0]
        assert time.monotonic() - started < 9


async def _holds(member: Subscription, count: int) -> bool:
    await member.fetch(10, 0.05)
    return len(member.assigned()) == count


async def test_lag_counts_what_is_not_committed(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 3})
    assert await bus.lag(f"g.{topic}", [topic]) == {Partition(topic, number): 0 for number in range(3)}
    await bus.publish(messages(topic, 30))
    assert sum((await bus.lag(f"g.{topic}", [topic])).values()) == 30
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        got = await fetch(member, 30)
        assert sum((await bus.lag(f"g.{topic}", [topic])).values()) == 30
        await member.commit(done(got[:12]))
        assert sum((await bus.lag(f"g.{topic}", [topic])).values()) == 18
    assert sum((await bus.lag(f"other.{topic}", [topic])).values()) == 30


async def test_large_messages_pass_and_too_large_ones_are_refused(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 1})
    sizes = [1_000_000, 1_048_576, 4_000_000, 10]
    for number, size in enumerate(sizes):
        await bus.publish([Message(topic, b"k", bytes([number]) * size, f"req_{number}")])
    with pytest.raises(MessageTooLarge, match="req_huge"):
        await bus.publish([Message(topic, b"k", bytes(MAX_MESSAGE_BYTES), "req_huge")])
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        got = await fetch(member, len(sizes))
    assert [len(delivery.message.value) for delivery in got] == sizes


async def test_a_topic_nobody_created_is_unavailable_until_it_exists(bus: Bus, topic: str) -> None:
    with pytest.raises(BusUnavailable, match="does not exist"):
        await bus.publish(messages(topic, 1))
    await bus.ensure({topic: 1})
    await bus.publish(messages(topic, 1))
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        assert numbers(await fetch(member, 1)) == [0]


async def test_ensure_leaves_existing_topics_alone(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 3})
    await bus.publish(messages(topic, 5))
    await bus.ensure({topic: 7, f"{topic}.new": 2})
    assert len(await bus.lag(f"g.{topic}", [topic])) == 3
    assert len(await bus.lag(f"g.{topic}", [f"{topic}.new"])) == 2
    assert sum((await bus.lag(f"g.{topic}", [topic])).values()) == 5


async def test_committing_what_was_not_fetched_is_refused(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 1})
    await bus.publish(messages(topic, 3))
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        (first,) = await fetch(member, 1)
        with pytest.raises(ValueError, match="not fetched"):
            await member.commit({first.partition: 3})


async def test_an_error_in_the_block_leaves_the_group_and_comes_out_bare(place, topic: str) -> None:  # type: ignore[no-untyped-def]
    bus = place.patient()
    await bus.ensure({topic: 2})

    async def fail() -> None:
        async with bus.subscribe(f"g.{topic}", [topic]) as member:
            await until(lambda: _holds(member, 2))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()
    async with bus.subscribe(f"g.{topic}", [topic]) as member:
        await until(lambda: _holds(member, 2))  # which it could not, if the first were only missed
    await bus.close()


PACE = Pace(first_backoff_s=0.02, jitter=lambda: 1.0)


async def test_consume_publishes_answers_and_sets_bad_messages_aside(bus: Bus, topic: str) -> None:
    """One handler that fails in each way it may, in the middle of a stream."""
    answers = f"{topic}.answers"
    await bus.ensure({topic: 2, answers: 2})
    await bus.publish(messages(topic, 30))
    stop = asyncio.Event()
    troubles = iter([Overloaded("slow down")])

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        for trouble in troubles:
            raise trouble
        for index, delivery in enumerate(deliveries):
            if int(delivery.message.value) % 10 == 7:
                raise InvalidMessage(index, f"seven: {delivery.message.id}")
        return [Message(answers, d.message.key, d.message.value, f"answer:{d.message.id}") for d in deliveries]

    async def stop_at_the_end() -> None:
        await until(lambda: lag_is(bus, f"worker.{topic}", topic, 0))
        stop.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(
            consume(bus, f"worker.{topic}", {topic: handle}, max_messages=8, max_wait_s=0.1, stop=stop, pace=PACE)
        )
        tasks.create_task(stop_at_the_end())
    async with bus.subscribe(f"check.{topic}", [answers]) as member:
        got = await fetch(member, 27)
    assert sorted(numbers(got)) == [number for number in range(30) if number % 10 != 7]
    async with bus.subscribe(f"check-dead.{topic}", [f"{topic}.dlq"]) as member:
        dead = await fetch(member, 3)
    assert sorted(numbers(dead)) == [7, 17, 27]
    for delivery in dead:
        headers = dict(delivery.message.headers)
        assert headers["modelux-dlq-reason"].decode() == f"seven: {delivery.message.id}"
        assert headers["modelux-dlq-topic"].decode() == topic
        assert {"modelux-dlq-partition", "modelux-dlq-offset"} <= headers.keys()


async def test_consume_repeats_what_it_had_not_committed_when_it_crashed(bus: Bus, topic: str) -> None:
    await bus.ensure({topic: 1})
    await bus.publish(messages(topic, 10))
    stop = asyncio.Event()
    seen: list[int] = []

    async def crash(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        seen.extend(numbers(deliveries))
        raise RuntimeError("a bug")

    with pytest.raises(RuntimeError, match="a bug"):
        await consume(bus, f"worker.{topic}", {topic: crash}, max_wait_s=0.1, stop=stop, pace=PACE)
    assert seen == sorted(seen)
    assert seen

    async def work(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        again.extend(numbers(deliveries))
        if len(again) == 10:
            stop.set()
        return []

    again: list[int] = []
    await consume(bus, f"worker.{topic}", {topic: work}, max_wait_s=0.1, stop=stop, pace=PACE)
    assert again == list(range(10))
    assert await lag_is(bus, f"worker.{topic}", topic, 0)
