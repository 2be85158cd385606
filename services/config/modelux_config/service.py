"""The config service: its settings and its wiring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import grpc.aio

from modelux_config import ledger_upkeep
from modelux_config.cursors import cursors
from modelux_config.feed import Feed
from modelux_config.ledger import Ledger
from modelux_config.ledger_recalls import Recalls
from modelux_config.ledger_rpc import LedgerEdge
from modelux_config.metrics import watch_outbox
from modelux_config.rpc import Edge
from modelux_config.scope import Ports
from modelux_providers.vendors import VENDORS
from modelux_runtime import memory
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import serving
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_store.migrate import migrate_once_there
from modelux_store.outbox import relay
from modelux_telemetry.meters import Meters, exported

log = logging.getLogger(__name__)

_Work = Callable[[], Coroutine[object, object, None]]

SCHEMAS = ("outbox", "config", "ledger")


@dataclass(frozen=True, slots=True)
class ConfigSettings:
    """`MODELUX_CONFIG_<FIELD>`."""

    listen: str = setting("", "gRPC address to serve at; left out: MODELUX_CONFIG_URL, where that is a Unix socket")
    bootstrap_token: str = setting("", "What a launcher must send over TCP; over Unix sockets none is needed")
    private_hosts: str = setting(
        "", "host or host:port, comma-separated, that credentials may reach in private networks; * for any"
    )
    ledger_silent_s: int = setting(
        900, "Seconds without a sign of life after which what a spender holds of budgets is charged"
    )


@asynccontextmanager
async def serve(settings: ConfigSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Serves gRPC at once; calls wait for the schema. Leaving drains calls under way."""
    ports = Ports(
        now_ms=platform.now_ms,
        encryption_key=platform.encryption_key,
        cursors=cursors(platform.encryption_key),
        vendors=VENDORS,
        private_hosts=frozenset(name.strip().lower() for name in settings.private_hosts.split(",") if name.strip()),
    )
    feed, started = Feed(platform.database), asyncio.Event()
    platform.readiness["config"] = lambda: None if started.is_set() else "the schema is not there yet"
    edge = Edge(platform.database, ports, feed, settings.bootstrap_token, started)
    ledger = Ledger(platform.database, Recalls(platform.database))
    ledger_edge = LedgerEdge(ledger, started)

    def register(server: grpc.aio.Server) -> None:
        edge.register(server)
        ledger_edge.register(server)

    target = settings.listen or platform.settings.config_url
    edge.meters.read("feeds", lambda: feed.watching)
    edge.meters.read("snapshot_version", lambda: feed.version)
    async with serving(target, register):
        if target.startswith("unix:"):
            # Whoever may open the socket may bootstrap: nobody but our own account.
            Path(target.removeprefix("unix:")).chmod(0o600)
        with exported(edge.meters):
            upkeep: list[_Work] = [
                ledger.recalls.run,
                partial(ledger_upkeep.run, ledger, settings.ledger_silent_s * 1_000_000),
            ]
            memory.settle()
            yield [_run(platform, feed, started, edge.meters, upkeep)]


async def _run(platform: Platform, feed: Feed, started: asyncio.Event, meters: Meters, upkeep: Sequence[_Work]) -> None:
    await migrate_once_there(platform.database, SCHEMAS)
    started.set()
    async with asyncio.TaskGroup() as group:
        group.create_task(feed.run())
        group.create_task(relay(platform.database, platform.bus))
        group.create_task(watch_outbox(platform.database, meters))
        for work in upkeep:
            group.create_task(work())


SERVICE = Service("config", ConfigSettings, needs=frozenset({"database", "bus", "encryption_key"}), serve=serve)
