"""What recent calls say of one target's speed and reliability: a decaying median, and a decaying error rate.

Latencies of language models are heavy-tailed: one long answer moves a mean for minutes. So the running figure is an
exponentially weighted moving *median* over the last calls: each sample weighs 2^(-age / half-life). Old samples fade
when new ones come; without any new ones nothing changes until they are stale.
"""

from __future__ import annotations

from collections import deque
from math import exp, log

HALF_LIFE_MS = 30_000.0
"""A sample this much older than another weighs half."""
KEPT = 31
"""Samples kept; odd, so that the median of equal weights is one of them."""
STALE_MS = 300_000
"""After this long without an answer a target counts as unmeasured."""
ERROR_DECAY_MS = 60_000.0
"""Time constant of the error rate."""

_DECAY = log(2) / HALF_LIFE_MS
_REFRESH_MS = 250
"""A median of a full ring is computed anew at most this often."""


class MovingMedian:
    """Exponentially weighted moving median of the last `KEPT` samples, in the unit of the samples."""

    __slots__ = ("_computed_ms", "_fresh", "_samples", "_value")

    def __init__(self) -> None:
        self._samples: deque[tuple[int, float]] = deque(maxlen=KEPT)
        self._value: float | None = None
        self._fresh = True
        self._computed_ms = 0

    def add(self, value: float, now_ms: int) -> None:
        self._samples.append((now_ms, value))
        self._fresh = False

    def value(self, now_ms: int) -> float | None:
        """The median to a tenth, or None where nothing was measured of late."""
        if not self._samples or now_ms - self._samples[-1][0] > STALE_MS:
            return None
        if not self._fresh and (len(self._samples) < KEPT or abs(now_ms - self._computed_ms) >= _REFRESH_MS):
            self._value = self._median()
            self._fresh = True
            self._computed_ms = now_ms
        return self._value

    def _median(self) -> float:
        # weights are relative to the newest sample: a common factor does not move a median
        newest = max(at for at, _ in self._samples)
        weighed = sorted((value, exp((at - newest) * _DECAY)) for at, value in self._samples if newest - at <= STALE_MS)
        half = sum(weight for _, weight in weighed) / 2
        reached = 0.0
        for value, weight in weighed:
            reached += weight
            if reached >= half:
                return round(value, 1)
        return round(weighed[-1][0], 1)


class ErrorRate:
    """Share of failures among recent calls, each weighing exp(-age / `ERROR_DECAY_MS`)."""

    __slots__ = ("_at_ms", "_calls", "_failures")

    def __init__(self, now_ms: int) -> None:
        self._at_ms = now_ms
        self._calls = 0.0
        self._failures = 0.0

    def add(self, failed: bool, now_ms: int) -> None:
        fade = exp(-max(now_ms - self._at_ms, 0) / ERROR_DECAY_MS)
        self._at_ms = max(now_ms, self._at_ms)
        self._calls = self._calls * fade + 1.0
        self._failures = self._failures * fade + failed

    def rate(self) -> float:
        """0 to 1, to four decimals."""
        return round(self._failures / self._calls, 4) if self._failures else 0.0

    def samples(self, now_ms: int) -> int:
        """Calls that still weigh, rounded down: about the number of the last minute."""
        return int(self._calls * exp(-max(now_ms - self._at_ms, 0) / ERROR_DECAY_MS) + 1e-9)
