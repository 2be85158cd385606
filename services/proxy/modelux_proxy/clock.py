"""The wall clock, as a value so that tests can move it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`now_ns`: nanoseconds since the epoch."""

    now_ns: Callable[[], int] = time.time_ns

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def now_us(self) -> int:
        return self.now_ns() // 1_000
