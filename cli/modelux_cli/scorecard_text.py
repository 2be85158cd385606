"""How the scorecard of projections looks on a terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from modelux_cli.budget_text import table
from modelux_cli.experiment_text import cost, latency

Row = dict[str, Any]
_METRIC_HEAD = ("METRIC", "ENTRIES", "HELD", "95% INTERVAL", "MEDIAN ERROR", "TOO HIGH", "WIDEN BY")
_ENTRY_HEAD = ("EXPERIMENT", "MEASURED ON", "METRIC", "PROJECTED", "95% INTERVAL", "MEASURED", "REQUESTS", "HELD")
_SHOWN = 12
"""Entries, of however many there are."""
_WRITTEN: Mapping[str, Callable[[float | None], str]] = {
    "mean_cost_usd": cost,
    "p50_latency_ms": latency,
    "p95_latency_ms": latency,
    "error_rate": lambda share: _percent(share, 2),
}


def scorecard_lines(found: Row) -> Iterator[str]:
    """A line for each metric, the newest entries, and what is waited for."""
    if not found["metrics"]:
        yield "nothing is measured yet: promote an experiment, and let its version serve 200 requests"
    else:
        yield from table(_METRIC_HEAD, [_metric(row) for row in found["metrics"]])
        yield ""
        yield from table(_ENTRY_HEAD, [_entry(row) for row in found["entries"][:_SHOWN]])
    if found["waiting"]:
        yield f"{found['waiting']} promotions have served fewer than 200 requests yet"


def _metric(row: Row) -> tuple[str, ...]:
    held = row["coverage"]
    ends = f"[{_percent(held['lower'])}, {_percent(held['upper'])}]"
    widen = "-" if row["widen_by"] is None else f"{row['widen_by']:.2f}"
    error, high = _percent(row["median_error"], 1), _percent(row["too_high"]["value"])
    return row["metric"], str(row["entries"]), _percent(held["value"]), ends, error, high, widen


def _entry(row: Row) -> tuple[str, ...]:
    written = _WRITTEN[row["metric"]]
    said = row["projected"]
    ends = "[" + ", ".join("unknown" if said[end] is None else written(said[end]) for end in ("lower", "upper")) + "]"
    where = f"@{row['slug']}:{row['version']}" if row["slug"] else "its own calls"
    values = written(said["value"]), ends, written(row["measured"]["value"])
    return row["experiment_id"], where, row["metric"], *values, f"{row['requests']:,}", "yes" if row["held"] else "no"


def _percent(share: float | None, decimals: int = 0) -> str:
    return "-" if share is None else f"{share * 100:.{decimals}f}%"
