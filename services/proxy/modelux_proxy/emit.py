"""Keep every event in the local journal, before the answer's last byte, until a broker has it.

Events that end in one turn of the event loop are written together, which saves most of the system calls; the server
calls `flush` before it sends any of the answers.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from pathlib import Path

from modelux_bus.journal import Journal, JournalFull, JournalLocked
from modelux_proxy.inflight import InFlight
from modelux_proxy.notes import unknown
from modelux_proxy.ship import Shipper, payload
from modelux_proxy.ship_process import ShipProcess
from routing_core.records import record

log = logging.getLogger("modelux.proxy")

COMPLETED = 1
SHED_BODIES_AT = 0.70
REFUSE_AT = 0.95
_LOCK_WAIT_S = 20.0
_TOGETHER_BYTES = 1024 * 1024
"""Events gathered past it are written at once."""


@dataclass(slots=True)
class Counts:
    """What happened to events since the start."""

    appended: int = 0
    lost: int = 0
    bodies_shed: int = 0
    recovered: int = 0


@record
class _Event:
    slot: int
    request_id: str
    payload: bytes


class Emitter:
    """One journal and its in-flight table. `fraction` is how full the journal is, looked at once in a while."""

    def __init__(self, folder: Path, quota_bytes: int) -> None:
        """Opens both and takes over what an earlier process left. Raises JournalLocked, OSError."""
        self.counts = Counts()
        self.fraction = 0.0
        self._journal = Journal(folder / "journal", quota_bytes)
        self._inflight = InFlight(folder / "inflight")
        self._since_look = 0
        self._pending: list[_Event] = []
        self._pending_bytes = 0
        self.shipper = Shipper(self._journal)
        self.ship_process = ShipProcess(self._journal)
        self._recover()

    def start(self, note: bytes) -> int:
        """Writes a request down before it is dispatched; the slot to give back to `finish`."""
        return self._inflight.note(note)

    def finish(self, slot: int, project_key: bytes, request_id: str, event: bytes) -> None:
        """Takes the event of a request: in the journal, and its slot cleared, with the next `flush`, which comes by
        itself at the end of this turn of the running loop.
        """
        pending = self._pending
        if not pending:
            asyncio.get_running_loop().call_soon(self.flush)
        pending.append(_Event(slot, request_id, payload(project_key, request_id, event)))
        self._pending_bytes += len(event)
        if self._pending_bytes > _TOGETHER_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes the events taken since the last call; those that the journal refuses are counted as lost."""
        pending = self._pending
        if not pending:
            return
        self._pending, self._pending_bytes = [], 0
        try:
            self._journal.append_all(COMPLETED, [event.payload for event in pending])
            self._appended(len(pending))
        except (JournalFull, ValueError):  # not together, but perhaps some of them
            for event in pending:
                self._append(event.request_id, event.payload)
        for event in pending:
            self._inflight.done(event.slot)

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
        self.flush()
        self._inflight.close()
        self._journal.close()

    def _append(self, request_id: str, payload: bytes) -> None:
        try:
            self._journal.append(COMPLETED, payload)
        except (JournalFull, ValueError) as error:
            self.counts.lost += 1
            self.fraction = max(self.fraction, self._journal.used_fraction())
            log.error("an event was lost, request %s: %s", request_id, error)
        else:
            self._appended(1)

    def _appended(self, count: int) -> None:
        self.counts.appended += count
        self._since_look += count
        if self._since_look >= 100:
            self._since_look = 0
            self.fraction = self._journal.used_fraction()

    def _recover(self) -> None:
        """Requests that the process before left unfinished become events of unknown outcome."""
        for note in self._inflight.abandoned():
            found = unknown(note)
            if found is not None:
                project_id, request_id, event = found
                self._append(request_id, payload(project_id.encode(), request_id, event))
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
