"""A URL names its bus, and nothing is contacted before the first call."""

from __future__ import annotations

import pytest

from modelux_bus.base import BusUnavailable, Message
from modelux_bus.connect import open_bus
from modelux_bus.kafka import KafkaBus
from modelux_bus.memory import MemoryBus
from modelux_bus.postgres import PostgresBus, Settings


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("memory://", MemoryBus),
        ("postgresql://user:secret@127.0.0.1:1/db", PostgresBus),
        ("kafka://127.0.0.1:1,127.0.0.1:2", KafkaBus),
        ("kafka://user:p%40ss@127.0.0.1:1/?tls=true&mechanism=SCRAM-SHA-512", KafkaBus),
    ],
)
async def test_opens_what_the_scheme_says_without_a_server(url: str, kind: type) -> None:
    bus = open_bus(url)
    assert isinstance(bus, kind)
    await bus.close()


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("amqp://user:secret@host", "not 'amqp'"),
        ("", "not ''"),
        ("kafka://", "host:port"),
        ("kafka://h:1/?ssl=1", "'ssl'"),
    ],
)
def test_says_what_is_wrong_with_a_url_and_keeps_its_password(url: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong) as caught:
        open_bus(url)
    assert "secret" not in str(caught.value)


async def test_an_unreachable_postgres_is_unavailable() -> None:
    bus = PostgresBus("postgresql://user:secret@127.0.0.1:1/db", Settings(deadline_s=0.5))
    with pytest.raises(BusUnavailable) as caught:
        await bus.publish([Message("t", b"k", b"v", "id")])
    assert "secret" not in str(caught.value)
    await bus.close()


async def test_an_unreachable_kafka_is_unavailable() -> None:
    bus = open_bus("kafka://127.0.0.1:1")
    with pytest.raises(BusUnavailable):
        await bus.publish([Message("t", b"k", b"v", "id")])
    with pytest.raises(BusUnavailable):
        await bus.ensure({"t": 1})
    await bus.close()
