"""Numbered messages, and reading them through members of a group until enough came."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from modelux_bus.base import (
    Bus,
    Delivery,
    Message,
    Partition,
    Rebalanced,
    Subscription,
)

DEADLINE_S = 30.0


def message(topic: str, number: int, key: str = "") -> Message:
    return Message(topic, (key or f"key-{number % 13}").encode(), b"%d" % number, f"req_{number}")


def messages(topic: str, count: int, start: int = 0) -> list[Message]:
    return [message(topic, number) for number in range(start, start + count)]


def numbers(deliveries: Sequence[Delivery]) -> list[int]:
    return [int(delivery.message.value) for delivery in deliveries]


def done(deliveries: Sequence[Delivery]) -> dict[Partition, int]:
    return {delivery.partition: delivery.offset + 1 for delivery in deliveries}


async def fetch(member: Subscription, count: int) -> list[Delivery]:
    """Fetches until there are `count`; a rebalance that took nothing yet read is no matter here."""
    got: list[Delivery] = []
    deadline = time.monotonic() + DEADLINE_S
    while len(got) < count:
        assert time.monotonic() < deadline, f"got {len(got)} of {count}"
        try:
            got += await member.fetch(count - len(got), 0.2)
        except Rebalanced:
            got.clear()
    return got


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not await condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.01)


async def share(members: Sequence[Subscription], partitions: int) -> list[Delivery]:
    """Lets the members fetch until together they hold everything, each something; answers what they read meanwhile."""
    read: list[Delivery] = []
    deadline = time.monotonic() + DEADLINE_S
    while True:
        for member in members:
            try:
                read += await member.fetch(1000, 0.05)
            except Rebalanced:
                continue
        held = [member.assigned() for member in members]
        if sum(map(len, held)) == partitions and all(held):
            assert len(frozenset().union(*held)) == partitions
            return read
        assert time.monotonic() < deadline, held


async def lag_is(bus: Bus, group: str, topic: str, lag: int) -> bool:
    return sum((await bus.lag(group, [topic])).values()) == lag


def assert_complete_and_in_order(first_seen: list[int], count: int) -> None:
    assert sorted(first_seen) == list(range(count))
    for key in range(13):
        of_key = [number for number in first_seen if number % 13 == key]
        assert of_key == sorted(of_key)
