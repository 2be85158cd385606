"""The transactional outbox: an event is committed with its rows, and a relay publishes it afterwards, at least once."""

from __future__ import annotations

import asyncio
import logging
from typing import cast

from modelux_bus.base import Bus, BusUnavailable, Message
from modelux_store.database import Database, Transaction, Unavailable

log = logging.getLogger(__name__)

BATCH = 500
_LOCK = 0x6D6F64656C757802
_BACKOFF_S = (0.1, 10.0)

_APPEND = """
INSERT INTO outbox.message (id, topic, key, value, header_names, header_values)
VALUES (%(id)s, %(topic)s, %(key)s, %(value)s, %(names)s, %(values)s)"""
_OLDEST = """
SELECT number, id, topic, key, value, header_names, header_values
FROM outbox.message ORDER BY number LIMIT %s FOR UPDATE SKIP LOCKED"""
_ALONE = "SELECT pg_try_advisory_xact_lock(%s) AS alone"


async def append(tx: Transaction, message: Message) -> None:
    """Hands `message` over with the transaction: published if and only if that commits."""
    await tx.execute(
        _APPEND,
        {
            "id": message.id,
            "topic": message.topic,
            "key": message.key,
            "value": message.value,
            "names": [name for name, _ in message.headers],
            "values": [value for _, value in message.headers],
        },
    )


async def relay(database: Database, bus: Bus, *, poll_s: float = 0.2) -> None:
    """Publishes what is committed, in order, until cancelled. Of many relays one works, the others stand by."""
    pause = _BACKOFF_S[0]
    while True:
        try:
            published = await relay_once(database, bus)
        except (Unavailable, BusUnavailable) as error:
            log.warning("the outbox waits: %s", error)
            await asyncio.sleep(pause)
            pause = min(pause * 2, _BACKOFF_S[1])
            continue
        pause = _BACKOFF_S[0]
        if published < BATCH:
            await asyncio.sleep(poll_s)


async def relay_once(database: Database, bus: Bus) -> int:
    """Publishes the oldest batch and removes it; returns its size.

    A crash in between publishes it again: consumers know messages by their ids. Raises `Unavailable`, `BusUnavailable`.
    """
    async with database.transaction() as tx:
        # Two relays side by side would publish later batches before earlier ones.
        lock = await tx.fetch_one(_ALONE, (_LOCK,))
        if lock is None or not lock["alone"]:
            return 0
        rows = await tx.fetch_all(_OLDEST, (BATCH,))
        if rows:
            await bus.publish([_message(row) for row in rows])
            await tx.execute("DELETE FROM outbox.message WHERE number = ANY (%s)", ([row["number"] for row in rows],))
    return len(rows)


async def waiting(database: Database) -> int:
    """How many messages are not published yet."""
    async with database.transaction() as tx:
        row = await tx.fetch_one("SELECT count(*) AS waiting FROM outbox.message")
    return cast(int, row["waiting"]) if row else 0


def _message(row: dict[str, object]) -> Message:
    names, values = cast("list[str]", row["header_names"]), cast("list[bytes]", row["header_values"])
    return Message(
        topic=cast(str, row["topic"]),
        key=cast(bytes, row["key"]),
        value=cast(bytes, row["value"]),
        id=cast(str, row["id"]),
        headers=tuple(zip(names, values, strict=True)),
    )
