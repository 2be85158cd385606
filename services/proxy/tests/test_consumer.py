"""A cold proxy takes over what others measured; its own measurements and circuits stay its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux_bus.base import Delivery, Message, Partition
from modelux_bus.consume import InvalidMessage
from modelux_contracts import codec
from modelux_proxy.consumer import STALE_US, group_of, hearing
from routing_core.health import Registry
from routing_core.types import Outcome, Target

TOPIC = "provider.health_changed"
COLD, WARM = Target("gpt-4o", "openai", "pc_1"), Target("gpt-4o-mini", "openai", "pc_1")
NOW_MS = 1_000_000


def news(target: Target, *, window_end_us: int = NOW_MS * 1000, state: str = "healthy") -> Delivery:
    event = ProviderHealthChanged(
        model=target.model,
        provider=target.provider,
        credential_id=target.credential_id,
        state=state,
        p50_ms=800,
        ttft_p50_ms=120,
        window_end_us=window_end_us,
    )
    message = Message(TOPIC, target.name.encode(), codec.encode(event), "id", codec.headers(TOPIC))
    return Delivery(message, Partition(TOPIC, 0), 0, NOW_MS)


async def test_a_target_never_called_here_is_known_from_others() -> None:
    registry = Registry()
    registry.observe(Outcome(WARM, "ok", 200, 100.0, 40.0), NOW_MS)
    await hearing(registry, lambda: NOW_MS, lambda: NOW_MS)([news(COLD), news(WARM)])
    view = registry.view(NOW_MS)
    assert (view[COLD].p50_ms, view[COLD].ttft_ms) == (800, 120)
    assert (view[WARM].p50_ms, view[WARM].ttft_ms) == (100, 40)


async def test_hearsay_opens_no_circuit() -> None:
    registry = Registry()
    await hearing(registry, lambda: NOW_MS, lambda: NOW_MS)([news(COLD, state="down")])
    assert registry.view(NOW_MS)[COLD].state == "closed"


async def test_old_news_is_passed_over() -> None:
    registry = Registry()
    old = news(COLD, window_end_us=NOW_MS * 1000 - STALE_US - 1)
    await hearing(registry, lambda: NOW_MS, lambda: NOW_MS)([old])
    assert COLD not in registry.view(NOW_MS)


async def test_what_is_no_event_is_refused() -> None:
    broken = Delivery(Message(TOPIC, b"k", b"\xff", "id"), Partition(TOPIC, 0), 0, NOW_MS)
    with pytest.raises(InvalidMessage):
        await hearing(Registry(), lambda: NOW_MS, lambda: NOW_MS)([broken])


def test_a_proxy_keeps_its_group_over_restarts(tmp_path: Path) -> None:
    assert group_of(tmp_path) == group_of(tmp_path)
