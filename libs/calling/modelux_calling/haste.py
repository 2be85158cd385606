"""How many calls at a time each credential bears: fewer once its provider says "too many", more while it takes them."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable

from modelux_calling.clock import Clock

_FIRST_PAUSE_MS = 1_000
_LONGEST_PAUSE_MS = 60_000
_DOUBLINGS = 6


class Haste:
    """Additive increase, multiplicative decrease, by credential. `most`: calls at a time that one may ever have."""

    def __init__(
        self, most: int, clock: Clock | None = None, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._most = most
        self._clock = clock or Clock()
        self._sleep = sleep
        self._lanes: dict[str, _Lane] = {}

    async def enter(self, credential_id: str) -> None:
        """Waits for room and for the end of a pause. Whoever has entered leaves again, by `leave`."""
        lane = self._lane(credential_id)
        try:
            while True:
                left_ms = lane.paused_until_ms - self._clock.steady_ms()
                if left_ms > 0:
                    await self._sleep(left_ms / 1000)
                elif lane.running < int(lane.limit):
                    lane.running += 1
                    return
                else:
                    place = asyncio.get_running_loop().create_future()
                    lane.waiting.append(place)
                    await place
        except asyncio.CancelledError:
            lane.wake()  # somebody else may take the place that this one was woken for
            raise

    def leave(self, credential_id: str, *, limited: bool = False, retry_after_ms: int | None = None) -> None:
        """One call has ended; `limited`: its provider said that there are too many, and when to come back."""
        lane = self._lane(credential_id)
        lane.running -= 1
        if limited:
            self._slow_down(lane, retry_after_ms)
        else:
            lane.limited = 0
            lane.limit = min(lane.limit + 1 / lane.limit, float(self._most))
        for _ in range(max(int(lane.limit) - lane.running, 1)):
            lane.wake()

    async def pause(self, seconds: float) -> None:
        await self._sleep(seconds)

    def limit(self, credential_id: str) -> int:
        """Calls at a time that a credential may have now."""
        return int(self._lane(credential_id).limit)

    def _slow_down(self, lane: _Lane, retry_after_ms: int | None) -> None:
        now_ms = self._clock.steady_ms()
        pause_ms = retry_after_ms
        if pause_ms is None:
            pause_ms = _FIRST_PAUSE_MS << min(lane.limited, _DOUBLINGS)
        if now_ms >= lane.paused_until_ms:  # else this call went out before the last time, and says nothing new
            lane.limit = max(lane.limit / 2, 1.0)
            lane.limited += 1
        lane.paused_until_ms = max(lane.paused_until_ms, now_ms + min(pause_ms, _LONGEST_PAUSE_MS))

    def _lane(self, credential_id: str) -> _Lane:
        lane = self._lanes.get(credential_id)
        if lane is None:
            lane = self._lanes[credential_id] = _Lane(float(self._most))
        return lane


class _Lane:
    __slots__ = ("limit", "limited", "paused_until_ms", "running", "waiting")

    def __init__(self, limit: float) -> None:
        self.limit = limit
        self.running = 0
        self.limited = 0
        """Slow-downs in a row."""
        self.paused_until_ms = 0
        self.waiting: deque[asyncio.Future[None]] = deque()

    def wake(self) -> None:
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(None)
                return
