"""The consumer loop against a bus that fails on cue: nothing is lost, nothing is committed too early."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import pytest

from modelux_bus.base import BusUnavailable, Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded, Pace, TooManyInvalid, consume
from modelux_bus.memory import MemoryBus


class FlakyBus(MemoryBus):
    """A memory bus that is away for the next `away` calls, and notes what it is told."""

    def __init__(self) -> None:
        super().__init__()
        self.away = 0
        self.published: list[str] = []

    async def publish(self, messages: Sequence[Message]) -> None:
        self._fail()
        self.published += [message.id for message in messages]
        await super().publish(messages)

    async def ensure(self, topics: Mapping[str, int]) -> None:
        self._fail()
        await super().ensure(topics)

    def _fail(self) -> None:
        if self.away:
            self.away -= 1
            raise BusUnavailable("away")


class Waits:
    """Stands for the time that passes in a backoff."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)

    def pace(self, **changes: int) -> Pace:
        return Pace(sleep=self.sleep, jitter=lambda: 1.0, **changes)


async def filled(count: int, partitions: int = 1) -> FlakyBus:
    bus = FlakyBus()
    await bus.ensure({"in": partitions, "out": 1})
    await bus.publish([Message("in", b"k%d" % (n % 7), b"%d" % n, f"req_{n}") for n in range(count)])
    bus.published.clear()
    return bus


async def lag(bus: MemoryBus) -> int:
    return sum((await bus.lag("g", ["in"])).values())


async def run(bus: MemoryBus, handle, waits: Waits, stop: asyncio.Event, **changes: int) -> None:  # type: ignore[no-untyped-def]
    async with asyncio.timeout(30):
        await consume(bus, "g", {"in": handle}, max_messages=10, max_wait_s=0.01, stop=stop, pace=waits.pace(**changes))


async def test_backs_off_longer_each_time_and_starts_over_after_a_success() -> None:
    bus, waits, stop = await filled(2), Waits(), asyncio.Event()
    troubles = [12, 3]

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        if troubles[0]:
            troubles[0] -= 1
            raise Overloaded("the store is slow")
        troubles.pop(0)
        if len(troubles) == 0:
            stop.set()
        else:
            await bus.publish([Message("in", b"k", b"9", "req_9")])
        return []

    await run(bus, handle, waits, stop)
    assert waits.seconds == pytest.approx([*(min(30.0, 0.1 * 2**n) for n in range(12)), 0.1, 0.2, 0.4])
    assert await lag(bus) == 0


async def test_publishes_again_before_it_commits_when_the_bus_was_away() -> None:
    bus, waits, stop = await filled(5), Waits(), asyncio.Event()
    seen = []

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        bus.away = 3
        seen.append(len(deliveries))
        stop_soon.append(deliveries[-1].offset)
        return [Message("out", b"k", b"", f"answer_{d.message.id}") for d in deliveries]

    stop_soon: list[int] = []

    async def stop_when_published() -> None:
        while len(bus.published) < 5:
            await asyncio.sleep(0)
        stop.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(run(bus, handle, waits, stop))
        tasks.create_task(stop_when_published())
    assert seen == [5]
    assert bus.published == [f"answer_req_{n}" for n in range(5)]
    assert len(waits.seconds) == 3
    assert await lag(bus) == 0


async def test_a_stop_during_an_outage_commits_nothing_that_was_not_published() -> None:
    bus, stop = await filled(5), asyncio.Event()

    async def give_up(seconds: float) -> None:
        stop.set()

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        bus.away = 10**6
        return [Message("out", b"k", b"", "answer")]

    async with asyncio.timeout(30):
        await consume(bus, "g", {"in": handle}, max_wait_s=0.01, stop=stop, pace=Pace(sleep=give_up))
    assert await lag(bus) == 5
    assert bus.published == []


async def test_starts_when_the_bus_comes_up() -> None:
    bus, waits, stop = await filled(3), Waits(), asyncio.Event()
    bus.away = 4

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        stop.set()
        return []

    await run(bus, handle, waits, stop)
    assert len(waits.seconds) == 4
    assert await lag(bus) == 0


async def test_poison_goes_aside_and_the_rest_is_handled_once_without_it() -> None:
    bus, waits, stop = await filled(40, partitions=3), Waits(), asyncio.Event()
    handled: list[bytes] = []

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        for index, delivery in enumerate(deliveries):
            if delivery.message.value.endswith(b"3"):
                raise InvalidMessage(index, "ends with 3")
        handled.extend(delivery.message.value for delivery in deliveries)
        if len(handled) == 36:
            stop.set()
        return []

    await run(bus, handle, waits, stop)
    assert sorted(map(int, handled)) == [n for n in range(40) if n % 10 != 3]
    dead = bus.read(Partition("in.dlq", 0), 0, 100)
    assert sorted(delivery.message.id for delivery in dead) == ["req_13", "req_23", "req_3", "req_33"]
    assert await lag(bus) == 0


async def test_stops_when_everything_is_poison() -> None:
    bus, waits = await filled(60), Waits()

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        raise InvalidMessage(0, "all bytes are wrong")

    with pytest.raises(TooManyInvalid, match="all bytes are wrong"):
        await run(bus, handle, waits, asyncio.Event(), max_invalid_in_a_row=25)
    # Two whole batches went to the dead letters before it was clear; the third stays for whoever repairs this.
    assert len(bus.read(Partition("in.dlq", 0), 0, 100)) == 20
    assert await lag(bus) == 40


@pytest.mark.parametrize("broken_topic", ["in", "out"])
async def test_a_bug_in_one_topic_never_takes_back_what_another_finished(broken_topic: str) -> None:
    bus, waits = await filled(4), Waits()
    await bus.publish([Message("out", b"k", b"x", "out_0")])
    finished: list[str] = []

    async def fine(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        finished.extend(delivery.message.id for delivery in deliveries)
        return []

    async def broken(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        raise LookupError("a bug")

    handlers = {topic: broken if topic == broken_topic else fine for topic in ("in", "out")}
    with pytest.raises(LookupError):
        async with asyncio.timeout(30):
            await consume(bus, "g", handlers, max_wait_s=0.01, pace=waits.pace())
    lags = {place.topic: count for place, count in (await bus.lag("g", ["in", "out"])).items()}
    other = "out" if broken_topic == "in" else "in"
    assert lags[broken_topic] == {"in": 4, "out": 1}[broken_topic]
    assert lags[other] == {"in": 4, "out": 1}[other] - len(finished)


async def test_nothing_to_read_is_told_with_nothing_under_way_and_its_answers_are_published() -> None:
    bus, waits, stop = await filled(5), Waits(), asyncio.Event()
    done: list[str] = []
    refuse = iter([True, True, False])

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        if next(refuse, False):
            raise Overloaded("busy")
        done.extend(delivery.message.id for delivery in deliveries)
        return []

    async def idle() -> Sequence[Message]:
        assert (len(done), await lag(bus)) == (5, 0), "something was left to read"
        if bus.published:
            stop.set()
            return []
        bus.away = 1
        return [Message("out", b"k", b"", "idle_1")]

    async with asyncio.timeout(30):
        await consume(bus, "g", {"in": handle}, max_wait_s=0.01, idle=idle, stop=stop, pace=waits.pace())
    assert bus.published == ["idle_1"]
    assert len(waits.seconds) == 3, "two refusals and one publish in vain"


async def test_a_member_that_holds_nothing_is_not_idle() -> None:
    bus, waits, stop = await filled(1), Waits(), asyncio.Event()
    told: list[str] = []

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        return []

    async def idle() -> Sequence[Message]:
        told.append("idle")
        return []

    async with bus.subscribe("g", ["in"]) as holder:
        await holder.fetch(10, 0.0)
        async with asyncio.timeout(30), asyncio.TaskGroup() as tasks:
            tasks.create_task(
                consume(bus, "g", {"in": handle}, max_wait_s=0.0, idle=idle, stop=stop, pace=waits.pace())
            )
            for _ in range(200):
                await asyncio.sleep(0)
            assert holder.assigned()
            stop.set()
    assert told == []


def test_backoff_has_a_ceiling_and_jitter() -> None:
    assert Pace(jitter=lambda: 0.5).backoff_s(0) == pytest.approx(0.05)
    assert Pace(jitter=lambda: 0.5).backoff_s(10**9) == pytest.approx(15.0)
