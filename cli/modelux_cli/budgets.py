"""`modelux budgets`: cap what may be spent, guard runs, and ask why a call was blocked."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated
from urllib.parse import quote

import typer

from modelux_cli import budget_text as text
from modelux_cli.api import connect, given, reporting
from modelux_cli.management import DataDir, Json, Key, Row, Url, print_data
from routing_core.errors import ModeluxError

app = typer.Typer(
    name="budgets",
    help="Cap spend, guard runs, and ask why a call was blocked.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Id = Annotated[str, typer.Argument(help="The budget's id.", metavar="BUDGET_ID")]
_Limit = Annotated[int, typer.Option(help="How many.", min=1, max=200)]
_Cap = Annotated[str, typer.Option("--cap", help="Dollars, e.g. 0.05.")]
_Calls = Annotated[int | None, typer.Option("--max-calls", help="Calls.", min=1)]
_Duration = Annotated[str, typer.Option("--max-duration", help="From the first call on, e.g. 90s, 30m, 2h.")]
_Downgrade = Annotated[str, typer.Option("--downgrade-to", help="A cheaper model or @slug that serves at the cap.")]
_Share = Annotated[int | None, typer.Option("--downgrade-at", help="Percent of the cap.", min=1, max=100)]
_Loop = Annotated[int | None, typer.Option("--loop-calls", help="Report the same call this often; 0: never.", min=0)]
_Alerts = Annotated[str | None, typer.Option("--alert-at", help="Percents, e.g. 50,80,95,100; empty: none.")]
_Action = Annotated[str, typer.Option("--action", help="block, downgrade or alert.")]


@app.command()
def create(
    tag: Annotated[str, typer.Option(help="For a tag: `key=value`, or `key` with --each.")] = "",
    end_user: Annotated[str, typer.Option(help="For an end user.")] = "",
    model: Annotated[str, typer.Option(help="For a model.")] = "",
    provider: Annotated[str, typer.Option(help="For a provider.")] = "",
    proxy_key: Annotated[str, typer.Option(help="For a proxy key, by its id.")] = "",
    scope: Annotated[str, typer.Option(help="Any other scope, e.g. experiment; with --scope-key.")] = "",
    scope_key: Annotated[str, typer.Option(help="What of the scope.")] = "",
    project: Annotated[str, typer.Option(help="Within a project, by its id; alone: for all of it.")] = "",
    each: Annotated[bool, typer.Option("--each", help="A cap of its own for every value.")] = False,
    name: Annotated[str, typer.Option(help="Left out: what it is for.")] = "",
    cap: _Cap = "",
    max_calls: _Calls = None,
    max_duration: _Duration = "",
    action: _Action = "",
    downgrade_to: _Downgrade = "",
    downgrade_at: _Share = None,
    loop_calls: _Loop = None,
    period: Annotated[str, typer.Option(help="total, hour, day, week or month.")] = "",
    time_zone: Annotated[str, typer.Option(help="Of the period, e.g. Europe/Berlin.")] = "",
    period_start: Annotated[int | None, typer.Option(help="First day of the month or week, or hour.", min=0)] = None,
    alert_at: _Alerts = None,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Create a budget. Without a scope it caps the whole organization."""
    with reporting():
        named = {"tag": tag, "end_user": end_user, "model": model, "provider": provider, "key": proxy_key}
        chosen = _scope(named, scope, scope_key, project)
        covered = {"name": name or _name(chosen, project, each=each), "each": each}
        scope_key = "" if chosen == ("project", project) else chosen[1]
        body = covered | {"scope": chosen[0], "scopeKey": scope_key, "projectId": project}
        body |= {"period": period, "timeZone": time_zone, "periodStart": period_start}
        body |= _limits(cap, max_calls, max_duration, action, downgrade_to, downgrade_at, loop_calls, alert_at)
        made = connect(url, key, data_dir).send("POST", "/budgets", given(body))["data"]
        print_data(made, text.budget_lines(made), json)


@app.command("list")
def list_budgets(
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    scope: Annotated[str, typer.Option(help="Only of this scope.")] = "",
    limit: _Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List the budgets."""
    with reporting():
        filters = {"project_id": project, "scope": scope, "limit": limit}
        rows = connect(url, key, data_dir).get("/budgets", filters)["data"]
        print_data(rows, text.budget_table(rows), json)


@app.command()
def get(budget_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Show one budget."""
    with reporting():
        found = connect(url, key, data_dir).get(_path(budget_id))["data"]
        print_data(found, text.budget_lines(found), json)


@app.command()
def update(
    budget_id: _Id,
    name: Annotated[str, typer.Option(help="Another name.")] = "",
    cap: _Cap = "",
    max_calls: _Calls = None,
    max_duration: _Duration = "",
    without: Annotated[
        list[str] | None, typer.Option(help="Take a limit away: cap, max-calls or max-duration; repeatable.")
    ] = None,
    action: _Action = "",
    downgrade_to: _Downgrade = "",
    downgrade_at: _Share = None,
    loop_calls: _Loop = None,
    alert_at: _Alerts = None,
    enabled: Annotated[bool | None, typer.Option("--enable/--disable", help="Enforce it, or not.")] = None,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Change a budget's limits or what happens at them."""
    with reporting():
        body = {"name": name, "disabled": None if enabled is None else not enabled}
        body |= _limits(cap, max_calls, max_duration, action, downgrade_to, downgrade_at, loop_calls, alert_at)
        changes = given(body) | {_limit_field(each): None for each in without or []}
        made = connect(url, key, data_dir).send("PATCH", _path(budget_id), changes)["data"]
        print_data(made, text.budget_lines(made), json)


@app.command()
def delete(budget_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Delete a budget. What was spent of it stays on record."""
    with reporting():
        found = connect(url, key, data_dir).send("DELETE", _path(budget_id))["data"]
        print_data(found, [f"deleted {budget_id}"], json)


@app.command()
def spend(
    budget_id: _Id,
    value: Annotated[str, typer.Option(help="One value of an --each budget.")] = "",
    limit: _Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Show what is spent, reserved and left in the current window."""
    with reporting():
        rows = connect(url, key, data_dir).get(f"{_path(budget_id)}/spend", {"value": value, "limit": limit})["data"]
        print_data(rows, text.spend_table(rows), json)


@app.command()
def explain(
    request_id: Annotated[str, typer.Argument(help="A request that was blocked or downgraded.")] = "",
    budget: Annotated[str, typer.Option(help="Or one budget, by its id.")] = "",
    value: Annotated[str, typer.Option(help="A value of an --each budget.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Or a request with this tag, `key=value`; repeatable.")] = None,
    model: Annotated[str, typer.Option(help="Of this model.")] = "",
    provider: Annotated[str, typer.Option(help="At this provider.")] = "",
    project: Annotated[str, typer.Option(help="In this project.")] = "",
    proxy_key: Annotated[str, typer.Option(help="With this proxy key, by its id.")] = "",
    end_user: Annotated[str, typer.Option(help="Of this end user.")] = "",
    needed: Annotated[str, typer.Option(help="That costs this many dollars at most.")] = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Tell in plain words why a call was blocked or downgraded, or whether one would be."""
    with reporting():
        body = {"requestId": request_id, "budgetId": budget, "value": value, "tags": _tags(tag or [])}
        body |= {"model": model, "provider": provider, "projectId": project, "keyId": proxy_key}
        body |= {"endUserId": end_user, "neededUsd": needed}
        found = connect(url, key, data_dir).send("POST", "/budgets/explain", given(body))["data"]
        print_data(found, found["text"], json)


@app.command()
def reconcile(
    budget_id: _Id,
    value: Annotated[str, typer.Option(help="One value of an --each budget.")] = "",
    start: Annotated[str, typer.Option(help="Windows that began at or after, e.g. 2026-04-01T00:00:00Z.")] = "",
    end: Annotated[str, typer.Option(help="Windows that began before.")] = "",
    limit: _Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Hold the ledger against the request log, and explain the difference."""
    with reporting():
        filters = {"value": value, "start": start, "end": end, "limit": limit}
        rows = connect(url, key, data_dir).get(f"{_path(budget_id)}/reconcile", filters)["data"]
        print_data(rows, text.reconcile_table(rows), json)


def seconds(written: str) -> int:
    """`90s`, `30m`, `2h`, `1h30m`, or seconds alone. Raises ModeluxError."""
    found = _DURATION.fullmatch(written.strip())
    if not written.strip() or found is None:
        raise ModeluxError("usage", f"{written!r} is not a duration", hint="Write 90s, 30m, 2h or 1h30m.")
    hours, minutes, rest = (int(each or 0) for each in found.groups())
    return hours * 3600 + minutes * 60 + rest


def _scope(named: Mapping[str, str], scope: str, scope_key: str, project: str) -> tuple[str, str]:
    """The scope and its key. Raises ModeluxError where two are asked for."""
    given = [(name, value) for name, value in named.items() if value] + [(scope, scope_key)] * bool(scope)
    if len(given) > 1:
        names = " and ".join(name for name, _ in given)
        raise ModeluxError("usage", f"a budget has one scope, not {names}", hint="Create one budget for each.")
    if not given:
        return ("project", project) if project else ("organization", "")
    name, value = given[0]
    return name, _pair(value) if name == "tag" else value


def _name(chosen: tuple[str, str], project: str, *, each: bool) -> str:
    """What a budget is for: `each tag run_id in proj_1`."""
    within = f"in {project}" if project and chosen[0] != "project" else ""
    return " ".join(filter(None, ("each" * each, *chosen, within)))


def _limits(
    cap: str,
    max_calls: int | None,
    max_duration: str,
    action: str,
    downgrade_to: str,
    downgrade_at: int | None,
    loop_calls: int | None,
    alert_at: str | None,
) -> Row:
    percents = None if alert_at is None else [_percent(each) for each in alert_at.split(",") if each.strip()]
    return {
        "capUsd": cap.removeprefix("$"),
        "maxCalls": max_calls,
        "maxDurationS": seconds(max_duration) if max_duration else None,
        "action": action or ("downgrade" if downgrade_to else ""),
        "downgradeTo": downgrade_to,
        "downgradeAtPercent": downgrade_at,
        "loopCalls": loop_calls,
        "alertPercents": percents,
    }


def _percent(written: str) -> int:
    try:
        return int(written.strip().removesuffix("%"))
    except ValueError:
        hint = "Write percents of the cap, such as 50,80,95,100."
        raise ModeluxError("usage", f"{written!r} is not a whole number of percent", hint=hint) from None


def _limit_field(written: str) -> str:
    if written not in _LIMITS:
        raise ModeluxError("usage", f"there is no limit {written!r}", hint=f"There are: {', '.join(_LIMITS)}.")
    return _LIMITS[written]


def _tags(pairs: Sequence[str]) -> dict[str, str]:
    found = dict(_pair(each).partition("=")[::2] for each in pairs)
    if not all(found.values()):
        raise ModeluxError("usage", "a tag has no value", hint="Write it as --tag team=search.")
    return found


def _pair(written: str) -> str:
    """`key=value`, also where it was written as `key:value` as for `modelux logs`."""
    return written if "=" in written else written.replace(":", "=", 1)


def _path(budget_id: str) -> str:
    return f"/budgets/{quote(budget_id, safe='')}"


_DURATION = re.compile(r"(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s?)?")
_LIMITS = {"cap": "capUsd", "max-calls": "maxCalls", "max-duration": "maxDurationS"}
