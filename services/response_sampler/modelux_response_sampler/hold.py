"""Know whether this process may still begin calls of a unit: it holds it, and its experiment still runs."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from modelux_calling.clock import Clock
from modelux_response_sampler.pairs import DEADLINE, LOST, STOPPED
from modelux_response_sampler.units import Unit, Units
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

BEAT_S = 1.0
_TRUSTED = 2 / 3
"""The part of `Units.silent_s` for which a sign of life counts: less than others wait, as clocks differ."""

MayCall = Callable[[str, str], Awaitable[bool]]
"""Whether an experiment (organization, id) still runs. Raises `Unknown`."""


class Unknown(Exception):
    """Nobody can say for the moment."""


class Hold:
    """One unit in this process's hands. While neither the database nor the replay service answers, no call begins."""

    def __init__(self, units: Units, unit: Unit, may_call: MayCall, clock: Clock, stopping: Callable[[], bool]) -> None:
        self._units = units
        self._unit = unit
        self._may_call = may_call
        self._clock = clock
        self._stopping = stopping
        self._trusted_ms = round(units.silent_s * _TRUSTED * 1000)
        self._held_ms = clock.steady_ms()
        self._asked_ms: int | None = None
        self._runs = True

    def halt(self) -> str | None:
        """Why no call may begin now: the code to tell, or `LOST`; None: it may."""
        if not self._runs:
            return STOPPED
        if self._clock.now_us() >= self._unit.samples.deadline_us:
            return DEADLINE
        now_ms = self._clock.steady_ms()
        if self._stopping() or self._asked_ms is None:
            return LOST
        oldest_ms = min(self._held_ms, self._asked_ms)
        return LOST if now_ms - oldest_ms > self._trusted_ms else None

    async def look(self) -> bool:
        """Gives a sign of life and asks whether the experiment runs. False: another process has the unit."""
        now_ms = self._clock.steady_ms()
        try:
            if not await self._units.beat(self._unit):
                self._held_ms = now_ms - self._trusted_ms - 1
                return False
            self._held_ms = now_ms
        except Unavailable as error:
            log.warning("a unit cannot be held while the database is away: %s", error)
        samples = self._unit.samples
        try:
            self._runs = self._runs and await self._may_call(samples.organization_id, samples.experiment_id)
            self._asked_ms = now_ms
        except Unknown as error:
            log.warning("nobody says whether experiment %s runs: %s", samples.experiment_id, error)
        return True

    async def keep(self) -> None:
        """Looks about every second, until cancelled or the unit is lost."""
        while await self.look():
            await asyncio.sleep(BEAT_S)
