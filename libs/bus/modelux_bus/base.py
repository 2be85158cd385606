"""The bus port: a partitioned log with consumer groups, the same over Kafka, PostgreSQL and memory."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import NamedTuple


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
    """The group changed and this member lost partitions: what it fetched and did not commit is somebody else's now. Fetch again."""


class BusUnavailable(Exception):
    """The bus cannot be reached or did not acknowledge in time. The outcome of a publish is unknown: send again."""


class Subscription(ABC):
    """One member of a consumer group. Not safe for concurrent use."""

    @abstractmethod
    async def fetch(self, max_messages: int, max_wait_s: float) -> list[Delivery]:
        """Up to `max_messages` in order per partition; an empty list after `max_wait_s` without any. Raises `Rebalanced`, `BusUnavailable`."""

    @abstractmethod
    async def commit(self, next_offsets: Mapping[Partition, int]) -> None:
        """Records that everything below each offset is done. Raises `Rebalanced` when this member no longer holds the partition."""

    @abstractmethod
    def assigned(self) -> frozenset[Partition]:
        """The partitions this member holds now."""


class Bus(ABC):
    """A message bus. Every method has a deadline of its own and raises `BusUnavailable` past it."""

    @abstractmethod
    async def publish(self, messages: Sequence[Message]) -> None:
        """Returns once every message is acknowledged by the broker, in order per key. At-least-once: a failed call may have published some."""

    @abstractmethod
    def subscribe(self, group: str, topics: Sequence[str]) -> AbstractAsyncContextManager[Subscription]:
        """Joins `group`; a new group starts at the oldest record. Leaving the context leaves the group."""

    @abstractmethod
    async def lag(self, group: str, topics: Sequence[str]) -> Mapping[Partition, int]:
        """Records appended and not yet committed by `group`, per partition."""

    @abstractmethod
    async def ensure(self, topics: Mapping[str, int]) -> None:
        """Creates the topics that do not exist (name -> number of partitions). Idempotent; never shrinks or grows an existing one."""

    @abstractmethod
    async def close(self) -> None: ...
