"""Write batches of `request.completed` to ClickHouse and answer the news of health and prices that follow."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Sequence

from modelux.events.v1.budget_pb2 import PriceUnknown, RunLooping
from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.base import Delivery, Message
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.sources import MADE
from modelux_contracts.topics import PRICE_UNKNOWN, PROVIDER_HEALTH_CHANGED, RUN_LOOPING
from modelux_ingest import metrics
from modelux_ingest.rows import attempt_columns, flaw, request_columns
from modelux_ingest.signals import Signals
from modelux_ingest.unknown_prices import QUIET_US, UnknownPrices
from modelux_store.analytics import Analytics, Rejected, Unavailable
from modelux_telemetry.meters import Meters

FULL_BATCH = 1000
"""Rows from which on a batch is written at once."""
STALE_US = 120_000_000
"""News of health that is older than this when it is read is history, not news."""


class Writer:
    """Handles one member's deliveries; several batches may be under way at a time.

    Args:
        linger_s: Least time between two small batches: meanwhile rows gather in the bus, and the next one is larger.
        now_us: Wall clock, microseconds since the epoch.
        sleep: Waits so many seconds.
        meters: Where it counts.
    """

    def __init__(
        self,
        analytics: Analytics,
        *,
        now_us: Callable[[], int],
        linger_s: float = 0.5,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        meters: Meters | None = None,
    ) -> None:
        self._analytics = analytics
        self._now_us = now_us
        self._linger_s = linger_s
        self._sleep = sleep
        self._meters = meters or metrics.meters()
        self._signals = Signals()
        self._unknown_prices = UnknownPrices()
        self._written_us = 0

    async def handle(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """Writes the deliveries, each of them once in what queries see, however often it is called with them.

        Raises:
            InvalidMessage: one delivery is not a request event, or ClickHouse will never take it.
            Overloaded: ClickHouse is away or busy.
        """
        events = await self._stored(deliveries, _token(deliveries))
        self._set_lag(events)
        unpriced = [_unpriced(each) for each in self._unknown_prices.observe(events)]
        loops = [_looping(each) for each in events if each.HasField("repeats")]
        return [*self._told(self._signals.observe(events, self._now_us() - STALE_US)), *unpriced, *loops]

    async def handle_imported(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """The same for calls that were made elsewhere: history says nothing of health, and is no news of prices.

        What is imported again may have another cost, so that all of it tells batches apart.
        """
        await self._stored(deliveries, _token(deliveries, tail=None))
        return []

    async def handle_made(self, deliveries: Sequence[Delivery]) -> Sequence[Message]:
        """The same for calls that experiments and judge runs made: as no caller waited for them, they say nothing of
        health and belong to no run. That a price is unknown is news of theirs, too.
        """
        events = await self._stored(deliveries, _token(deliveries), _not_made)
        return [_unpriced(each) for each in self._unknown_prices.observe(events)]

    async def _stored(
        self, deliveries: Sequence[Delivery], token: str, flaw_of: Callable[[RequestCompleted], str | None] = flaw
    ) -> list[RequestCompleted]:
        """The events of the deliveries, written."""
        try:
            events = [_decode(index, delivery, flaw_of) for index, delivery in enumerate(deliveries)]
            await self._linger(len(events))
            await self._store(events, token)
        except InvalidMessage:
            self._meters.add("refused", 1, "invalid")
            raise
        except Overloaded:
            self._meters.add("refused", 1, "overloaded")
            raise
        self._written_us = self._now_us()
        self._meters.add("batches")
        self._meters.add("rows", len(events))
        return events

    async def idle(self) -> Sequence[Message]:
        """What follows of there being nothing to read: a target that nobody calls any more is forgiven in time."""
        return self._told(self._signals.advance(self._now_us()))

    def _told(self, news: Sequence[ProviderHealthChanged]) -> Sequence[Message]:
        self._meters.add("health_news", len(news))
        return [_message(each) for each in news]

    def _set_lag(self, events: Sequence[RequestCompleted]) -> None:
        newest_us = max((event.started_at_us + event.latency_us for event in events), default=self._written_us)
        self._meters.set("lag_ms", max(self._written_us - newest_us, 0) / 1000)

    async def _store(self, events: Sequence[RequestCompleted], token: str) -> None:
        try:
            await self._write(events, token)
        except Unavailable as error:
            raise Overloaded(f"ClickHouse: {error}") from error
        except Rejected as error:
            await self._blame(events)
            raise Overloaded(f"ClickHouse refused rows together that it took alone: {error}") from error

    async def _write(self, events: Sequence[RequestCompleted], token: str = "") -> None:
        """Attempts first: whoever sees a request sees its attempts."""
        attempts = attempt_columns(events)
        if attempts["request_id"]:
            await self._analytics.insert("attempts", attempts, token=token)
        await self._analytics.insert("requests", request_columns(events), token=token)

    async def _blame(self, events: Sequence[RequestCompleted]) -> None:
        """Finds the first event that ClickHouse refuses, by halves, and raises `InvalidMessage` for it."""
        low, high = 0, len(events)
        while high - low > 1:
            middle = (low + high) // 2
            if await self._refused(events[low:middle]):
                high = middle
            else:
                low = middle
        if reason := await self._refused(events[low:high]):
            raise InvalidMessage(low, f"ClickHouse: {reason}")

    async def _refused(self, events: Sequence[RequestCompleted]) -> str:
        """Why ClickHouse refuses these events; "" where it has taken them."""
        try:
            await self._write(events)
        except Rejected as error:
            return str(error) or "refused"
        except Unavailable as error:
            raise Overloaded(f"ClickHouse: {error}") from error
        return ""

    async def _linger(self, rows: int) -> None:
        since_s = (self._now_us() - self._written_us) / 1e6
        if rows < FULL_BATCH and 0 <= since_s < self._linger_s:
            await self._sleep(self._linger_s - since_s)


def _not_made(event: RequestCompleted) -> str | None:
    named = f"source {event.source[:40]!r} is not one of {', '.join(MADE)}"
    return flaw(event) or (None if event.source in MADE else named)


def _decode(index: int, delivery: Delivery, flaw_of: Callable[[RequestCompleted], str | None]) -> RequestCompleted:
    message = delivery.message
    try:
        event = codec.decode(RequestCompleted, message.value, message.headers)
    except codec.Undecodable as error:
        raise InvalidMessage(index, str(error)) from error
    if reason := flaw_of(event):
        raise InvalidMessage(index, reason)
    return event


def _token(deliveries: Sequence[Delivery], tail: int | None = 64) -> str:
    """The same for the same batch, so that ClickHouse itself drops it when it comes again.

    Not made of offsets: a bus that was set up anew counts from 0 again, and its rows are not the old ones. Nor of ids
    alone: what happened and what was unknown of it share one. `tail`: how much of each message counts; None for all.
    """
    parts = [part for d in deliveries for part in (d.message.id.encode(), len(d.message.value).to_bytes(4, "big"))]
    tails = [d.message.value if tail is None else d.message.value[-tail:] for d in deliveries]
    return hashlib.blake2b(b"\0".join(parts + tails), digest_size=16).hexdigest()


def _message(event: ProviderHealthChanged) -> Message:
    topic, target = PROVIDER_HEALTH_CHANGED.name, f"{event.model}:{event.provider}"
    identity = f"{target}:{event.credential_id}:{event.window_end_us}:{event.state}"
    return Message(topic, target.encode(), codec.encode(event), identity, codec.headers(topic))


def _unpriced(event: PriceUnknown) -> Message:
    topic, hour = PRICE_UNKNOWN.name, event.at_us // QUIET_US
    identity = f"{event.project_id}:{event.provider}:{event.model}:{hour}"
    return Message(topic, event.project_id.encode(), codec.encode(event), identity, codec.headers(topic))


def _looping(event: RequestCompleted) -> Message:
    """Once per request, and a proxy marks one request of each loop."""
    topic, found = RUN_LOOPING.name, event.repeats
    told = RunLooping(
        organization_id=event.organization_id,
        project_id=event.project_id,
        budget_id=found.budget_id,
        tag=found.tag,
        value=found.value,
        calls=found.calls,
        request_id=event.request_id,
        at_us=event.started_at_us,
    )
    identity = f"{event.request_id}.looping"
    return Message(topic, event.project_id.encode(), codec.encode(told), identity, codec.headers(topic))
