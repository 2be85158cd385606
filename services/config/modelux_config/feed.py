"""Keep the newest state in memory and hand it to every proxy that watches: whole first, then as coalesced changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress

from modelux.config.v1.snapshot_pb2 import WatchSnapshotResponse
from modelux_config import snapshot
from modelux_config.snapshot import State
from modelux_store.database import Database, Unavailable

log = logging.getLogger(__name__)

POLL_S = 0.5
"""How soon a change by another replica of this service is seen; our own are seen at once."""


class Feed:
    """One per process. `run` keeps it current; `watch` serves one proxy."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._state: State | None = None
        self._poked = asyncio.Event()
        self._updated = asyncio.Event()
        self._reading = asyncio.Lock()
        self.watching = 0
        """Proxies that watch at this moment."""

    @property
    def version(self) -> int:
        """Of the state that is handed out; 0 before the first."""
        return 0 if self._state is None else self._state.version

    def poke(self) -> None:
        """Something was committed: look now."""
        self._poked.set()

    async def run(self) -> None:
        """Follows the database until cancelled. While it is away, proxies keep what they have."""
        while True:
            self._poked.clear()
            await self._refresh()
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await self._poked.wait()

    async def watch(self, since_version: int) -> AsyncIterator[WatchSnapshotResponse]:
        """The state at this moment or later: first the whole snapshot, unless `since_version` is the current one;
        then each change, several folded into one where they come fast.
        """
        self.watching += 1
        try:
            await self._refresh()
            state = await self._beyond(None)
            if since_version != state.version:
                yield WatchSnapshotResponse(snapshot=state.snapshot())
            while True:
                newer = await self._beyond(state)
                yield WatchSnapshotResponse(change=newer.since(state))
                state = newer
        finally:
            self.watching -= 1

    async def _refresh(self) -> None:
        """Reads the state where it changed, so that whoever comes after a commit sees it."""
        async with self._reading:
            try:
                known = self._state
                if known is not None and await snapshot.current_version(self._database) == known.version:
                    return
                self._state = await snapshot.read(self._database)
            except Unavailable as error:
                log.warning("the snapshot cannot be read: %s", error)
                return
        self._updated.set()
        self._updated = asyncio.Event()

    async def _beyond(self, seen: State | None) -> State:
        while self._state is None or self._state is seen:
            await self._updated.wait()
        return self._state
