"""The config service: its settings and its wiring."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modelux_config.cursors import cursors
from modelux_config.feed import Feed
from modelux_config.rpc import Edge
from modelux_config.scope import Ports, Vendor
from modelux_runtime.platform import Platform
from modelux_runtime.rpc import serving
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import setting
from modelux_store.database import Database, Unavailable
from modelux_store.migrate import migrate_postgres
from modelux_store.outbox import relay

log = logging.getLogger(__name__)

SCHEMAS = ("outbox", "config")


@dataclass(frozen=True, slots=True)
class ConfigSettings:
    """`MODELUX_CONFIG_<FIELD>`."""

    listen: str = setting("", "gRPC address to serve at; left out: MODELUX_CONFIG_URL, where that is a Unix socket")
    bootstrap_token: str = setting("", "What a launcher must send over TCP; over Unix sockets none is needed")
    private_hosts: str = setting(
        "", "host or host:port, comma-separated, that credentials may reach in private networks; * for any"
    )


@asynccontextmanager
async def serve(settings: ConfigSettings, platform: Platform) -> AsyncIterator[Tasks]:
    """Serves gRPC as soon as the schema is there; leaving drains calls under way."""
    ports = Ports(
        now_ms=platform.now_ms,
        encryption_key=platform.encryption_key,
        cursors=cursors(platform.encryption_key),
        vendors=vendors(),
        private_hosts=frozenset(name.strip().lower() for name in settings.private_hosts.split(",") if name.strip()),
    )
    database = platform.database
    await _migrate(database)
    feed = Feed(database)
    edge = Edge(database, ports, feed, settings.bootstrap_token)
    async with serving(settings.listen or platform.settings.config_url, edge.register):
        yield [feed.run(), relay(database, platform.bus)]


def vendors() -> Mapping[str, Vendor]:
    """What the provider table says of each vendor's address and key."""
    raise NotImplementedError


async def _migrate(database: Database) -> None:
    """Brings the schema up to date as soon as the database can be reached."""
    delay_s = 0.1
    while True:
        try:
            for schema in SCHEMAS:
                await migrate_postgres(database, schema)
        except Unavailable as error:
            log.warning("the database is not there yet: %s", error)
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, 5.0)
        else:
            return


SERVICE = Service("config", ConfigSettings, needs=frozenset({"database", "bus", "encryption_key"}), serve=serve)
