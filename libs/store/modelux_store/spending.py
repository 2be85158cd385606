"""Add up what the log says was spent, along the scopes that budgets have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from modelux_contracts.sources import EXPERIMENT, JUDGE
from modelux_store.analytics import Analytics

FOREVER_US = 253_370_764_800_000_000
"""The end of a window that has none: the year 9999."""


@dataclass(frozen=True, slots=True)
class Spending:
    """One window of a budget. `opened_us`: for each wanted value when its account was opened; calls that ended before
    are left out. Times are microseconds since the epoch.
    """

    organization_id: str
    project_id: str
    """Empty: all."""
    scope: str
    tag: str
    """The tag's key, where the scope is `tag`."""
    start_us: int
    end_us: int
    opened_us: Mapping[str, int]
    budget_id: str = ""
    """Of the scopes `experiment` and `judge_run`: their calls are known by the cap that they saw."""


@dataclass(frozen=True, slots=True)
class Logged:
    """What one value was charged by the log."""

    charged_nano: int = 0
    requests: int = 0


async def logged_spend(analytics: Analytics, wanted: Spending) -> Mapping[str, Logged]:
    """What was charged, and how many requests, per value; values without any are absent. Raises `Unavailable`."""
    if wanted.scope in _RUNS:
        return await _run_spend(analytics, wanted)
    table, value = _VALUES[wanted.scope]
    began, begun = ("started_at", "") if table == "requests" else ("request_started_at", "+ started_us")
    places = {"table": table, "value": value, "began": began, "begun": begun}
    sql = _template("logged_spend")
    for name, text in places.items():
        sql = sql.replace(f"/* {name} */", text)
    values = {
        "organization_id": wanted.organization_id,
        "project_id": wanted.project_id,
        "tag": wanted.tag,
        "start_us": wanted.start_us,
        "end_us": wanted.end_us or FOREVER_US,
        "values": list(wanted.opened_us),
        "opened_us": list(wanted.opened_us.values()),
    }
    rows = await analytics.rows(sql, values)
    return {cast(str, r["value"]): Logged(cast(int, r["charged_nano"]), cast(int, r["requests"])) for r in rows}


async def _run_spend(analytics: Analytics, wanted: Spending) -> Mapping[str, Logged]:
    values = {
        "organization_id": wanted.organization_id,
        "project_id": wanted.project_id,
        "source": _RUNS[wanted.scope],
        "budget_id": wanted.budget_id,
        "start_us": wanted.start_us,
        "end_us": wanted.end_us or FOREVER_US,
    }
    (row,) = await analytics.rows(_template("logged_run_spend"), values)
    found = Logged(cast(int, row["charged_nano"]), cast(int, row["requests"]))
    return dict.fromkeys(wanted.opened_us, found) if found.requests else {}


@cache
def _template(name: str) -> str:
    return files("modelux_store").joinpath("sql", f"{name}.sql").read_text()


_RUNS: Mapping[str, str] = {"experiment": EXPERIMENT, "judge_run": JUDGE}
"""Scopes of runs, and where the calls of such a run say that they come from."""
_VALUES: Mapping[str, tuple[str, str]] = {
    "organization": ("requests", "''"),
    "project": ("requests", "project_id"),
    "key": ("requests", "key_id"),
    "tag": ("requests", "tags[{tag:String}]"),
    "end_user": ("requests", "end_user_id"),
    "provider": ("attempts", "provider"),
    "model": ("attempts", "model"),
}
"""Of each scope the table that knows it, and what is its value there. A request may try several models."""
