"""Keep every event in the local journal until a broker has it:
append before the answer's last byte, ship in the background.
"""

from __future__ import annotations

import asyncio
import logging
import random
from dataclasses import dataclass
from pathlib import Path

from modelux_bus.base import Bus, BusUnavailable, Message
from modelux_bus.journal import Frame, Journal, JournalFull
from modelux_contracts.codec import headers
from modelux_contracts.topics import REQUEST_COMPLETED
from modelux_proxy import record
from modelux_proxy.inflight import InFlight

log = logging.getLogger("modelux.proxy")

COMPLETED = 1
STARTED = 2
SHED_BODIES_AT = 0.70
REFUSE_AT = 0.95
_BATCH = 500
_IDLE_S = 0.2
_HEADERS = headers(REQUEST_COMPLETED.name)
_ID_BYTES = 30
"""`req_` and 26 characters."""


@dataclass(slots=True)
class Counts:
    """What happened to events since the start."""

    appended: int = 0
    shipped: int = 0
    lost: int = 0
    bodies_shed: int = 0
    recovered: int = 0


class Emitter:
    """One journal and its in-flight table. `fraction` is how full the journal is, looked at once in a while."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        """Opens both and takes over what an earlier process left. Raises JournalLocked, OSError."""
        self.counts = Counts()
        self.fraction = 0.0
        self._journal = Journal(folder / "journal", quota_bytes)
        self._inflight = InFlight(folder / "inflight")
        self._appended = asyncio.Event()
        self._since_look = 0
        self._recover()

    def start(self, note: bytes) -> int:
        """Writes a request down before it is dispatched; the slot to give back to `finish`."""
        return self._inflight.note(note)

    def finish(self, slot: int, project_key: bytes, request_id: str, event: bytes) -> bool:
        """Appends the event of a request; False where the journal refused it (it is counted)."""
        kept = self._append(project_key, request_id, event)
        self._inflight.done(slot)
        return kept

    def drop(self, slot: int) -> None:
        """A request that was written down and not dispatched."""
        self._inflight.done(slot)

    @property
    def keep_bodies(self) -> bool:
        return self.fraction < SHED_BODIES_AT

    @property
    def full(self) -> bool:
        return self.fraction >= REFUSE_AT

    async def ship(self, bus: Bus) -> None:
        """Moves events to the bus for as long as it runs. Only the broker's acknowledgement moves the cursor."""
        delay_s = 0.1
        while True:
            try:
                moved = await self.ship_some(bus)
                delay_s = 0.1
            except BusUnavailable as error:
                log.warning("the bus does not take events: %s", error)
                await asyncio.sleep(random.uniform(delay_s / 2, delay_s))
                delay_s = min(delay_s * 2, 10.0)
                continue
            if not moved:
                await self._wait()

    async def ship_some(self, bus: Bus) -> int:
        """One batch: read, publish, acknowledge. How many records it moved. Raises BusUnavailable."""
        frames, _ = self._journal.read(self._journal.cursor, max_frames=_BATCH)
        if not frames:
            return 0
        await bus.publish([_message(frame) for frame in frames if frame.kind == COMPLETED])
        await asyncio.to_thread(self._journal.advance, frames[-1].after)
        self.counts.shipped += len(frames)
        self.fraction = self._journal.used_fraction()
        return len(frames)

    async def flush(self, bus: Bus, within_s: float = 5.0) -> None:
        """Ships what is left, if the bus takes it in time; what it does not take stays for the next start."""
        try:
            async with asyncio.timeout(within_s):
                while await self.ship_some(bus):
                    pass
        except (BusUnavailable, TimeoutError) as error:
            log.warning("events stay in the journal for the next start: %s", error or "the bus is slow")

    def close(self) -> None:
        self._inflight.close()
        self._journal.close()

    async def _wait(self) -> None:
        self._appended.clear()
        try:
            async with asyncio.timeout(_IDLE_S):
                await self._appended.wait()
        except TimeoutError:
            pass

    def _append(self, project_key: bytes, request_id: str, event: bytes) -> bool:
        payload = b"%c%b%b%b" % (len(project_key), project_key, request_id.encode(), event)
        try:
            self._journal.append(COMPLETED, payload)
        except (JournalFull, ValueError) as error:
            self.counts.lost += 1
            self.fraction = max(self.fraction, self._journal.used_fraction())
            log.error("an event was lost, request %s: %s", request_id, error)
            return False
        self.counts.appended += 1
        self._since_look += 1
        if self._since_look >= 100:
            self._since_look = 0
            self.fraction = self._journal.used_fraction()
        return True

    def _recover(self) -> None:
        """Requests that the process before left unfinished become events of unknown outcome."""
        for payload in self._inflight.abandoned():
            found = record.unknown(payload)
            if found is not None:
                project_id, request_id, event = found
                self._append(project_id.encode(), request_id, event)
                self.counts.recovered += 1
        self._inflight.clear()
        self.fraction = self._journal.used_fraction()


def _message(frame: Frame) -> Message:
    payload = frame.payload
    at = 1 + payload[0]
    request_id = payload[at : at + _ID_BYTES].decode("ascii")
    return Message(
        REQUEST_COMPLETED.name, payload[1:at], payload[at + _ID_BYTES :], f"{request_id}.completed", _HEADERS
    )
