"""The bus port: a partitioned log with consumer groups, the same over Kafka, PostgreSQL and memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple

MAX_MESSAGE_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Message:
    """One record. `key` decides the partition and so the order; `id` is the event's identity, equal on every resend."""

    topic: str
    key: bytes
    value: bytes
    id: str
    headers: tuple[tuple[str, bytes], ...] = ()


class Partition(NamedTuple):
    topic: str
    number: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it was read: where it stood in the log and when it was appended (milliseconds since the epoch)."""

    message: Message
    partition: Partition
    offset: int
    timestamp_ms: int


class Rebalanced(Exception):
    """This member lost partitions: what it fetched and did not commit may be somebody else's now.

    Drop the batch and fetch again: fetching resumes from the last commit of every partition still held.
    """


class BusUnavailable(Exception):
    """The bus cannot be reached or did not acknowledge in time. The outcome of a publish is unknown: send again."""


class MessageTooLarge(ValueError):
    """A message above `MAX_MESSAGE_BYTES`: sending it again cannot help."""


class Subscription(ABC):
    """One member of a consumer group. Not safe for concurrent use."""

    @abstractmethod
    async def fetch(self, max_messages: int, max_wait_s: float) -> list[Delivery]:
        """Up to `max_messages` in order per partition; an empty list after `max_wait_s` without any.

        A call continues behind what the last one returned, committed or not. Raises `Rebalanced`, `BusUnavailable`.
        """

    @abstractmethod
    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Records that everything below each offset is done.

        Raises `Rebalanced` when this member no longer holds a partition (those it still holds are committed),
        `ValueError` for an offset above what it fetched, `BusUnavailable`.
        """

    @abstractmethod
    def assigned(self) -> frozenset[Partition]:
        """The partitions this member holds now, as far as it knows; changes only during `fetch` and `commit`."""


class Bus(ABC):
    """A message bus. Connects at first use. Every method has its own deadline and raises `BusUnavailable` past it."""

    @abstractmethod
    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns once every message is acknowledged by the broker, in order per key.

        At-least-once: a failed call may have published some. A topic nobody created yet is `BusUnavailable`, since
        its owner may still be starting. Raises `MessageTooLarge` before anything is sent.
        """

    @abstractmethod
    def subscribe(self, group: str, topics: Sequence[str]) -> AbstractAsyncContextManager[Subscription]:
        """Joins `group`; a new group starts at the oldest record. Leaving the context leaves the group."""

    @abstractmethod
    async def lag(self, group: str, topics: Sequence[str]) -> Mapping[Partition, int]:
        """Records appended and not yet committed by `group`, per partition."""

    @abstractmethod
    async def ensure(self, topics: Mapping[str, int]) -> None:
        """Creates the topics that do not exist (name -> partitions). Idempotent; never shrinks or grows one."""

    @abstractmethod
    async def close(self) -> None:
        """Lets go of every connection. Subscriptions must have been left before. Idempotent."""


def check_sizes(messages: Iterable[Message]) -> None:
    """Raises `MessageTooLarge` for the first message that no bus takes."""
    for message in messages:
        size = len(message.key) + len(message.value)
        if size > MAX_MESSAGE_BYTES:
            raise MessageTooLarge(
                f"message {message.id!r} for topic {message.topic!r} has {size} bytes, at most {MAX_MESSAGE_BYTES} fit"
            )
