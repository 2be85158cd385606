"""What ingest counts: rows, writes, lag, and what did not go through."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage, Overloaded
from modelux_contracts import codec
from modelux_contracts.topics import REQUEST_COMPLETED
from modelux_ingest.consumer import Writer
from modelux_ingest.metrics import meters
from modelux_ingest.schema import prepare
from modelux_store.analytics import Analytics, Unavailable

EventMaker = Callable[..., RequestCompleted]
TOPIC = REQUEST_COMPLETED.name
START_US = 1_770_000_000_000_000


def delivery(offset: int, value: bytes) -> Delivery:
    message = Message(TOPIC, b"proj_1", value, f"m{offset}", codec.headers(TOPIC))
    return Delivery(message, Partition(TOPIC, 0), offset, START_US // 1000)


async def test_rows_writes_and_lag(analytics: Analytics, make_event: EventMaker) -> None:
    await prepare(analytics, retention_days=0)
    counted = meters()
    writer = Writer(analytics, now_us=lambda: START_US + 2_000_000, linger_s=0.0, meters=counted)
    for first in (0, 20):
        events = [make_event(number) for number in range(first, first + 20)]
        await writer.handle([delivery(n, codec.encode(event)) for n, event in enumerate(events)])
    assert (counted.value("rows"), counted.value("batches")) == (40, 2)
    newest_us = 39_000 + 238_000
    assert counted.value("lag_ms") == (2_000_000 - newest_us) / 1000
    assert counted.value("health_news") > 0


async def test_what_does_not_go_through_is_counted_by_reason(
    analytics: Analytics, make_event: EventMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    counted = meters()
    writer = Writer(analytics, now_us=lambda: START_US, linger_s=0.0, meters=counted)
    with pytest.raises(InvalidMessage):
        await writer.handle([delivery(0, b"\xff")])

    async def away(*_: object, **__: object) -> None:
        raise Unavailable("away")

    monkeypatch.setattr(analytics, "insert", away)
    with pytest.raises(Overloaded):
        await writer.handle([delivery(0, codec.encode(make_event(1)))])
    assert [counted.value("refused", reason) for reason in ("invalid", "overloaded")] == [1, 1]
    assert counted.value("rows") == 0
