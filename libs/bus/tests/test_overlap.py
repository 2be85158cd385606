"""Several batches under way at a time: the log and what is committed of it look as if it had been one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import pytest

from modelux_bus.base import BusUnavailable, Delivery, Message, Partition, Subscription
from modelux_bus.consume import Handler, Overloaded, Pace, consume
from modelux_bus.memory import MemoryBus


class AwayEveryThirdFetch(MemoryBus):
    @asynccontextmanager
    async def subscribe(self, group: str, topics: Sequence[str]) -> AsyncIterator[Subscription]:
        async with super().subscribe(group, topics) as member:
            yield _AwayEveryThirdFetch(member)


class _AwayEveryThirdFetch(Subscription):
    def __init__(self, member: Subscription) -> None:
        self._member = member
        self._fetches = 0

    async def fetch(self, max_messages: int, max_wait_s: float) -> list[Delivery]:
        self._fetches += 1
        if self._fetches % 3 == 2:
            raise BusUnavailable("away")
        return await self._member.fetch(max_messages, max_wait_s)

    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        await self._member.commit(next_offsets)

    def assigned(self) -> frozenset[Partition]:
        return self._member.assigned()


async def filled(count: int) -> MemoryBus:
    bus = MemoryBus()
    await bus.ensure({"in": 1, "out": 1})
    await bus.publish([Message("in", b"k", b"%d" % n, f"req_{n}") for n in range(count)])
    return bus


async def lag(bus: MemoryBus) -> int:
    return sum((await bus.lag("g", ["in"])).values())


async def run(bus: MemoryBus, handle: Handler, stop: asyncio.Event, pace: Pace | None = None) -> None:
    async with asyncio.timeout(30):
        await consume(bus, "g", {"in": handle}, max_messages=10, max_wait_s=0.01, overlap=2, stop=stop, pace=pace)


def answer(delivery: Delivery) -> Message:
    return Message("out", b"k", b"", delivery.message.id)


async def test_two_at_a_time_and_committed_in_order_whichever_ends_first() -> None:
    bus, stop = await filled(100), asyncio.Event()
    gates = [asyncio.Event() for _ in range(10)]
    under_way, most = 0, 0

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        nonlocal under_way, most
        number = deliveries[0].offset // 10
        under_way += 1
        most = max(most, under_way)
        if number % 2 == 0:
            # An even batch ends only after the odd one behind it, and nothing of either is committed before.
            await gates[number + 1].wait()
            assert await lag(bus) == 100 - 10 * number
        gates[number].set()
        under_way -= 1
        if number == 9:
            stop.set()
        return [answer(each) for each in deliveries]

    await run(bus, handle, stop)
    assert most == 2
    assert await lag(bus) == 0
    assert [d.message.id for d in bus.read(Partition("out", 0), 0, 1000)] == [f"req_{n}" for n in range(100)]


async def test_a_stop_leaves_what_is_behind_an_unfinished_batch() -> None:
    bus, stop = await filled(50), asyncio.Event()
    second = asyncio.Event()

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        if deliveries[0].offset == 0:
            await second.wait()
            stop.set()
            raise Overloaded("the store is away")
        second.set()
        return []

    await run(bus, handle, stop)
    assert await lag(bus) == 50


async def test_a_bug_comes_out_bare_and_takes_back_nothing_that_was_finished() -> None:
    bus = await filled(50)

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        if deliveries[0].offset >= 20:
            raise LookupError("a bug")
        return []

    with pytest.raises(LookupError):
        await run(bus, handle, asyncio.Event())
    assert await lag(bus) >= 30


async def test_a_bus_that_goes_away_while_reading_ahead_loses_nothing() -> None:
    bus, stop = AwayEveryThirdFetch(), asyncio.Event()
    await bus.ensure({"in": 1})
    await bus.publish([Message("in", b"k", b"", f"req_{n}") for n in range(100)])
    handled: list[int] = []

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        handled.extend(each.offset for each in deliveries)
        if len(handled) == 100:
            stop.set()
        return []

    await run(bus, handle, stop, Pace(jitter=lambda: 0.0))
    assert handled == list(range(100))
    assert await lag(bus) == 0


async def test_a_partition_lost_on_the_way_is_read_again_by_its_next_holder() -> None:
    bus = MemoryBus()
    await bus.ensure({"in": 4})
    await bus.publish([Message("in", b"k%d" % n, b"", f"req_{n}") for n in range(200)])
    stop, seen = asyncio.Event(), list[str]()

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        await asyncio.sleep(0)
        seen.extend(each.message.id for each in deliveries)
        return []

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(bus, handle, stop))
        while len(seen) < 40:
            await asyncio.sleep(0)
        tasks.create_task(run(bus, handle, stop))
        async with asyncio.timeout(30):
            while await lag(bus):
                await asyncio.sleep(0)
        stop.set()
    assert set(seen) == {f"req_{n}" for n in range(200)}
