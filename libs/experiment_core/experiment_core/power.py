"""What a sample of a given size can show, and how large one must be."""

from __future__ import annotations

import math

from experiment_core.distributions import Z95

POWER80 = 0.8416212335729143
"""The normal quantile of a power of 80 %."""


def detectable_change(deviation: float, rows: float) -> float:
    """The smallest change of a mean that `rows` pairs show with 80 % power at 95 % confidence.

    `deviation` is the standard deviation of a pair's difference, in the unit of the answer. Infinite without rows.
    """
    return (Z95 + POWER80) * deviation / math.sqrt(rows) if rows > 0 else math.inf


def detectable_rate_change(discordant: float, rows: float) -> float:
    """The same for a rate, where a share `discordant` of the pairs changes at all, to and fro together."""
    return min(1.0, detectable_change(math.sqrt(discordant), rows))


def rows_for_change(deviation: float, change: float) -> int:
    """How many pairs show a `change` of a mean with 80 % power at 95 % confidence."""
    return math.ceil(((Z95 + POWER80) * deviation / change) ** 2)
