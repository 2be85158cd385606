"""What a sample of a given size can show, and how large one must be."""

from __future__ import annotations

import math

from experiment_core.distributions import Z95
from experiment_core.intervals import wilson

POWER80 = 0.8416212335729143
"""The normal quantile of a power of 80 %."""
MOST_ROWS = 1 << 40


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


def equivalent_rows(calls: int, rerouted: float) -> float:
    """The size of a plain sample that is as precise as `calls` spent on rerouted rows alone.

    A share `1 - rerouted` of the traffic keeps its logged answer, so its difference is known to be 0 and needs no call.
    """
    return calls / rerouted if rerouted > 0 else math.inf


def smallest_sample(rate: float, threshold: float) -> int:
    """The fewest rows at which a true `rate` has a Wilson upper bound at or below `threshold`."""
    if not 0 <= rate < threshold:
        raise ValueError(f"a rate of {rate:g} is not below {threshold:g}, so no sample shows that it is")
    enough = 1
    while _upper(rate, enough) > threshold and enough < MOST_ROWS:
        enough *= 2
    short = enough // 2
    while enough - short > 1:
        middle = (enough + short) // 2
        enough, short = (middle, short) if _upper(rate, middle) <= threshold else (enough, middle)
    return enough


def rows_for_percentile(q: float, confidence: float = 0.95) -> int:
    """The fewest rows whose largest (or smallest) value bounds the `q` quantile in a two-sided interval."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(q, 1 - q)))


def _upper(rate: float, rows: int) -> float:
    return wilson(rate * rows, rows).upper or 0.0
