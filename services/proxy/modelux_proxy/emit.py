"""Keep every event in the local journal, before the answer's last byte, until a broker has it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from modelux_bus.journal import Journal, JournalFull, JournalLocked
from modelux_proxy import record
from modelux_proxy.inflight import InFlight
from modelux_proxy.ship import Shipper, payload
from modelux_proxy.ship_process import ShipProcess

log = logging.getLogger("modelux.proxy")

COMPLETED = 1
SHED_BODIES_AT = 0.70
REFUSE_AT = 0.95
_LOCK_WAIT_S = 20.0


@dataclass(slots=True)
class Counts:
    """What happened to events since the start."""

    appended: int = 0
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
        self._since_look = 0
        self.shipper = Shipper(self._journal)
        self.ship_process = ShipProcess(self._journal)
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
        """Looked at again while it is so: nothing is appended then that would."""
        if self.fraction >= REFUSE_AT:
            self.fraction = self._journal.used_fraction()
        return self.fraction >= REFUSE_AT

    @property
    def shipped(self) -> int:
        return self.shipper.shipped + self.ship_process.shipped

    def close(self) -> None:
        self._inflight.close()
        self._journal.close()

    def _append(self, project_key: bytes, request_id: str, event: bytes) -> bool:
        try:
            self._journal.append(COMPLETED, payload(project_key, request_id, event))
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
        for note in self._inflight.abandoned():
            found = record.unknown(note)
            if found is not None:
                project_id, request_id, event = found
                self._append(project_id.encode(), request_id, event)
                self.counts.recovered += 1
        self._inflight.clear()
        self.fraction = self._journal.used_fraction()


async def opened(folder: Path, quota_bytes: int) -> Emitter:
    """An emitter, once a predecessor that is still draining has let the journal go. Raises JournalLocked, OSError."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _LOCK_WAIT_S
    while True:
        try:
            return Emitter(folder, quota_bytes)
        except JournalLocked:
            if loop.time() > deadline:
                raise
        await asyncio.sleep(0.1)
