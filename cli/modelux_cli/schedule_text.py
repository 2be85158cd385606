"""How schedules look on a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from modelux_cli.budget_text import table
from modelux_cli.pass_if import told

Row = dict[str, Any]
_MARGIN = "  "


def schedule_table(rows: Sequence[Row]) -> list[str]:
    """One line a schedule."""
    head = ("ID", "NAME", "CRON", "WINDOW", "MODE", "NEXT", "RUNS", "LAST VERDICT")
    return table(head, [_listed(row) for row in rows])


def schedule_lines(row: Row, runs: Sequence[Row] = ()) -> Iterator[str]:
    """Everything of one schedule, and its last runs."""
    experiment, judge, alarm = row["experiment"], row["judge"], row["alarm"]
    yield f"{row['id']}  {row['name']}" + ("  (paused)" if row["paused"] else "")
    yield f"{_MARGIN}due: {row['cron']} ({row['time_zone']}), next {row['next_at'] or 'never: it is paused'}"
    yield f"{_MARGIN}window: the {row['window']} before"
    yield f"{_MARGIN}candidate: {_candidate(experiment)}, {experiment['mode']}"
    criteria = row["success_criteria"]
    yield f"{_MARGIN}passes if: {told(criteria) if criteria else 'anything: there are no criteria'}"
    yield f"{_MARGIN}alarm: when {alarm['failures']} of {alarm['of']} runs fail, the last among them"
    if judge:
        yield f"{_MARGIN}judge: {judge['judge_model']}"
    if row["last_error"]:
        yield f"{_MARGIN}the last due moment, {row['last_at']}, made no experiment: {row['last_error']}"
    yield f"{_MARGIN}runs: {row['runs']:,}"
    if runs:
        head = ("EXPERIMENT", "WINDOW ENDS", "STATUS", "VERDICT")
        shown = [(r["id"], r["window_end"], r["status"], r["verdict"] or "–") for r in runs]
        yield from (f"{_MARGIN}{_MARGIN}{line}" for line in table(head, shown))


def _listed(row: Row) -> tuple[str, ...]:
    due = row["next_at"] or "paused"
    mode, verdict = row["experiment"]["mode"], row["last_verdict"] or "–"
    return (row["id"], row["name"], row["cron"], row["window"], mode, due, f"{row['runs']:,}", verdict)


def _candidate(experiment: Row) -> str:
    config = experiment["candidate_config"]
    if isinstance(config, str):
        return config
    named = config.get("model") if set(config) <= {"model", "strategy"} else None
    return str(named) if named else json.dumps({"strategy": experiment["candidate_policy"], **config})
