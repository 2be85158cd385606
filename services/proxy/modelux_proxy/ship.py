"""Move events from the journal to the bus in the background, gently: requests come first, and only a broker's word
counts.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time

from modelux_bus.base import Bus, BusUnavailable, Message
from modelux_bus.cursor import Cursor
from modelux_bus.journal import Journal
from modelux_contracts.codec import headers
from modelux_contracts.topics import REQUEST_COMPLETED

log = logging.getLogger("modelux.proxy")

_BATCH = 64
"""Small, as reading and encoding a batch holds up every request for that long."""
_BATCH_BYTES = 512 * 1024
_IDLE_S = 0.1
_SETTLE_S = 1.0
_HURRY_AT = 0.5
_HEADERS = headers(REQUEST_COMPLETED.name)
_ID_BYTES = 30
"""`req_` and 26 characters."""


def payload(project_key: bytes, request_id: str, event: bytes) -> bytes:
    """A journal record: the message's key and id before its value."""
    return b"%c%b%b%b" % (len(project_key), project_key, request_id.encode(), event)


class Shipper:
    """Reads on from the last acknowledged record. What a broker took is settled once a second: a restart in between
    sends it again.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._at: Cursor = journal.cursor
        self._settled_s = 0.0
        self.shipped = 0

    async def run(self, bus: Bus) -> None:
        """Ships for as long as it runs."""
        delay_s = 0.1
        while True:
            began = time.monotonic()
            try:
                moved = await self.some(bus)
                delay_s = 0.1
            except BusUnavailable as error:
                log.warning("the bus does not take events: %s", error)
                await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
                delay_s = min(delay_s * 2, 10.0)
                continue
            now = time.monotonic()
            if now - self._settled_s > _SETTLE_S:
                await self.settle()
            if not moved:
                await asyncio.sleep(_IDLE_S)
            elif self._journal.used_fraction() < _HURRY_AT:
                await asyncio.sleep(now - began)

    async def some(self, bus: Bus) -> bool:
        """Publishes one batch; False where there was none. Raises BusUnavailable, after which the same batch comes
        again.
        """
        frames, after = self._journal.read(self._at, _BATCH, _BATCH_BYTES)
        if after == self._at:
            return False
        if frames:
            await bus.publish([message(frame.payload) for frame in frames])
        self._at = after
        self.shipped += len(frames)
        return True

    async def settle(self) -> None:
        """Lets the journal forget what was shipped."""
        self._settled_s = time.monotonic()
        if self._at > self._journal.cursor:
            await asyncio.to_thread(self._journal.advance, self._at)

    async def flush(self, bus: Bus, within_s: float = 5.0) -> None:
        """Ships what is left, if the bus takes it in time; what it does not take stays for the next start."""
        try:
            async with asyncio.timeout(within_s):
                while await self.some(bus):
                    pass
        except (BusUnavailable, TimeoutError) as error:
            log.warning("events stay in the journal for the next start: %s", error or "the bus is slow")
        await self.settle()


def message(record: bytes) -> Message:
    """What goes on the bus for a journal record."""
    at = 1 + record[0]
    request_id = record[at : at + _ID_BYTES].decode("ascii")
    return Message(REQUEST_COMPLETED.name, record[1:at], record[at + _ID_BYTES :], f"{request_id}.completed", _HEADERS)
