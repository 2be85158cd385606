"""Add up what the log says was spent, along the scopes that budgets have."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

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


@dataclass(frozen=True, slots=True)
class Logged:
    """What one value was charged by the log."""

    charged_nano: int = 0
    requests: int = 0


def is_logged(scope: str) -> bool:
    """Whether the log tells which calls a budget of this scope covers."""
    return scope in _VALUES


async def logged_spend(analytics: Analytics, wanted: Spending) -> Mapping[str, Logged]:
    """What was charged, and how many requests, per value; values without any are absent. Raises `Unavailable`."""
    table, value = _VALUES[wanted.scope]
    began, begun = ("started_at", "") if table == "requests" else ("request_started_at", "+ started_us")
    places = {"table": table, "value": value, "began": began, "begun": begun}
    sql = _template()
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


@cache
def _template() -> str:
    return files("modelux_store").joinpath("sql", "logged_spend.sql").read_text()


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
