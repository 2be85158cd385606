"""`modelux experiments`: replay logged traffic under a candidate, look at what changes, promote the candidate."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

import typer

from modelux_cli import experiment_request as request
from modelux_cli import judge_runs
from modelux_cli.api import connect, given, only_project, reporting
from modelux_cli.management import PAGE, DataDir, Json, Key, Limit, Row, Url, pages, print_data, terminal_width
from modelux_cli.pass_if import AnyOf, MinSample, PassIf, criteria

app = typer.Typer(
    name="experiments",
    help="Replay logged traffic under a candidate, look at what changes, promote it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
app.add_typer(judge_runs.app, name="judge")
app.command("label")(judge_runs.label)

_ANSWERS_PAGE = 50
"""The most rows that the API gives at once with their answers."""
_Id = Annotated[str, typer.Argument(help="The experiment's id.", metavar="EXPERIMENT_ID")]
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
    pass_if: PassIf = None,
    any_of: AnyOf = False,
    min_sample: MinSample = 0,
    project: request.Project = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Start an experiment and print its id. `modelux simulate` also waits for what it finds."""
    with reporting():
        within = request.window(replay, start, end, datetime.now(UTC))
        chosen = request.only(tag, only_model, only_provider, only_config, only_status, end_user)
        api = connect(url, key, data_dir)
        body = request.wanted(api, config, within, chosen, by, project)
        body |= request.paid(sample, method, sample_tag, call_unchanged, aa_share, pilot, spend_cap)
        body |= given({"name": name or f"{config.strip()} over {within.words}"[:200], "hypothesis": hypothesis})
        body |= given({"successCriteria": criteria(pass_if or (), any_of=any_of, min_sample=min_sample)})
        made = api.send("POST", "/experiments", body)["data"]
        print_data(made, [made["id"]], json)


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
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
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
        print_data(found["data"], preflight_lines(found["data"]), json)


@app.command("list")
def list_experiments(
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    status: Annotated[str, typer.Option(help="pending, running, completed, failed or cancelled.")] = "",
    limit: Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List the experiments, newest first."""
    from modelux_cli.experiment_text import experiment_table

    with reporting():
        filters = {"project_id": project, "status": status}
        rows = list(pages(connect(url, key, data_dir), "/experiments", filters, limit))
        print_data(rows, experiment_table(rows), json)


@app.command("get", hidden=True)
@app.command()
def show(experiment_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Show one experiment: what it found, and its verdict where it has success criteria."""
    from modelux_cli.experiment_text import experiment_lines

    with reporting():
        found = connect(url, key, data_dir).get(_path(experiment_id))["data"]
        print_data(found, experiment_lines(found, terminal_width()), json)


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
    answers: Annotated[bool, typer.Option("--answers", help="What was asked, and both answers side by side.")] = False,
    limit: Limit = 20,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
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
        filters |= {"include": "answers"} if answers else {}
        path, page = f"{_path(experiment_id)}/results", _ANSWERS_PAGE if answers else PAGE
        rows = list(pages(connect(url, key, data_dir), path, filters, limit, page=page))
        if answers:
            from modelux_cli.answer_text import answer_lines

            print_data(rows, answer_lines(rows, terminal_width()), json)
        else:
            print_data(rows, result_table(rows), json)


@app.command()
def histogram(
    experiment_id: _Id,
    threshold: Annotated[float, typer.Option(help="From here on answers agree.", min=0, max=1)] = 0.85,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Show how alike the answers of both sides are, where they were compared."""
    from modelux_cli.experiment_text import histogram_lines

    with reporting():
        path = f"{_path(experiment_id)}/similarity-histogram"
        found = connect(url, key, data_dir).get(path, {"threshold": threshold})["data"]
        print_data(found, histogram_lines(found, terminal_width() or 78), json)


@app.command()
def cancel(experiment_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """End an experiment. One that has ended stays as it is."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(experiment_id)}/cancel")["data"]
        print_data(found, [f"{found['id']} is {found['status']}"], json)


@app.command()
def promote(
    experiment_id: _Id,
    to: Annotated[str, typer.Option(help="The routing config that gets the candidate, `@slug` or its id.")] = "",
    ab_test: Annotated[
        float | None, typer.Option(help="Give the candidate this share of the traffic, e.g. 0.1, not all.")
    ] = None,
    note: Annotated[str, typer.Option(help="Why; kept with the version.")] = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Make the candidate a new, active version of a routing config; left out, of @production."""
    from modelux_cli.experiment_text import promoted_lines

    with reporting():
        body: Row = {"routingConfigId" if to.startswith("cfg_") else "slug": to, "note": note}
        body |= {} if ab_test is None else {"mode": "ab_test", "weight": ab_test}
        path = f"{_path(experiment_id)}/promote"
        found = connect(url, key, data_dir).send("POST", path, given(body))["data"]
        print_data(found, promoted_lines(found["promotion"]), json)


@app.command()
def scorecard(
    project: request.Project = "", json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None
) -> None:
    """Show how well experiments projected what their promoted candidates then cost and took."""
    from modelux_cli.scorecard_text import scorecard_lines

    with reporting():
        api = connect(url, key, data_dir)
        found = api.get("/experiments/scorecard", {"project_id": project or only_project(api)})["data"]
        print_data(found, scorecard_lines(found), json)


def _path(experiment_id: str) -> str:
    return f"/experiments/{quote(experiment_id, safe='')}"
