"""How an import looks on a terminal."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modelux_cli.budget_text import table, usd

Row = dict[str, Any]


def lines(report: Row) -> Iterator[str]:
    """What was taken, by model; below it what was not, and what is missing of the rest."""
    if report["models"]:
        head = ("PROVIDER", "MODEL", "ROWS", "FAILED", "INPUT", "OUTPUT", "COST", "")
        yield from table(head, [_model(row) for row in report["models"]])
        yield ""
    done = "would be imported" if report["dry_run"] else "imported"
    yield f"{report['imported']:,} of {report['rows']:,} rows {done} as {report['source']} ({report['preset']})"
    if report["first"]:
        yield f"from {report['first']} to {report['last']}"
    if report["left_out"]:
        yield f"{report['left_out']:,} rows left out: they are no calls"
    unpriced = sum(row["price_unknown"] for row in report["models"])
    if unpriced:
        yield f"{unpriced:,} calls have no known price: set prices, then import the same again"
    if report["without_latency"]:
        yield f"{report['without_latency']:,} calls do not tell how long they took"
    yield from (f"no row holds what the map names for {name}" for name in report["empty_fields"])
    if report["refused"]:
        yield f"{report['refused']:,} rows refused, the first of them:"
        yield from (f"  {_refused(row)}" for row in report["refused_rows"])


def _model(row: Row) -> tuple[str, ...]:
    counts = (f"{row[name]:,}" for name in ("rows", "failed", "input_tokens", "output_tokens"))
    priced = row["price_unknown"] < row["rows"]
    unpriced = f"{row['price_unknown']:,} without a price" if row["price_unknown"] else ""
    return (row["provider"], row["model"], *counts, usd(row["cost_usd"]) if priced else "-", unpriced)


def _refused(row: Row) -> str:
    where = f"line {row['line']}" + (f", {row['field']}" if row["field"] else "")
    hint = f". {row['hint']}" if row["hint"] else ""
    return f"{where}: {row['message']}{hint}"
