"""What is counted, and how an account of it stands."""

from __future__ import annotations

from typing import NamedTuple

from routing_core.records import record


class Meter(NamedTuple):
    """One budget, one of the values it holds for each of (empty where it does not), one unit."""

    budget_id: str
    value: str
    unit: str
    """`usd` (amounts in nano-USD, rounded up) or `calls`."""


@record
class Want:
    """What one attempt may cost at most on one meter."""

    meter: Meter
    amount: int


@record
class AccountView:
    """Where the account of a meter stands in one window. Times are microseconds since the epoch."""

    meter: Meter
    window_start_us: int
    window_end_us: int
    """0: the window has no end."""
    cap: int
    settled: int
    """Charged: spent, unknown, forfeited and overrun."""
    leased: int
    """Granted to spenders and not settled."""
    hard: bool
    """False where the budget only alerts."""
