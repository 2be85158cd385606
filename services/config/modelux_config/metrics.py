"""What the config service counts, and how it keeps the depth of its outbox known."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from modelux_store.database import Database, Unavailable
from modelux_store.outbox import waiting
from modelux_telemetry.meters import Meter, Meters

LOOK_S = 5.0

TABLE: Mapping[str, Meter] = {
    "calls": Meter(
        "counter", "Calls of the admin service, with the statuses of the management API", ("operation", "status")
    ),
    "feeds": Meter("gauge", "Proxies that watch the configuration of this process"),
    "snapshot_version": Meter("gauge", "The version of the configuration that it hands out; 0 before the first"),
    "outbox_messages": Meter("gauge", "Events committed and not yet published, looked at every 5 s"),
}


def meters() -> Meters:
    """A new set of them, all at zero."""
    return Meters("config", TABLE)


async def watch_outbox(database: Database, counted: Meters) -> None:
    """Keeps `outbox_messages` current until cancelled; while the database is away the last number stays."""
    while True:
        with suppress(Unavailable):
            counted.set("outbox_messages", await waiting(database))
        await asyncio.sleep(LOOK_S)
