"""Know whether this process may still begin calls of a run: it holds it, nobody stopped it, and there is time left."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from modelux_calling.clock import Clock
from modelux_judge.ask import LOST
from modelux_judge.records import SILENT_US, JudgeRun, JudgeRuns
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

LIMIT_S = 30 * 60
"""How long a run may take."""
BEAT_S = 1.0
STOPPED, DEADLINE = "stopped", "deadline"
_TRUSTED_MS = SILENT_US // 1000 - 5_000
"""How long a sign of life that got through counts; shorter than another process waits, whose clock may be faster."""


class Hold:
    """One run in this process's hands. While the database does not answer, no call begins."""

    def __init__(self, records: JudgeRuns, one: JudgeRun, clock: Clock, stopping: Callable[[], bool]) -> None:
        self._records = records
        self._one = one
        self._clock = clock
        self._stopping = stopping
        self._held_ms: int | None = clock.steady_ms()
        self._deadline_us = one.started_at_us + LIMIT_S * 1_000_000
        self.stop_reason = one.stop_reason
        """Why somebody stopped the run."""
        self.pairs_done = 0
        self.spent_nano = 0

    def halt(self) -> str | None:
        """Why no call may begin now; None: it may."""
        held = self._held_ms
        if held is None or self._stopping() or self._clock.steady_ms() - held > _TRUSTED_MS:
            return LOST
        if self.stop_reason:
            return STOPPED
        return DEADLINE if self._clock.now_us() >= self._deadline_us else None

    async def look(self) -> bool:
        """Gives a sign of life and hears whether the run goes on. False: it is no longer this process's."""
        now_ms = self._clock.steady_ms()
        try:
            reason = await self._records.progress(
                self._one, pairs_done=self.pairs_done, spent_nano=self.spent_nano, now_us=self._clock.now_us()
            )
        except Unavailable as error:
            log.warning("run %s cannot be held while the database is away: %s", self._one.id, error)
            return True
        if reason is None:
            self._held_ms = None
            return False
        self._held_ms = now_ms
        self.stop_reason = self.stop_reason or reason
        return True

    async def keep(self) -> None:
        """Looks about every second, until cancelled or the run is lost."""
        while await self.look():
            await asyncio.sleep(BEAT_S)
