"""What a call costs: integer nano-USD from a usage vector and a dated price row."""

from __future__ import annotations

from dataclasses import dataclass

from routing_core.types import Usage


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model at one provider, in nano-USD per million tokens. A cache price of None means: charged as plain input.

    `above` lists long-context tiers, ascending: where the input exceeds the threshold, that tier's prices hold for the whole call.
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    above: tuple[tuple[int, Price], ...] = ()
    version: str = ""
    """Names the row this came from; stored with every cost."""


def cost(price: Price, usage: Usage) -> int:
    """Cost of a call in nano-USD, rounded up once over the sum of its parts."""
    row = price
    for threshold, tier in price.above:
        if usage.input > threshold:
            row = tier
    plain = usage.input - usage.cache_read - usage.cache_write
    micro = (
        plain * row.input
        + usage.output * row.output
        + usage.cache_read * (row.input if row.cache_read is None else row.cache_read)
        + usage.cache_write * (row.input if row.cache_write is None else row.cache_write)
    )
    return -(-micro // 1_000_000)
