"""The loop of every consumer: fetch, handle, publish what the handler answers, commit."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from modelux_bus.base import Bus, BusUnavailable, Delivery, Message, Partition, Rebalanced, Subscription

log = logging.getLogger(__name__)

Handler = Callable[[Sequence[Delivery]], Awaitable[Sequence[Message]]]
"""Takes deliveries of one topic, in order per key, and answers the events to publish.

Called again with the same deliveries after any failure, so it must be idempotent by message id.
"""

Idle = Callable[[], Awaitable[Sequence[Message]]]
"""Is told that there is nothing to read, and answers the events to publish."""

DEAD_LETTER_SUFFIX = ".dlq"
_LARGE_BYTES = 4 * 1024 * 1024


class InvalidMessage(Exception):
    """A handler will never make sense of one delivery: that goes to the dead letters, the rest to the handler again."""

    def __init__(self, delivery_index: int, reason: str) -> None:
        """`delivery_index` counts in the sequence that the handler was given."""
        super().__init__(reason)
        self.delivery_index = delivery_index
        self.reason = reason


class Overloaded(Exception):
    """What a handler writes to cannot keep up or is away: the same deliveries again, later."""


class TooManyInvalid(Exception):
    """So many messages in a row were invalid that the fault is more likely ours: stop and be seen."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How the loop waits and gives up. `sleep` and `jitter` (in [0, 1)) are the outside world."""

    first_backoff_s: float = 0.1
    last_backoff_s: float = 30.0
    max_invalid_in_a_row: int = 100
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    jitter: Callable[[], float] = random.random

    def backoff_s(self, failures: int) -> float:
        """How long to wait after so many failures in a row (full jitter)."""
        return self.jitter() * min(self.last_backoff_s, self.first_backoff_s * 2.0 ** min(failures, 20))


async def consume(
    bus: Bus,
    group: str,
    handlers: Mapping[str, Handler],
    *,
    max_messages: int = 500,
    max_wait_s: float = 1.0,
    overlap: int = 1,
    idle: Idle | None = None,
    stop: asyncio.Event | None = None,
    pace: Pace | None = None,
) -> None:
    """Reads the topics of `handlers` as one member of `group` until `stop` is set, at least once each.

    What a handler answers is acknowledged by the bus before its deliveries are committed. Any exception of a handler
    other than `InvalidMessage` and `Overloaded` is a bug and ends the loop, as does `TooManyInvalid`; nothing of the
    batch at hand is committed then. `stop` is looked at between batches and between attempts at one.

    While there is a backlog, `overlap` batches are handled at a time and the next is read meanwhile; they are published
    and committed in order all the same. A handler that takes part in this is not called in order per key.

    `idle` is called after each `max_wait_s` in which the partitions held had nothing to read, with nothing under way.
    """
    loop = _Loop(bus, handlers, max_messages, max_wait_s, overlap, idle, stop or asyncio.Event(), pace or Pace())
    if not await loop.patiently(lambda: bus.ensure({topic + DEAD_LETTER_SUFFIX: 1 for topic in handlers})):
        return
    while not loop.stop.is_set():
        try:
            async with bus.subscribe(group, list(handlers)) as member:
                loop.failures = 0
                await loop.run(member)
        except BusUnavailable as error:
            await loop.back_off(error)


class _Loop:
    """The state of one call of `consume`."""

    def __init__(
        self,
        bus: Bus,
        handlers: Mapping[str, Handler],
        max_messages: int,
        max_wait_s: float,
        overlap: int,
        idle: Idle | None,
        stop: asyncio.Event,
        pace: Pace,
    ) -> None:
        self.failures = 0
        self.stop = stop
        self._bus = bus
        self._handlers = handlers
        self._max_messages = max_messages
        self._max_wait_s = max_wait_s
        self._overlap = overlap
        self._idle = idle
        self._pace = pace
        self._invalid_in_a_row = 0

    async def run(self, member: Subscription) -> None:
        """Batch after batch until `stop`."""
        while not self.stop.is_set():
            try:
                batch = await member.fetch(self._max_messages, self._max_wait_s)
                self.failures = 0
                if not batch and member.assigned():
                    await self._rest()
                if self._overlap > 1 and self._large(batch):
                    await self._catch_up(member, batch)
                    continue
                for topic, deliveries in _by_topic(batch).items():
                    await self._finish(member, deliveries, await self._handle(topic, deliveries))
            except Rebalanced:
                log.info("the group changed: reading on from the last commit")
            except BusUnavailable as error:
                await self.back_off(error)

    async def _rest(self) -> None:
        if self._idle is not None and (answers := await self._idle()):
            await self.patiently(lambda: self._bus.publish(answers))

    async def patiently(self, step: Callable[[], Awaitable[None]]) -> bool:
        """Repeats `step` until the bus takes it; False when it did not and `stop` is set."""
        while True:
            try:
                await step()
            except BusUnavailable as error:
                if self.stop.is_set():
                    return False
                await self.back_off(error)
            else:
                self.failures = 0
                return True

    async def back_off(self, error: Exception) -> None:
        seconds = self._pace.backoff_s(self.failures)
        self.failures += 1
        log.warning("%s: again in %.1f s", error, seconds)
        await self._pace.sleep(seconds)

    async def _catch_up(self, member: Subscription, batch: list[Delivery]) -> None:
        """Works off a backlog with several batches under way; back at the first small one, with nothing under way."""
        running: deque[tuple[list[Delivery], asyncio.Task[list[Message] | None]]] = deque()
        try:
            async with asyncio.TaskGroup() as tasks:
                while batch:
                    for topic, deliveries in _by_topic(batch).items():
                        running.append((deliveries, tasks.create_task(self._handle(topic, deliveries))))
                    batch = await self._next(member, batch)
                    while running and (len(running) >= self._overlap or not batch):
                        deliveries, task = running.popleft()
                        if not await self._settled(member, deliveries, await task):
                            return
        except BaseExceptionGroup as group:
            # What ended the work, of a handler or of the bus; callers expect it bare.
            raise group.exceptions[0] from None

    async def _next(self, member: Subscription, batch: list[Delivery]) -> list[Delivery]:
        """What is there to read behind a large batch. A bus that is away is noticed once nothing is under way."""
        if self.stop.is_set() or not self._large(batch):
            return []
        try:
            return await member.fetch(self._max_messages, 0.0)
        except BusUnavailable:
            return []

    async def _settled(
        self, member: Subscription, deliveries: Sequence[Delivery], answers: Sequence[Message] | None
    ) -> bool:
        """As `_finish`, but no reason to drop the batches behind: the next fetch decides on them."""
        try:
            return await self._finish(member, deliveries, answers)
        except Rebalanced:
            log.info("the group changed: a commit came too late")
            return True

    def _large(self, batch: Sequence[Delivery]) -> bool:
        """Whether a batch tells of a backlog: a bus may cut it by rows or by bytes."""
        return 2 * len(batch) >= self._max_messages or sum(len(d.message.value) for d in batch) >= _LARGE_BYTES

    async def _finish(
        self, member: Subscription, deliveries: Sequence[Delivery], answers: Sequence[Message] | None
    ) -> bool:
        """Publishes and commits what was handled of one topic; False when a stop leaves it to the next reader."""
        if answers is None or not await self.patiently(lambda: self._bus.publish(answers)):
            return False
        done: dict[Partition, int] = {}
        for delivery in deliveries:
            done[delivery.partition] = delivery.offset + 1
        return await self.patiently(lambda: member.commit(done))

    async def _handle(self, topic: str, deliveries: Sequence[Delivery]) -> list[Message] | None:
        """What to publish before the deliveries are done with, dead letters included; None when told to stop."""
        waiting = list(deliveries)
        dead: list[Message] = []
        while waiting:
            try:
                answers = await self._handlers[topic](waiting)
            except InvalidMessage as invalid:
                dead.append(_dead_letter(waiting.pop(invalid.delivery_index), invalid.reason))
                self._count_invalid(topic, invalid)
            except Overloaded as error:
                if self.stop.is_set():
                    return None
                await self.back_off(error)
            else:
                self.failures = self._invalid_in_a_row = 0
                return [*dead, *answers]
        return dead

    def _count_invalid(self, topic: str, invalid: InvalidMessage) -> None:
        self._invalid_in_a_row += 1
        log.error("dead letter from %s: %s", topic, invalid.reason)
        if self._invalid_in_a_row > self._pace.max_invalid_in_a_row:
            raise TooManyInvalid(f"{self._invalid_in_a_row} messages of {topic!r} in a row: {invalid.reason}")


def _by_topic(batch: Sequence[Delivery]) -> dict[str, list[Delivery]]:
    topics: dict[str, list[Delivery]] = {}
    for delivery in batch:
        topics.setdefault(delivery.partition.topic, []).append(delivery)
    return topics


def _dead_letter(delivery: Delivery, reason: str) -> Message:
    """The message as it came, for its topic's dead letters, with where it stood and what was wrong."""
    why = (
        ("modelux-dlq-reason", reason[:1000].encode()),
        ("modelux-dlq-topic", delivery.partition.topic.encode()),
        ("modelux-dlq-partition", str(delivery.partition.number).encode()),
        ("modelux-dlq-offset", str(delivery.offset).encode()),
    )
    message = delivery.message
    return replace(message, topic=message.topic + DEAD_LETTER_SUFFIX, headers=(*message.headers, *why))
