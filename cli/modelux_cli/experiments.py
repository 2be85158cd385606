"""`modelux experiments`: replay logged traffic under a candidate, look at what changes, promote the candidate."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from modelux_cli import experiment_request as request
from modelux_cli import judge_runs
from modelux_cli.api import Api, connect, only_project, reporting

app = typer.Typer(
    name="experiments",
    help="Replay logged traffic under a candidate, look at what changes, promote it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(judge_runs.app, name="judge")
app.command("label")(judge_runs.label)

Row = dict[str, Any]
_PAGE = 200
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
_Url = Annotated[str, typer.Option(help="Management API.", envvar="MODELUX_MANAGE_URL")]
_Key = Annotated[str, typer.Option(help="Management key.", envvar="MODELUX_MGMT_KEY")]
_Data = Annotated[Path | None, typer.Option(help="Of a local `modelux up`.", envvar="MODELUX_DATA_DIR")]
_Id = Annotated[str, typer.Argument(help="The experiment's id.", metavar="EXPERIMENT_ID")]
_Limit = Annotated[int, typer.Option(help="How many.", min=1)]
_Share = Annotated[float | None, typer.Option(min=0, max=1, help="Only pairs that are scored so.")]


@app.command()
def create(
    config: request.Config,
    replay: request.Replay = "24h",
    start: request.Start = "",
    end: request.End = "",
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
    name: Annotated[str, typer.Option(help="Left out: the candidate and the window.")] = "",
    hypothesis: Annotated[str, typer.Option(help="What it is meant to answer; shown beside the result.")] = "",
    project: request.Project = "",
    json: _Json = False,
    url: _Url = "",
    key: _Key = "",
    data_dir: _Data = None,
) -> None:
    """Start an experiment and print its id. `modelux simulate` also waits for what it finds."""
    with reporting():
        within = request.window(replay, start, end, datetime.now(UTC))
        chosen = request.only(tag, only_model, only_provider, only_config, only_status, end_user)
        api = connect(url, key, data_dir)
        body = request.wanted(api, config, within, chosen, by, project)
        body |= request.paid(sample, method, sample_tag, call_unchanged, aa_share, pilot, spend_cap)
        body |= request.given({"name": name or f"{config.strip()} over {within.words}"[:200], "hypothesis": hypothesis})
        made = api.send("POST", "/experiments", body)["data"]
        _show(made, [made["id"]], json)


@app.command()
def preflight(
    config: request.Config,
    replay: request.Replay = "24h",
    start: request.Start = "",
    end: request.End = "",
    tag: request.Tag = None,
    only_model: request.OnlyModel = "",
    only_provider: request.OnlyProvider = "",
    only_config: request.OnlyConfig = "",
    only_status: request.OnlyStatus = "",
    end_user: request.EndUser = "",
    sample: request.SampleSize = 0,
    method: request.Method = "",
    sample_tag: request.SampleTag = "",
    call_unchanged: request.CallUnchanged = False,
    aa_share: request.AaShare = 0.0,
    pilot: request.Pilot = 0,
    spend_cap: request.SpendCap = "",
    project: request.Project = "",
    json: _Json = False,
    url: _Url = "",
    key: _Key = "",
    data_dir: _Data = None,
) -> None:
    """Check an experiment and tell what it would replay, call and cost, without starting it."""
    from modelux_cli.experiment_text import preflight_lines

    with reporting():
        within = request.window(replay, start, end, datetime.now(UTC))
        chosen = request.only(tag, only_model, only_provider, only_config, only_status, end_user)
        api = connect(url, key, data_dir)
        body = request.wanted(api, config, within, chosen, "", project)
        body |= request.paid(sample, method, sample_tag, call_unchanged, aa_share, pilot, spend_cap)
        found = api.send("POST", "/experiments/preflight", body)
        _show(found["data"], preflight_lines(found["data"]), json)


@app.command("list")
def list_experiments(
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    status: Annotated[str, typer.Option(help="pending, running, completed, failed or cancelled.")] = "",
    limit: _Limit = 50,
    json: _Json = False,
    url: _Url = "",
    key: _Key = "",
    data_dir: _Data = None,
) -> None:
    """List the experiments, newest first."""
    from modelux_cli.experiment_text import experiment_table

    with reporting():
        filters = {"project_id": project, "status": status}
        rows = list(_pages(connect(url, key, data_dir), "/experiments", filters, limit))
        _show(rows, experiment_table(rows), json)


@app.command()
def get(experiment_id: _Id, json: _Json = False, url: _Url = "", key: _Key = "", data_dir: _Data = None) -> None:
    """Show one experiment and what it found."""
    from modelux_cli.experiment_text import experiment_lines

    with reporting():
        found = connect(url, key, data_dir).get(_path(experiment_id))["data"]
        _show(found, experiment_lines(found, _width()), json)


@app.command()
def results(
    experiment_id: _Id,
    sort: Annotated[
        str, typer.Option(help="similarity, cost_delta or timestamp, each with _asc or _desc.")
    ] = "timestamp_desc",
    status: Annotated[str, typer.Option(help="Of the candidate: ok, error or any.")] = "",
    evidence: Annotated[str, typer.Option(help="observed, reused, projected or not_evaluable.")] = "",
    model: Annotated[str, typer.Option(help="Only where the candidate chose this model.")] = "",
    run: Annotated[str, typer.Option(help="Only of this run.")] = "",
    min_similarity: _Share = None,
    max_similarity: _Share = None,
    limit: _Limit = 20,
    json: _Json = False,
    url: _Url = "",
    key: _Key = "",
    data_dir: _Data = None,
) -> None:
    """List the replayed requests: what happened, and what happens under the candidate."""
    from modelux_cli.experiment_text import result_table

    with reporting():
        filters: Row = {
            "sort": sort,
            "candidate_status": status,
            "evidence": evidence,
            "candidate_model": model,
            "run": run,
        }
        filters |= {"min_similarity": min_similarity, "max_similarity": max_similarity}
        path = f"{_path(experiment_id)}/results"
        rows = list(_pages(connect(url, key, data_dir), path, filters, limit))
        _show(rows, result_table(rows), json)


@app.command()
def histogram(
    experiment_id: _Id,
    threshold: Annotated[float, typer.Option(help="From here on answers agree.", min=0, max=1)] = 0.85,
    json: _Json = False,
    url: _Url = "",
    key: _Key = "",
    data_dir: _Data = None,
) -> None:
    """Show how alike the answers of both sides are, where they were compared."""
    from modelux_cli.experiment_text import histogram_lines

    with reporting():
        path = f"{_path(experiment_id)}/similarity-histogram"
        found = connect(url, key, data_dir).get(path, {"threshold": threshold})["data"]
        _show(found, histogram_lines(found, _width() or 78), json)


@app.command()
def cancel(experiment_id: _Id, json: _Json = False, url: _Url = "", key: _Key = "", data_dir: _Data = None) -> None:
    """End an experiment. One that has ended stays as it is."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(experiment_id)}/cancel")["data"]
        _show(found, [f"{found['id']} is {found['status']}"], json)


@app.command()
def promote(
    experiment_id: _Id,
    to: Annotated[str, typer.Option(help="The routing config that gets the candidate, `@slug` or its id.")] = "",
    ab_test: Annotated[
        float | None, typer.Option(help="Give the candidate this share of the traffic, e.g. 0.1, not all.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
    json: _Json = False,
    url: _Url = "",
    key: _Key = "",
    data_dir: _Data = None,
) -> None:
    """Make the candidate a new, active version of a routing config; left out, of @production."""
    from modelux_cli.experiment_text import promoted_lines

    with reporting():
        body: Row = {"routingConfigId" if to.startswith("cfg_") else "slug": to, "note": note}
        body |= {} if ab_test is None else {"mode": "ab_test", "weight": ab_test}
        path = f"{_path(experiment_id)}/promote"
        found = connect(url, key, data_dir).send("POST", path, request.given(body))["data"]
        _show(found, promoted_lines(found["promotion"]), json)


@app.command()
def scorecard(
    project: request.Project = "", json: _Json = False, url: _Url = "", key: _Key = "", data_dir: _Data = None
) -> None:
    """Show how well experiments projected what their promoted candidates then cost and took."""
    from modelux_cli.scorecard_text import scorecard_lines

    with reporting():
        api = connect(url, key, data_dir)
        found = api.get("/experiments/scorecard", {"project_id": project or only_project(api)})["data"]
        _show(found, scorecard_lines(found), json)


def _pages(api: Api, path: str, filters: Mapping[str, Any], limit: int) -> Iterator[Row]:
    """At most `limit` rows, of as many pages as that takes."""
    cursor, left = "", limit
    while left > 0:
        page = api.get(path, {**filters, "limit": min(left, _PAGE), "cursor": cursor})
        yield from page["data"]
        left, cursor = left - len(page["data"]), page["next_cursor"] or ""
        if not cursor or not page["data"]:
            return


def _path(experiment_id: str) -> str:
    return f"/experiments/{quote(experiment_id, safe='')}"


def _width() -> int | None:
    """Of the terminal; None where there is none."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _show(data: object, lines: Iterable[str], as_json: bool) -> None:
    if as_json:
        print(json.dumps(data))
        return
    if not data:
        print("modelux: there are none", file=sys.stderr)
        return
    for line in lines:
        print(line)
