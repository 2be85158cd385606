"""Call idle slices back: one replica is short, all config services hear of it, and tell the replicas they serve."""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import cast

from modelux_config.statements import sql
from modelux_store.database import Database, Transaction, Unavailable
from routing_core.ledger.messages import Denied
from routing_core.ledger.meters import Meter

log = logging.getLogger(__name__)

CHANNEL = "ledger_recall"
WAIT_S = 0.05
"""How long an ask that is short waits for what others return."""
REST_S = 0.2
"""How long after a recall the next one of the same meter is spared: what is idle came back already."""
_QUEUED = 1000
_RECENT = 10_000


@dataclass(slots=True)
class Recalls:
    """One per process. `run` hears the notices; `subscribe` serves one replica."""

    database: Database
    monotonic: Callable[[], float] = time.monotonic
    listening: asyncio.Event = field(default_factory=asyncio.Event)
    """Set while notices are heard."""
    _queues: dict[asyncio.Queue[Meter], str] = field(default_factory=dict)
    _waiting: dict[Meter, asyncio.Event] = field(default_factory=dict)
    _recent: dict[Meter, float] = field(default_factory=dict)

    async def begin(self, tx: Transaction, denied: Denied, replica_id: str, live_replicas: int) -> bool:
        """Calls slices of the short meter back with the commit; whether somebody may hold any."""
        account = denied.account
        if account is None or account.leased == 0 or live_replicas < 2:
            return False
        now = self.monotonic()
        if now - self._recent.get(account.meter, -REST_S) < REST_S and account.meter not in self._waiting:
            return False
        if account.meter not in self._waiting:
            if len(self._recent) >= _RECENT:
                self._recent.clear()
            self._recent[account.meter] = now
            notice = json.dumps({"meter": account.meter, "by": replica_id})
            await tx.execute(sql("ledger", "recall"), {"notice": notice})
        return True

    async def returned(self, meter: Meter) -> None:
        """Waits until somebody reports on the meter, at most 50 ms."""
        event = self._waiting.setdefault(meter, asyncio.Event())
        with suppress(TimeoutError):
            async with asyncio.timeout(WAIT_S):
                await event.wait()
        if self._waiting.get(meter) is event:
            del self._waiting[meter]

    def came_back(self, meters: Iterable[Meter]) -> None:
        """Somebody reported on these."""
        for meter in meters:
            event = self._waiting.pop(meter, None)
            if event is not None:
                event.set()

    async def subscribe(self, replica_id: str) -> AsyncIterator[Sequence[Meter]]:
        """What a replica is to return, until it goes away."""
        queue: asyncio.Queue[Meter] = asyncio.Queue(_QUEUED)
        self._queues[queue] = replica_id
        try:
            while True:
                meters = [await queue.get()]
                while not queue.empty():
                    meters.append(queue.get_nowait())
                yield list(dict.fromkeys(meters))
        finally:
            del self._queues[queue]

    async def run(self) -> None:
        """Hears notices until cancelled. What is lost while the database is away costs a wait, never money."""
        while True:
            try:
                async with self.database.listening(CHANNEL) as notices:
                    self.listening.set()
                    async for notice in notices:
                        await self._tell(notice)
            except Unavailable as error:
                log.warning("recalls are not heard: %s", error)
            self.listening.clear()
            await asyncio.sleep(1.0)

    async def _tell(self, notice: str) -> None:
        found = json.loads(notice)
        if "meter" in found:
            meters = [Meter(*found["meter"])]
        else:
            async with self.database.transaction() as tx:
                rows = await tx.fetch_all(sql("ledger", "held"), {"budget_id": found["budget"]})
            meters = [Meter(*(cast(str, row[name]) for name in ("budget_id", "value", "unit"))) for row in rows]
        for queue, replica_id in self._queues.items():
            if replica_id != found.get("by"):
                for meter in meters:
                    with suppress(asyncio.QueueFull):
                        queue.put_nowait(meter)
