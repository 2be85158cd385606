"""What a call costs: integer nano-USD from a usage vector and a dated price row."""

from __future__ import annotations

from dataclasses import dataclass

from routing_core.types import Usage

EXPECTED_OUTPUT_TOKENS = 512
"""Length of an answer assumed where the caller sets no limit. Estimates only rank and compare; caps use `bound`."""


@dataclass(frozen=True, slots=True)
class Price:
    """Prices of one model at one provider, in nano-USD per million tokens. A cache price of None: charged as plain
    input.

    `above` lists long-context tiers, ascending: where the input exceeds the threshold, that tier's prices hold for the
    whole call (cached and cache-writing tokens count towards the threshold, as with OpenAI, Anthropic and Google).
    """

    input: int
    output: int
    cache_read: int | None = None
    cache_write: int | None = None
    above: tuple[tuple[int, Price], ...] = ()
    version: str = ""
    """Names the row this came from; stored with every cost."""

    def at(self, input_tokens: int) -> Price:
        """The row that holds for a call of this length."""
        row = self
        for threshold, tier in self.above:
            if input_tokens > threshold:
                row = tier
        return row

    def rates(self) -> tuple[int, int, int]:
        """Price of a plain, a cached and a cache-writing input token."""
        read, write = self.cache_read, self.cache_write
        return self.input, self.input if read is None else read, self.input if write is None else write


def cost(price: Price, usage: Usage) -> int:
    """Cost of a call in nano-USD, rounded up once over the sum of its parts.

    A usage that claims more cached tokens than input is charged for all that it claims.
    """
    row = price.at(usage.input) if price.above else price
    plain, read, write = row.rates()
    rest = max(usage.input - usage.cache_read - usage.cache_write, 0)
    total = rest * plain + usage.cache_read * read + usage.cache_write * write + usage.output * row.output
    return -(-total // 1_000_000)


def output_cost(price: Price, usage: Usage) -> int:
    """The part of `cost` that the output made, in nano-USD, rounded down: never more than the whole."""
    row = price.at(usage.input) if price.above else price
    return usage.output * row.output // 1_000_000


def estimate(price: Price, input_tokens: int, max_tokens: int | None) -> int:
    """What a call is likely to cost, in nano-USD: uncached input and the whole of `max_tokens`, or the usual length."""
    output = EXPECTED_OUTPUT_TOKENS if max_tokens is None else max_tokens
    return cost(price, Usage(input=input_tokens, output=output))


def bound(price: Price, input_tokens: int, output_tokens: int) -> int:
    """The most that a call within these token counts can cost, in nano-USD: every part at its dearest row."""
    rows = [price, *(tier for threshold, tier in price.above if input_tokens > threshold)]
    dearest = max(max(row.rates()) for row in rows)
    total = input_tokens * dearest + output_tokens * max(row.output for row in rows)
    return -(-total // 1_000_000)
