"""Make `prices.json`, the seed table of prices, from genai-prices: `python -m modelux_providers.price_seed`.

It is made once per release of genai-prices and kept in the repository: importing that package costs 0.7 s and 80 MB in
every process, the table a few milliseconds. Amounts become integers, nano-USD per million tokens, rounded up.

    {"version": "genai-prices 0.2.3", "lists": {"openai": [[id, match, context_tokens, [price, ...]], ...]}}
    match: "=equal" "^prefix" "$suffix" "*part" "~regex", or ["|", match, ...], ["&", match, ...], in lower case
    price: [from_date | null, [from_minute, to_minute] | null, input, output, cache_read | null, cache_write | null,
            [[above_tokens, [input, output, cache_read | null, cache_write | null]], ...]]

Of several prices the last one in force counts, or else the first. Left out: batch and priority variants, and units
other than tokens.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import time
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path

from genai_prices import types as seed
from genai_prices.data import providers

from modelux_providers.model_facts import facts_of
from modelux_providers.vendors import VENDORS

PATH = Path(__file__).with_name("prices.json")

Json = str | int | None | Sequence["Json"]
_KEYS = ("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok")


def main() -> None:
    """Write the table beside this file."""
    PATH.write_text(render())


def render() -> str:
    """The table as text, one model per line."""
    wanted = sorted({name for vendor in VENDORS.values() for name in vendor.prices})
    lists = {provider.id: provider for provider in providers}
    parts = [
        f"{json.dumps(name)}: [\n" + ",\n".join(_line(model) for model in lists[name].models) + "\n]" for name in wanted
    ]
    head = json.dumps(f"genai-prices {version('genai-prices')}")
    return f'{{"version": {head}, "lists": {{\n' + ",\n".join(parts) + "\n}}\n"


def _line(model: seed.ModelInfo) -> str:
    listed = model.prices if isinstance(model.prices, list) else [seed.ConditionalPrice(prices=model.prices)]
    prices = [_price(model.id, each.constraint, each.prices) for each in listed]
    known = prices if all(price is not None for price in prices) else []
    return json.dumps([model.id, _match(model.match), model.context_window, known], separators=(",", ":"))


def _price(
    model: str, constraint: seed.StartDateConstraint | seed.TimeOfDateConstraint | None, price: seed.ModelPrice
) -> list[Json] | None:
    """One row, or None where input or output has no price in tokens."""
    values = {key: getattr(price, key) for key in _KEYS}
    if model.endswith(":free") and not any(values.values()):
        values |= {"input_mtok": Decimal(0), "output_mtok": Decimal(0)}
    if values["output_mtok"] is None and "embeddings" in facts_of(model).capabilities:
        values["output_mtok"] = Decimal(0)
    if values["input_mtok"] is None or values["output_mtok"] is None:
        return None
    starts = sorted({t.start for v in values.values() if isinstance(v, seed.TieredPrices) for t in v.tiers})
    tiers: list[Json] = [[start, [_at(values[key], start) for key in _KEYS]] for start in starts]
    day = constraint.start_date.isoformat() if isinstance(constraint, seed.StartDateConstraint) else None
    window = None
    if isinstance(constraint, seed.TimeOfDateConstraint):
        window = [_minute(constraint.start_time), _minute(constraint.end_time)]
    return [day, window, *(_at(values[key], -1) for key in _KEYS), tiers]


def _at(price: Decimal | seed.TieredPrices | None, start: int) -> int | None:
    """The price of the tier that begins at `start`, or of the last before it."""
    if isinstance(price, seed.TieredPrices):
        amount = price.base
        for tier in price.tiers:
            if tier.start <= start:
                amount = tier.price
        price = amount
    return None if price is None else int((price * 10**9).to_integral_value(ROUND_CEILING))


def _minute(at: time) -> int:
    if at.utcoffset():
        raise ValueError(f"a time of day in UTC was expected, not {at}")
    return at.hour * 60 + at.minute


def _match(clause: seed.MatchLogic) -> Json:
    match clause:
        case seed.ClauseEquals(equals=text):
            return f"={text.lower()}"
        case seed.ClauseStartsWith(starts_with=text):
            return f"^{text.lower()}"
        case seed.ClauseEndsWith(ends_with=text):
            return f"${text.lower()}"
        case seed.ClauseContains(contains=text):
            return f"*{text.lower()}"
        case seed.ClauseRegex(regex=text):
            return f"~{text}"
        case seed.ClauseOr(or_=clauses):
            return ["|", *(_match(each) for each in clauses)]
        case seed.ClauseAnd(and_=clauses):
            return ["&", *(_match(each) for each in clauses)]


if __name__ == "__main__":
    main()
