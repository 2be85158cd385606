"""Make `prices.json`, the seed table of prices, from genai-prices: `python -m modelux_providers.price_seed`.

It is made once per release of genai-prices and kept in the repository: importing that package costs 0.7 s and 80 MB in
every process, the table a few milliseconds. Amounts become integers, nano-USD per million tokens, rounded up.

    {"version": "genai-prices 0.2.3", "lists": {"openai": [[id, match, context_tokens, [price, ...]], ...]}}
    match: "=equal" "^prefix" "$suffix" "*part" "~regex", or ["|", match, ...], ["&", match, ...], in lower case
    price: [from_date | null, [from_minute, to_minute] | null, rates, [[above_tokens, rates], ...]]
    rates: [input, output, cache_read | null, cache_write | null, ...], in the order of `RATES`, no nulls at the end

Of several prices the last one in force counts, or else the first. Left out: batch and priority variants, and units
other than tokens, searches and calls. Video is priced as pictures are, where pictures have no price.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import time
from decimal import ROUND_CEILING, Decimal
from importlib.metadata import version
from pathlib import Path

from genai_prices import types as seed
from genai_prices.data import providers

from modelux_providers.model_facts import facts_of
from modelux_providers.vendors import VENDORS

PATH = Path(__file__).with_name("prices.json")

_Price = Decimal | seed.TieredPrices | None
Json = str | int | None | Sequence["Json"]
RATES = {
    "input": ("input_mtok",),
    "output": ("output_mtok",),
    "cache_read": ("cache_read_mtok",),
    "cache_write": ("cache_write_mtok",),
    "cache_write_1h": ("cache_write_1h_mtok",),
    "input_audio": ("input_audio_mtok",),
    "cache_audio_read": ("cache_audio_read_mtok",),
    "input_image": ("input_image_mtok", "input_video_mtok"),
    "output_audio": ("output_audio_mtok",),
    "output_image": ("output_image_mtok", "output_video_mtok"),
    "web_search": ("web_searches_kcount",),
    "request": ("requests_kcount",),
}
"""Our names of prices, and the seed's: the first that it has."""


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
    values = {name: _first(price, keys) for name, keys in RATES.items()}
    if model.endswith(":free") and not any(values.values()):
        values |= {"input": Decimal(0), "output": Decimal(0)}
    if values["output"] is None and "embeddings" in facts_of(model).capabilities:
        values["output"] = Decimal(0)
    if values["input"] is None or values["output"] is None:
        return None
    starts = sorted({t.start for v in values.values() if isinstance(v, seed.TieredPrices) for t in v.tiers})
    tiers: list[Json] = [[start, _rates(values, start)] for start in starts]
    day = constraint.start_date.isoformat() if isinstance(constraint, seed.StartDateConstraint) else None
    window = None
    if isinstance(constraint, seed.TimeOfDateConstraint):
        window = [_minute(constraint.start_time), _minute(constraint.end_time)]
    return [day, window, _rates(values, -1), tiers]


def _first(price: seed.ModelPrice, keys: Sequence[str]) -> _Price:
    found: list[_Price] = [getattr(price, key) for key in keys]
    return next((each for each in found if each is not None), None)


def _rates(values: Mapping[str, _Price], start: int) -> list[Json]:
    rates: list[Json] = [_at(price, start) for price in values.values()]
    while rates[-1] is None:
        rates.pop()
    return rates


def _at(price: _Price, start: int) -> int | None:
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
