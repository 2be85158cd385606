"""How prices, and history priced again, look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelux_cli.budget_text import table, usd

Row = dict[str, Any]


def price_table(rows: Sequence[Row]) -> list[str]:
    """One line a price that the operator set; dollars per million tokens."""
    head = ("VERSION", "PROVIDER", "MODEL", "INPUT", "OUTPUT", "CACHE READ", "CACHE WRITE", "FROM")
    return table(head, [_price(row) for row in rows])


def repriced_lines(report: Row) -> Iterator[str]:
    """A line a model and one for the sum, below them which versions of prices were charged, and what has none."""
    models = report["models"]
    yield from (
        f"no attempt was at {each['provider']}/{each['model']}: its price changes nothing" for each in report["unused"]
    )
    if not models:
        yield "no attempts in this range used anything"
        return
    head = ("PROVIDER", "MODEL", "ATTEMPTS", "LOGGED", "REPRICED", "DIFFERENCE", "")
    rows = [_sum((row["provider"], row["model"]), row) for row in models]
    yield from table(head, [*rows, _sum(("total", ""), report["total"])])
    yield ""
    for row in models:
        yield f"{row['provider']}/{row['model']}"
        yield from (_charged("logged at", each) for each in row["logged_at"])
        yield from (_charged("repriced at", each) for each in row["repriced_at"])
    total = report["total"]
    if total["unpriced_attempts"]:
        yield (
            f"no price is known for {total['unpriced_attempts']:,} attempts, logged at "
            f"{usd(total['unpriced_logged_usd'])}: they are in no repriced amount and no difference"
        )


def _price(row: Row) -> tuple[str, ...]:
    parts = ("input", "output", "cache_read", "cache_write")
    money = (usd(row[f"{part}_usd_per_million"]) for part in parts)
    return (row["version"], row["provider"], row["model"], *money, row["effective_from"])


def _sum(name: tuple[str, str], row: Row) -> tuple[str, ...]:
    money = (usd(row[f"{part}_usd"]) for part in ("logged", "repriced", "difference"))
    unpriced = f"{row['unpriced_attempts']:,} without a price" if row["unpriced_attempts"] else ""
    return (*name, f"{row['attempts']:,}", *money, unpriced)


def _charged(what: str, row: Row) -> str:
    return f"  {what:<12} {row['price_version'] or '-'}  {row['attempts']:,} attempts  {usd(row['cost_usd'])}"
