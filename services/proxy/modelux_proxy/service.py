"""The proxy service: its wiring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import cast, get_args

from prometheus_client import REGISTRY

from modelux_calling.charge import CancelPolicy, Spending
from modelux_calling.clock import Clock
from modelux_calling.config_source import ConfigSource, watch_over
from modelux_calling.snapshot import Builder
from modelux_contracts.ids import new_id
from modelux_ledger.spending import spending
from modelux_providers.catalog import Catalog
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_proxy.chat import Lane
from modelux_proxy.consumer import hear, hearing
from modelux_proxy.emit import Emitter, opened
from modelux_proxy.gauges import watch
from modelux_proxy.http_server import Server
from modelux_proxy.idempotency import Idempotency
from modelux_proxy.metrics import Metrics
from modelux_proxy.proxy import Proxy
from modelux_proxy.rate_limits import RateLimits
from modelux_proxy.settings import ProxySettings
from modelux_runtime import memory
from modelux_runtime.http import listen
from modelux_runtime.platform import Platform
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import InvalidSetting
from routing_core.errors import ModeluxError
from routing_core.health import Registry

log = logging.getLogger("modelux.proxy")


@asynccontextmanager
async def serve(settings: ProxySettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Serves `/v1` from the moment there is a configuration. Leaving drains requests under way, then ships what is
    left.
    """
    catalog = Catalog.load(settings.ceiling_nano())
    folder = Path(settings.data_dir)
    clock = Clock()
    client = Client(Guard(settings.allow_private))
    emitter = await _open_journal(folder, settings)
    metrics = Metrics()
    deadlines = Deadlines(
        settings.connect_timeout_s, settings.first_byte_timeout_s, settings.idle_timeout_s, settings.total_timeout_s
    )
    registry = Registry()
    builder = Builder(platform.encryption_key, catalog, allow_private=settings.allow_private)
    source = ConfigSource(builder, folder / "snapshot", clock, int(settings.max_stale_h * 3_600_000))
    await source.load()
    within = platform.settings.bus_url.startswith("memory:")
    refuse = settings.on_journal_full != "count_only"
    platform.readiness["proxy"] = lambda: None if source.current() is not None else "waiting for a configuration"
    async with spending(platform.config, folder / "leases") as spender, asyncio.TaskGroup() as group:
        spends = Spending(spender, _on_cancel(settings.charge_on_cancel))
        idempotency, limits = Idempotency(), RateLimits()
        lane = Lane(
            client, registry, emitter, clock, deadlines, settings.keepalive_s, idempotency, limits, metrics, spends
        )
        proxy = Proxy(lane, source.current, refuse_when_full=refuse)
        watch(metrics, emitter, source, proxy, spender)
        REGISTRY.register(metrics)
        server = Server(proxy, group)
        spender.write_together(client.outbox, server.outbox)
        await server.listen(listen(settings.host, settings.port))
        memory.settle()
        try:
            yield [
                emitter.shipper.run(platform.bus) if within else emitter.ship_process.run(),
                source.follow(watch_over(platform.config, new_id("px_"))),
                source.rebuild(),
                hear(platform.bus, folder, hearing(registry, clock.steady_ms, platform.now_ms)),
            ]
        finally:
            REGISTRY.unregister(metrics)
            if not await server.drain(settings.drain_s):
                log.error("requests were still under way after %s s and are ended", settings.drain_s)
            server.close()
    await client.close()
    await (emitter.shipper.flush(platform.bus) if within else emitter.ship_process.finish())
    emitter.close()


async def _open_journal(folder: Path, settings: ProxySettings) -> Emitter:
    try:
        return await opened(folder, settings.journal_mb * 1024 * 1024)
    except OSError as error:
        raise ModeluxError(
            "journal_unusable",
            f"the folder {str(folder)!r} cannot hold the event journal: {error.strerror}",
            hint="Set MODELUX_PROXY_DATA_DIR to a folder that can be written.",
        ) from error


def _on_cancel(text: str) -> CancelPolicy:
    if text not in get_args(CancelPolicy):
        allowed = " or ".join(get_args(CancelPolicy))
        raise InvalidSetting("setting_invalid", f"MODELUX_PROXY_CHARGE_ON_CANCEL is {text!r}, not {allowed}")
    return cast("CancelPolicy", text)


SERVICE = Service("proxy", ProxySettings, frozenset({"bus", "config", "encryption_key"}), serve)
