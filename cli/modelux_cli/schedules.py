"""`modelux schedules`: experiments that repeat themselves, and what their success criteria say."""

from __future__ import annotations

import json as json_text
import re
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from modelux_cli import experiment_request as request
from modelux_cli.api import connect, given, only_project, reporting
from modelux_cli.management import DataDir, Json, Key, Limit, Row, Url, pages, print_data
from modelux_cli.pass_if import AnyOf, MinSample, PassIf, criteria
from routing_core.errors import ModeluxError

app = typer.Typer(
    name="schedules",
    help="Repeat experiments over a rolling window, and be told when they fail.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_RUNS = 10
_Id = Annotated[str, typer.Argument(help="The schedule's id.", metavar="SCHEDULE_ID")]
_SPAN = re.compile(r"\d{1,6}[mhdw]")


@app.command()
def create(
    file: Annotated[Path | None, typer.Option(help="JSON as the API takes it; no other option but --project.")] = None,
    config: Annotated[str, typer.Option(help="The candidate: `@slug`, a model, a policy as JSON or a file.")] = "",
    cron: Annotated[str, typer.Option(help="Minute, hour, day of month, month, day of week.")] = "",
    time_zone: Annotated[str, typer.Option(help="IANA name, e.g. Europe/Berlin. Left out: UTC.")] = "",
    window: Annotated[str, typer.Option(help="Of so long before each due moment: 30m, 24h, 7d or 2w.")] = "7d",
    pass_if: PassIf = None,
    any_of: AnyOf = False,
    min_sample: MinSample = 0,
    alarm: Annotated[str, typer.Option(help="Tell a regression when so many of so many runs fail, e.g. 2/3.")] = "1/1",
    judge: Annotated[str, typer.Option(help="Model of a judge run after each run; with --sample.")] = "",
    tag: request.Tag = None,
    only_model: request.OnlyModel = "",
    only_provider: request.OnlyProvider = "",
    only_config: request.OnlyConfig = "",
    only_status: request.OnlyStatus = "",
    end_user: request.EndUser = "",
    by: request.By = "",
    sample: request.SampleSize = 0,
    method: request.Method = "",
    sample_tag: request.SampleTag = "",
    call_unchanged: request.CallUnchanged = False,
    aa_share: request.AaShare = 0.0,
    pilot: request.Pilot = 0,
    spend_cap: request.SpendCap = "",
    name: Annotated[str, typer.Option(help="Left out: the candidate.")] = "",
    project: request.Project = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Keep a schedule and print its id."""
    with reporting():
        api = connect(url, key, data_dir)
        if file is not None:
            body = _read(file)
        else:
            chosen = request.only(tag, only_model, only_provider, only_config, only_status, end_user)
            paid = request.paid(sample, method, sample_tag, call_unchanged, aa_share, pilot, spend_cap)
            experiment = request.candidate(_needed(config, "--config")) | paid
            experiment |= given({"filter": chosen, "runTag": by})
            body = {"name": name or config.strip()[:200], "experiment": experiment, "timeZone": time_zone}
            body |= _when(cron, window, alarm) | {"judge": {"judgeModel": judge} if judge else None}
            body["successCriteria"] = criteria(pass_if or (), any_of=any_of, min_sample=min_sample)
        body["projectId"] = project or body.get("projectId") or only_project(api)
        made = api.send("POST", "/experiment-schedules", given(body))["data"]
        print_data(made, [made["id"]], json)


@app.command("list")
def list_schedules(
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    limit: Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List the schedules, newest first."""
    from modelux_cli.schedule_text import schedule_table

    with reporting():
        rows = list(pages(connect(url, key, data_dir), "/experiment-schedules", {"project_id": project}, limit))
        print_data(rows, schedule_table(rows), json)


@app.command()
def show(schedule_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Show a schedule and its last runs."""
    from modelux_cli.schedule_text import schedule_lines

    with reporting():
        api = connect(url, key, data_dir)
        found = api.get(_path(schedule_id))["data"]
        runs = api.get(f"{_path(schedule_id)}/experiments", {"limit": _RUNS})["data"]
        print_data(found | {"experiments": runs}, schedule_lines(found, runs), json)


@app.command()
def pause(schedule_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Let it fire by hand alone."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(schedule_id)}/pause")["data"]
        print_data(found, [f"{found['id']} is paused"], json)


@app.command()
def resume(schedule_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Let it fire at its times again. What was missed is not made up for."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(schedule_id)}/resume")["data"]
        print_data(found, [f"{found['id']} fires next at {found['next_at']}"], json)


@app.command()
def fire(schedule_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Run it now, over the window that ends now; prints the experiment's id."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(schedule_id)}/fire")["data"]
        print_data(found, [found["id"]], json)


@app.command()
def delete(schedule_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Delete a schedule. Its experiments stay."""
    with reporting():
        found = connect(url, key, data_dir).send("DELETE", _path(schedule_id))["data"]
        print_data(found, [f"{found['id']} is deleted"], json)


def _read(file: Path) -> Row:
    try:
        found = json_text.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise ModeluxError("usage", f"{file} cannot be read: {error}", hint="Name a file of JSON.") from None
    if not isinstance(found, dict):
        raise ModeluxError("usage", f"{file} holds no JSON object", hint="See docs/schedules.md for one.")
    return found


def _needed(written: str, option: str) -> str:
    if not written.strip():
        raise ModeluxError("usage", f"{option} is missing", hint="Give it, or a whole schedule with --file.")
    return written


def _when(cron: str, window: str, alarm: str) -> Row:
    return {"cron": _needed(cron, "--cron"), "window": _span(window), "alarm": _alarm(alarm)}


def _span(written: str) -> str:
    if not _SPAN.fullmatch(written.strip()):
        raise ModeluxError("usage", f"--window {written!r} is no stretch of time", hint="Write 30m, 24h, 7d or 2w.")
    return written.strip()


def _alarm(written: str) -> Row:
    failures, _, of = written.partition("/")
    try:
        return {"failures": int(failures), "of": int(of)}
    except ValueError:
        raise ModeluxError("usage", f"--alarm {written!r} is no rule", hint="Write 2/3: two of three runs.") from None


def _path(schedule_id: str) -> str:
    return f"/experiment-schedules/{quote(schedule_id, safe='')}"
