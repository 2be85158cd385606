"""How budgets look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

Row = dict[str, Any]


def budget_table(rows: Sequence[Row]) -> list[str]:
    """One line a budget."""
    head = ("ID", "NAME", "FOR", "LIMITS", "PERIOD", "AT THE CAP")
    return table(head, [(r["id"], r["name"], covers(r), limits(r), period(r), action(r)) for r in rows])


def budget_lines(row: Row) -> Iterator[str]:
    """Everything of one budget."""
    yield f"{row['id']}  {row['name']}" + ("  (disabled)" if row["disabled"] else "")
    within = row["project_id"] if row["scope"] != "project" else ""
    yield f"  for: {covers(row)}" + (f" in project {within}" if within else "")
    yield f"  limits: {limits(row)}"
    yield f"  period: {period(row)}"
    yield f"  at the cap: {action(row)}"
    yield f"  alerts: {', '.join(f'{each} %' for each in row['alert_percents']) or 'none'}"
    if row["loop_calls"]:
        yield f"  reports the same call {row['loop_calls']} times over"


def spend_table(rows: Sequence[Row]) -> list[str]:
    """One line a value: where it stands in its window."""
    head = ("VALUE", "CAP", "SPENT", "RESERVED", "LEFT", "FORECAST", "CALLS", "RESETS", "STATE")
    return table(head, [_spend(row) for row in rows])


def reconcile_table(rows: Sequence[Row]) -> list[str]:
    """One line a value and window, and below what its difference is made of."""
    head = ("WINDOW", "VALUE", "SETTLED", "LOGGED", "DIFFERENCE", "UNEXPLAINED")
    lines = table(head, [_reconciled(row) for row in rows])
    return lines + [f"{row['value'] or row['budget_id']}: {row['text']}" for row in rows]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns as wide as their widest cell."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    padded = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    return ["  ".join(row).rstrip() for row in padded]


def covers(row: Row) -> str:
    """What a budget holds for: `each run_id`, `tag team=search`, `organization`."""
    scope = str(row["scope"]).replace("_", " ")
    if row["each"]:
        return f"each {row['scope_key'] or scope}"
    key = row["scope_key"] or (row["project_id"] if scope == "project" else "")
    return f"{scope} {key}" if key else scope


def limits(row: Row) -> str:
    found = []
    if row["cap_usd"] is not None:
        found.append(usd(row["cap_usd"]))
    if row["max_calls"] is not None:
        found.append(f"{row['max_calls']:,} calls")
    if row["max_duration_s"] is not None:
        found.append(duration(row["max_duration_s"]))
    return ", ".join(found)


def period(row: Row) -> str:
    zone = "" if row["time_zone"] == "UTC" or row["period"] == "total" else f" ({row['time_zone']})"
    start = row["period_start"]
    return f"{row['period']}{'' if start in (None, _FIRST.get(row['period'])) else f' from {start}'}{zone}"


def action(row: Row) -> str:
    if row["action"] != "downgrade":
        return str(row["action"])
    return f"downgrade to {row['downgrade_to']} from {row['downgrade_at_percent']:g} %"


def duration(seconds: int) -> str:
    """`30m`, `1h30m`, `45s`."""
    hours, rest = divmod(seconds, 3600)
    minutes, left = divmod(rest, 60)
    parts = ((hours, "h"), (minutes, "m"), (left, "s"))
    return "".join(f"{count}{unit}" for count, unit in parts if count) or "0s"


def usd(amount: float | None) -> str:
    """Dollars to the nano, without idle zeros; `-` where there are none."""
    if amount is None:
        return "-"
    whole, _, decimals = f"{abs(amount):,.9f}".partition(".")
    return f"{'-' if amount < 0 else ''}${whole}.{decimals.rstrip('0').ljust(2, '0')}"


def _spend(row: Row) -> tuple[str, ...]:
    state = "aborted" if row["aborted"] else "exceeded" if row["exceeded"] else "ok"
    most = "" if row["max_calls"] is None else f"/{row['max_calls']:,}"
    calls = "-" if row["calls"] is None else f"{row['calls']:,}{most}"
    money = [usd(row[f"{name}_usd"]) for name in ("cap", "settled", "reserved", "remaining", "forecast")]
    return (row["value"] or "-", *money, calls, row["resets_at"] or "never", state)


def _reconciled(row: Row) -> tuple[str, ...]:
    money = [usd(row[f"{name}_usd"]) for name in ("settled", "logged", "difference", "unexplained")]
    return (row["window_start"] or "total", row["value"] or "-", *money)


_FIRST = {"month": 1, "week": 1, "day": 0}
