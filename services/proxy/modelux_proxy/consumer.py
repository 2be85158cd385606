"""Hear what other proxies measured of the providers: `provider.health_changed` from the bus into the registry."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux_bus.base import Bus, Delivery, Message
from modelux_bus.consume import Handler, InvalidMessage, consume
from modelux_contracts import codec
from modelux_contracts.ids import new_id
from modelux_contracts.topics import PROVIDER_HEALTH_CHANGED
from routing_core.health import Registry
from routing_core.types import Target

STALE_US = 120_000_000
"""News that is older than this when it is read is history, not news."""


def group_of(folder: Path) -> str:
    """The consumer group of this proxy: each hears everything, and the same one again after a restart."""
    path = folder / "proxy-id"
    if not path.exists():
        path.write_text(new_id("px_"))
    return f"proxy-{path.read_text().strip()}"


async def hear(bus: Bus, folder: Path, handler: Handler) -> None:
    """Listens until cancelled."""
    await consume(bus, group_of(folder), {PROVIDER_HEALTH_CHANGED.name: handler})


def hearing(registry: Registry, steady_ms: Callable[[], int], wall_ms: Callable[[], int]) -> Handler:
    """The handler of the topic. It answers no events. Raises `InvalidMessage` for what is not one of its own."""

    async def handle(deliveries: Sequence[Delivery]) -> Sequence[Message]:
        for index, delivery in enumerate(deliveries):
            try:
                event = codec.decode(ProviderHealthChanged, delivery.message.value, delivery.message.headers)
            except codec.Undecodable as error:
                raise InvalidMessage(index, str(error)) from error
            if wall_ms() * 1000 - event.window_end_us <= STALE_US:
                target = Target(event.model, event.provider, event.credential_id)
                registry.hear(target, event.p50_ms or None, event.ttft_p50_ms or None, steady_ms())
        return ()

    return handle
