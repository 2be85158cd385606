"""How rollouts look on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from modelux_cli.budget_text import table
from modelux_cli.pass_if import told

Row = dict[str, Any]
_MARGIN = "  "


def rollout_table(rows: Sequence[Row]) -> list[str]:
    """One line a rollout."""
    head = ("ID", "EXPERIMENT", "STATUS", "SHARE", "STEPS", "UPDATED")
    return table(head, [_listed(row) for row in rows])


def rollout_lines(row: Row) -> Iterator[str]:
    """Everything of one rollout."""
    yield f"{row['id']}  {row['status'].replace('_', ' ')}, the candidate has {row['percent']} % of the traffic"
    if row["status_reason"]:
        yield f"{_MARGIN}{row['status_reason']}"
    yield f"{_MARGIN}experiment: {row['experiment_id']}, routing config: {row['routing_config_id']}"
    least = f"at least {row['step_seconds']:,} s and {row['step_requests']:,} requests of the candidate each"
    yield f"{_MARGIN}steps: {_steps(row)} %, {least}"
    yield f"{_MARGIN}guards: {told(row['guards'])}"
    if row["history"]:
        shown = [(h["at"], f"{h['percent']} %", str(h["version"]), h["reason"]) for h in row["history"]]
        yield from (f"{_MARGIN}{line}" for line in table(("AT", "SHARE", "VERSION", "REASON"), shown))


def _listed(row: Row) -> tuple[str, ...]:
    share = f"{row['percent']} %"
    return (row["id"], row["experiment_id"], row["status"], share, _steps(row), row["updated_at"])


def _steps(row: Row) -> str:
    return ", ".join(map(str, row["steps"]))
