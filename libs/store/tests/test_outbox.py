"""The outbox on a real database: with the transaction or not at all, in order, and again after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from modelux_bus.base import BusUnavailable, Message
from modelux_bus.memory import MemoryBus
from modelux_store import outbox
from modelux_store.database import Database
from modelux_store.migrate import migrate_postgres


class LossyBus(MemoryBus):
    """Publishes and then loses the acknowledgement, as often as it is told to."""

    lose = 0

    async def publish(self, messages: Sequence[Message]) -> None:
        await super().publish(messages)
        if self.lose:
            self.lose -= 1
            raise BusUnavailable("no acknowledgement")


@pytest.fixture
async def bus(database: Database) -> LossyBus:
    await migrate_postgres(database, "outbox")
    bus = LossyBus()
    await bus.ensure({"t": 1})
    return bus


def message(number: int) -> Message:
    return Message("t", b"key", f"{number}".encode(), f"evt_{number}", (("h", b"\x00v"),))


async def published(bus: LossyBus) -> list[Message]:
    async with bus.subscribe("reader", ["t"]) as subscription:
        return [delivery.message for delivery in await subscription.fetch(10_000, 0.05)]


async def append(database: Database, *numbers: int) -> None:
    async with database.transaction() as tx:
        for number in numbers:
            await outbox.append(tx, message(number))


async def test_what_is_committed_is_published_whole_and_in_order(database: Database, bus: LossyBus) -> None:
    await append(database, *range(700))
    assert [await outbox.relay_once(database, bus) for _ in range(3)] == [500, 200, 0]
    assert await published(bus) == [message(n) for n in range(700)]
    assert await outbox.waiting(database) == 0


async def test_what_is_rolled_back_is_never_published(database: Database, bus: LossyBus) -> None:
    async def write() -> None:
        async with database.transaction() as tx:
            await outbox.append(tx, message(1))
            raise RuntimeError("later")

    with pytest.raises(RuntimeError, match="later"):
        await write()
    assert await outbox.relay_once(database, bus) == 0


async def test_a_lost_acknowledgement_publishes_again_with_the_same_ids(database: Database, bus: LossyBus) -> None:
    bus.lose = 1
    await append(database, 1, 2)
    with pytest.raises(BusUnavailable):
        await outbox.relay_once(database, bus)
    assert await outbox.waiting(database) == 2
    assert await outbox.relay_once(database, bus) == 2
    assert [m.id for m in await published(bus)] == ["evt_1", "evt_2"] * 2


async def test_relays_side_by_side_keep_the_order(database: Database, bus: LossyBus) -> None:
    await append(database, *range(1200))
    async with asyncio.TaskGroup() as group:
        relays = [group.create_task(outbox.relay(database, bus, poll_s=0.01)) for _ in range(3)]
        while await outbox.waiting(database):
            await asyncio.sleep(0.01)
        for each in relays:
            each.cancel()
    assert [m.id for m in await published(bus)] == [f"evt_{n}" for n in range(1200)]


async def test_the_relay_outlives_a_bus_that_is_away(database: Database, bus: LossyBus) -> None:
    bus.lose = 2
    await append(database, 1)
    async with asyncio.TaskGroup() as group:
        relay = group.create_task(outbox.relay(database, bus, poll_s=0.01))
        async with asyncio.timeout(30):
            while await outbox.waiting(database):
                await asyncio.sleep(0.01)
        relay.cancel()
    assert {m.id for m in await published(bus)} == {"evt_1"}
