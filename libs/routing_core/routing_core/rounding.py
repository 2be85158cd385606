"""Round what traces keep, at a tenth of the price of `round`."""

from __future__ import annotations


def thousandths(value: float) -> float:
    """To three decimals, half up: the float that is written so. For values of 0 or more, up to 2^40."""
    return int(value * 1000.0 + 0.5) / 1000.0
