"""The bus on Apache Kafka."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TypedDict

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError, MessageSizeTooLargeError, TopicAlreadyExistsError, for_code

from modelux_bus.base import (
    MAX_MESSAGE_BYTES,
    Bus,
    BusUnavailable,
    Message,
    MessageTooLarge,
    Partition,
    Subscription,
    check_sizes,
)
from modelux_bus.kafka_group import ID_HEADER, KafkaSubscription

log = logging.getLogger(__name__)

# Keys, headers and framing come on top of the value.
_MAX_REQUEST_BYTES = MAX_MESSAGE_BYTES + 1024 * 1024


@dataclass(frozen=True, slots=True)
class Settings:
    """How long things may take, and what topics are created with."""

    deadline_s: float = 10.0
    """Of every call; what takes longer is `BusUnavailable`."""
    session_s: float = 8.0
    """A member whose heartbeats stop for so long is out of its group."""
    compression: str | None = "lz4"
    """Of the records a producer sends: lz4, zstd, gzip, snappy or none."""
    replication: int = -1
    """Of topics that `ensure` creates; -1 is the broker's default."""


class Security(TypedDict, total=False):
    """How to reach a cluster that asks for TLS or a name; empty for a plain one."""

    security_protocol: str
    ssl_context: ssl.SSLContext
    sasl_mechanism: str
    sasl_plain_username: str
    sasl_plain_password: str


class KafkaBus(Bus):
    """The bus on the Kafka cluster behind `servers` ("host:port,host:port"). Connects at the first call."""

    def __init__(self, servers: str, settings: Settings | None = None, security: Security | None = None) -> None:
        self._servers = servers
        self._settings = settings or Settings()
        self._security = security or Security()
        self._opening = asyncio.Lock()
        self._producer: AIOKafkaProducer | None = None
        self._known: set[str] = set()

    async def publish(self, messages: Sequence[Message]) -> None:
        check_sizes(messages)
        if not messages:
            return
        producer: AIOKafkaProducer | None = None
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                producer = await self._started_producer()
                await self._check_topics(producer, {message.topic for message in messages})
                sent = [
                    await producer.send(
                        message.topic,
                        key=message.key,
                        value=message.value,
                        headers=[*message.headers, (ID_HEADER, message.id.encode())],
                    )
                    for message in messages
                ]
                await asyncio.gather(*sent)
        except BusUnavailable:
            raise
        except MessageSizeTooLargeError as error:
            raise MessageTooLarge("the topic takes no messages of this size") from error
        except (KafkaError, TimeoutError, OSError) as error:
            # A producer that gave a batch up has lost its place in the broker's count: the next call gets a new one.
            await self._discard(producer)
            raise BusUnavailable(f"Kafka did not acknowledge: {error!r}") from error
        except BaseException:
            await self._discard(producer)
            raise

    @asynccontextmanager
    async def subscribe(self, group: str, topics: Sequence[str]) -> AsyncIterator[Subscription]:
        session_ms = int(self._settings.session_s * 1000)
        consumer = AIOKafkaConsumer(
            bootstrap_servers=self._servers,
            group_id=group,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            session_timeout_ms=session_ms,
            heartbeat_interval_ms=session_ms // 4,
            request_timeout_ms=self._request_ms,
            max_partition_fetch_bytes=4 * 1024 * 1024,
            fetch_max_bytes=16 * 1024 * 1024,
            # A member with new topics or partitions to learn of should not need minutes for it.
            metadata_max_age_ms=10_000,
            **self._security,
        )
        member = KafkaSubscription(consumer, self._settings.deadline_s)
        consumer.subscribe(sorted(set(topics)), listener=member.listener)
        try:
            await self._guarded_start(consumer)
            yield member
        finally:
            await self._stop(consumer)

    async def lag(self, group: str, topics: Sequence[str]) -> Mapping[Partition, int]:
        async with self._admin() as admin, self._reader() as reader:
            committed = await admin.list_consumer_group_offsets(group)
            described = await admin.describe_topics(list(topics))
            places = [TopicPartition(t["topic"], part["partition"]) for t in described for part in t["partitions"]]
            ends, starts = await reader.end_offsets(places), await reader.beginning_offsets(places)
        answer: dict[Partition, int] = {}
        for place in places:
            done = committed[place].offset if place in committed else -1
            answer[Partition(place.topic, place.partition)] = ends[place] - max(done, starts[place])
        return answer

    async def ensure(self, topics: Mapping[str, int]) -> None:
        replicas: dict[int, list[int]] | None = {} if self._settings.replication == -1 else None
        limit = {"max.message.bytes": str(_MAX_REQUEST_BYTES)}
        async with self._admin() as admin:
            present = set(await admin.list_topics())
            wanted = [
                # The empty mapping lets aiokafka pass a replication of -1 on.
                NewTopic(
                    name, partitions, self._settings.replication, replica_assignments=replicas, topic_configs=limit
                )
                for name, partitions in topics.items()
                if name not in present
            ]
            if wanted:
                answer = await admin.create_topics(wanted, timeout_ms=self._request_ms)
                for name, code, *_ in answer.topic_errors:
                    kind = for_code(code)
                    if code and kind is not TopicAlreadyExistsError:
                        raise BusUnavailable(f"cannot create topic {name!r}: {kind.__name__}")
            while not await self._led(admin, list(topics)):
                await asyncio.sleep(0.02)

    async def close(self) -> None:
        producer, self._producer = self._producer, None
        await self._discard(producer)

    @property
    def _request_ms(self) -> int:
        """Less than a call's deadline, so that the client's own retry still fits."""
        return int(self._settings.deadline_s * 400)

    async def _started_producer(self) -> AIOKafkaProducer:
        async with self._opening:
            producer = self._producer
            if producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._servers,
                    enable_idempotence=True,
                    acks="all",
                    compression_type=self._settings.compression,
                    max_batch_size=256 * 1024,
                    max_request_size=_MAX_REQUEST_BYTES,
                    request_timeout_ms=self._request_ms,
                    **self._security,
                )
                try:
                    await producer.start()
                except BaseException:
                    await self._discard(producer)
                    raise
                self._producer = producer
            return producer

    async def _check_topics(self, producer: AIOKafkaProducer, topics: set[str]) -> None:
        """Without this a send to a topic that nobody created would wait for its whole deadline."""
        for topic in topics - self._known:
            await producer.client.add_topic(topic)
            if not producer.client.cluster.partitions_for_topic(topic):
                await producer.client.force_metadata_update()
            if not producer.client.cluster.partitions_for_topic(topic):
                raise BusUnavailable(f"topic {topic!r} does not exist yet")
            self._known.add(topic)

    async def _discard(self, producer: AIOKafkaProducer | None) -> None:
        """Lets a producer go without the flush of its own `stop`, which waits for a broker that may be gone."""
        if producer is None:
            return
        current = self._producer is producer
        if current:
            self._producer = None
        producer._closed = True
        if producer._sender is not None:
            await producer._sender.close()
        await _close(producer.client)

    @asynccontextmanager
    async def _admin(self) -> AsyncIterator[AIOKafkaAdminClient]:
        admin = AIOKafkaAdminClient(
            bootstrap_servers=self._servers, request_timeout_ms=self._request_ms, **self._security
        )
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                try:
                    await admin.start()
                    yield admin
                finally:
                    await admin.close()
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusUnavailable(f"Kafka does not answer: {error!r}") from error

    @asynccontextmanager
    async def _reader(self) -> AsyncIterator[AIOKafkaConsumer]:
        """A client outside of any group that can ask where partitions begin and end."""
        reader = AIOKafkaConsumer(
            bootstrap_servers=self._servers, request_timeout_ms=self._request_ms, **self._security
        )
        try:
            await self._guarded_start(reader)
            yield reader
        finally:
            await self._stop(reader)

    async def _stop(self, consumer: AIOKafkaConsumer) -> None:
        """Leaves the group if the broker still listens; the connections close either way."""
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await consumer.stop()
        except (KafkaError, TimeoutError, OSError) as error:
            log.warning("could not leave the group, its session runs out: %r", error)
            if consumer._fetcher is not None:
                await consumer._fetcher.close()
            await _close(consumer._client)

    async def _guarded_start(self, consumer: AIOKafkaConsumer) -> None:
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                await consumer.start()
        except (KafkaError, TimeoutError, OSError) as error:
            raise BusUnavailable(f"Kafka does not answer: {error!r}") from error

    async def _led(self, admin: AIOKafkaAdminClient, topics: list[str]) -> bool:
        described = await admin.describe_topics(topics)
        return all(
            not topic["error_code"] and all(part["leader"] >= 0 for part in topic["partitions"]) for topic in described
        )


async def _close(client: AIOKafkaClient) -> None:
    with suppress(KafkaError, TimeoutError, OSError):
        async with asyncio.timeout(1.0):
            await client.close()
