"""How far a run is, told to the database now and then, which also says whether it may go on; and what it found."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from modelux_replay.experiments import Experiment, Experiments
from modelux_replay.summary.summaries import Outcome

_BEAT_S = 1.0


class Stopped(Exception):
    """The run was cancelled, or another process has taken it over."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a run found in so many rows. `stopped`: why it ended early, in a sentence; empty: it did not."""

    rows: int
    outcome: Outcome | None
    stopped: str = ""


class Progress:
    """Of one run in one process."""

    def __init__(self, experiments: Experiments, one: Experiment, now_us: Callable[[], int]) -> None:
        self.total = self.done = self.spent_nano = 0
        self._experiments = experiments
        self._one = one
        self._now_us = now_us
        self._told_us = 0

    async def add(self, rows: int) -> None:
        """Raises `Stopped`."""
        self.done += rows
        if self._now_us() - self._told_us > _BEAT_S * 1e6 or (rows and self.done >= self.total):
            await self.tell()

    async def tell(self) -> None:
        """Raises `Stopped`."""
        self._told_us = self._now_us()
        may_go_on = await self._experiments.progress(
            self._one,
            rows_total=max(self.total, self.done),
            rows_done=self.done,
            now_us=self._told_us,
            spent_nano=self.spent_nano,
        )
        if not may_go_on:
            raise Stopped

    async def beat(self, every_s: float) -> None:
        """Tells for as long as the run lasts. Raises `Stopped`."""
        while True:
            await asyncio.sleep(every_s)
            await self.tell()
