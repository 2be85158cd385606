"""Bound the retries at one provider, so that trouble there is not multiplied by those who wait for it."""

from __future__ import annotations

RATIO = 0.2
"""Retries allowed per first attempt (Envoy's retry budget: 20 % of active requests)."""
MINIMUM = 3
"""Retries that are always there again after `REFILL_MS`, so that little traffic can retry too."""
REFILL_MS = 10_000
MOST = 100
"""Retries that can be saved up."""

_UNIT = 1_000_000
_DEPOSIT = round(RATIO * _UNIT)


class RetryBudget:
    """A token bucket: a first attempt puts a fifth of a retry in, a retry takes one out. In integers: no drift."""

    __slots__ = ("_balance", "_refilled_ms")

    def __init__(self, now_ms: int) -> None:
        self._balance = MINIMUM * _UNIT
        self._refilled_ms = now_ms

    def deposit(self) -> None:
        """Count a first attempt."""
        self._balance = min(self._balance + _DEPOSIT, MOST * _UNIT)

    def withdraw(self, now_ms: int) -> bool:
        """Take one retry; False when there is none left."""
        self._refill(now_ms)
        if self._balance < _UNIT:
            return False
        self._balance -= _UNIT
        return True

    def _refill(self, now_ms: int) -> None:
        passed_ms = min(max(now_ms - self._refilled_ms, 0), REFILL_MS)
        self._refilled_ms = now_ms
        floor = MINIMUM * _UNIT
        if self._balance < floor:
            self._balance = min(self._balance + passed_ms * floor // REFILL_MS, floor)
