"""What columns of calls cost: `routing_core.pricing.cost` for arrays of plain text tokens."""

from __future__ import annotations

import numpy as np

from experiment_core.arrays import Floats
from routing_core.pricing import Price


def costs(price: Price, input_tokens: Floats, output_tokens: Floats, cached_tokens: Floats | None = None) -> Floats:
    """Nano-USD of each call, not rounded. `cached_tokens` of the input were read from the provider's cache.

    Expected tokens need not be whole, so neither is an expected cost. For whole tokens `cost` is this, rounded up.
    """
    cached = np.zeros(len(input_tokens)) if cached_tokens is None else cached_tokens
    found = _flat(price, input_tokens, output_tokens, cached)
    for threshold, tier in price.above:
        found = np.where(input_tokens > threshold, _flat(tier, input_tokens, output_tokens, cached), found)
    return found


def _flat(price: Price, input_tokens: Floats, output_tokens: Floats, cached: Floats) -> Floats:
    plain, read, _, output, fee = price.text
    rest = np.maximum(input_tokens - cached, 0.0)
    return (rest * plain + cached * read + output_tokens * output + fee) / 1e6
