"""The clocks, as a value so that tests can move them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Clock:
    """`now_ns`: nanoseconds since the epoch. `steady_ns`: nanoseconds that only go forward, for health and the like."""

    now_ns: Callable[[], int] = time.time_ns
    steady_ns: Callable[[], int] = time.monotonic_ns

    def now_ms(self) -> int:
        return self.now_ns() // 1_000_000

    def now_us(self) -> int:
        return self.now_ns() // 1_000

    def steady_ms(self) -> int:
        return self.steady_ns() // 1_000_000
