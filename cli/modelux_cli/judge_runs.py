"""`modelux experiments judge` and `label`: have a third model say which answers are better, and check it yourself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer

from modelux_cli.api import connect, reporting
from modelux_cli.management import DataDir, Json, Key, Limit, Row, Url, pages, print_data
from routing_core.errors import ModeluxError

app = typer.Typer(
    name="judge",
    help="Have a third model say which answers of an experiment are better.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Experiment = Annotated[str, typer.Argument(help="The experiment's id.", metavar="EXPERIMENT_ID")]
_Run = Annotated[str, typer.Argument(help="The judge run's id.", metavar="JUDGE_RUN_ID")]
_Model = Annotated[str, typer.Option(help="The judge: a model, `model:provider` or `@slug`. Left out: gpt-4o.")]
_Rubric = Annotated[str, typer.Option(help="When an answer is better, in words; or `@file`.")]
_Pairs = Annotated[int | None, typer.Option(help="Pairs of this bucket. Left out of all three: 100 each.")]
_Neyman = Annotated[bool, typer.Option("--neyman", help="Split the sum so that the traffic's rate is sharp.")]
_Cuts = Annotated[str, typer.Option(help="Where the buckets begin, `0.95,0.80`.")]
_Orders = Annotated[str, typer.Option(help="both: each pair is asked twice; random: once, in an order drawn by lot.")]


@app.command()
def preflight(
    experiment_id: _Experiment,
    model: _Model = "",
    rubric: _Rubric = "",
    high: _Pairs = None,
    mild: _Pairs = None,
    major: _Pairs = None,
    neyman: _Neyman = False,
    cuts: _Cuts = "",
    orders: _Orders = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Tell what a judge run would judge and cost, without starting it."""
    from modelux_cli.judge_text import preflight_lines

    with reporting():
        body = _wanted(model, rubric, (high, mild, major), neyman, cuts, orders)
        path = f"{_path(experiment_id)}/preflight"
        found = connect(url, key, data_dir).send("POST", path, body)["data"]
        print_data(found, preflight_lines(found), json)


@app.command()
def run(
    experiment_id: _Experiment,
    model: _Model = "",
    rubric: _Rubric = "",
    high: _Pairs = None,
    mild: _Pairs = None,
    major: _Pairs = None,
    neyman: _Neyman = False,
    cuts: _Cuts = "",
    orders: _Orders = "",
    spend_cap: Annotated[str, typer.Option(help="USD, e.g. 4.20. Left out: the project's own cap.")] = "",
    stop_when_worse: Annotated[
        float | None,
        typer.Option(help="End once it is decided whether less than this percentage of the traffic gets worse."),
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait for its end, with a bar.")] = True,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Judge pairs of a completed experiment with responses. This costs money."""
    from modelux_cli.experiment_progress import wait_for
    from modelux_cli.judge_text import run_lines

    with reporting():
        body = _wanted(model, rubric, (high, mild, major), neyman, cuts, orders)
        body |= {"spendCapUsd": spend_cap} if spend_cap else {}
        body |= {} if stop_when_worse is None else {"stopWhenDecided": {"worsePct": stop_when_worse}}
        api = connect(url, key, data_dir)
        found = api.send("POST", _path(experiment_id), body)["data"]
        if wait:
            command = f"modelux experiments judge show {experiment_id} {found['id']}"
            found = wait_for(api, _path(experiment_id, found["id"]), found, command, _progress)
        print_data(found, run_lines(found), json)
        if wait and found["status"] == "failed":
            raise ModeluxError("failed", f"{found['id']} failed: {found['status_reason']}")


@app.command()
def show(
    experiment_id: _Experiment,
    judge_run_id: _Run,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Show a judge run and what it found."""
    from modelux_cli.judge_text import run_lines

    with reporting():
        found = connect(url, key, data_dir).get(_path(experiment_id, judge_run_id))["data"]
        print_data(found, run_lines(found), json)


@app.command("list")
def list_runs(
    experiment_id: _Experiment,
    limit: Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List an experiment's judge runs, newest first."""
    from modelux_cli.judge_text import run_table

    with reporting():
        rows = list(pages(connect(url, key, data_dir), _path(experiment_id), {}, limit))
        print_data(rows, run_table(rows), json)


@app.command()
def results(
    experiment_id: _Experiment,
    judge_run_id: _Run,
    verdict: Annotated[str, typer.Option(help="better, equivalent, worse, parse_error, steered, failed.")] = "",
    bucket: Annotated[str, typer.Option(help="high, mild or major.")] = "",
    inconsistent: Annotated[bool, typer.Option("--inconsistent", help="Only where the orders disagree.")] = False,
    limit: Limit = 20,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List the judged pairs, each with the judge's reason."""
    from modelux_cli.judge_text import result_table

    with reporting():
        filters: Row = {"verdict": verdict, "bucket": bucket, "consistent": "false" if inconsistent else ""}
        path = f"{_path(experiment_id, judge_run_id)}/results"
        rows = list(pages(connect(url, key, data_dir), path, filters, limit))
        print_data(rows, result_table(rows), json)


@app.command()
def cancel(
    experiment_id: _Experiment,
    judge_run_id: _Run,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Stop a judge run; what came in is summed up. One that has ended stays as it is."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(experiment_id, judge_run_id)}/cancel")["data"]
        stopping = "is being stopped" if found["status"] == "running" else f"is {found['status']}"
        print_data(found, [f"{found['id']} {stopping}"], json)


@app.command()
def agreement(
    experiment_id: _Experiment,
    judge_run_id: _Run,
    other: Annotated[str, typer.Argument(help="Another run of the experiment.", metavar="OTHER_RUN_ID")],
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Tell how far two judge runs agree on the same pairs."""
    from modelux_cli.judge_text import agreement_lines

    with reporting():
        path = f"{_path(experiment_id, judge_run_id)}/agreement"
        found = connect(url, key, data_dir).get(path, {"with": other})["data"]
        print_data(found, agreement_lines(found), json)


def label(
    experiment_id: _Experiment,
    judge_run_id: _Run,
    labeller: Annotated[str, typer.Option(help="Who labels. Left out: the management key.")] = "",
    token: Annotated[str, typer.Option(help="Label this pair and end; with --verdict.")] = "",
    verdict: Annotated[str, typer.Option(help="first, second or equal.")] = "",
    note: Annotated[str, typer.Option(help="Why; with --verdict.")] = "",
    limit: Annotated[int, typer.Option(help="Pairs to show.", min=1, max=50)] = 10,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Label pairs of a judge run, without knowing whose answer is whose: its rates are corrected by what you say.

    With --json the next pairs are printed; label each with --token and --verdict.
    """
    from modelux_cli.judge_text import label_lines
    from modelux_cli.labelling import label_in_turn

    with reporting():
        path, api = f"{_path(experiment_id, judge_run_id)}/labels", connect(url, key, data_dir)
        if token or verdict:
            body = {"token": token, "verdict": verdict, "note": note, "labeller": labeller}
            found = api.send("POST", path, body)["data"]
            print_data(found, label_lines(found), json)
        elif json:
            print_data(api.get(path, {"limit": limit})["data"], [], json)
        else:
            label_in_turn(api, path, labeller, limit)


def _wanted(
    model: str, rubric: str, pairs: tuple[int | None, int | None, int | None], neyman: bool, cuts: str, orders: str
) -> Row:
    body: Row = {"judgeModel": model, "rubric": _text(rubric), "orders": orders}
    named = zip(("high", "mild", "major"), pairs, strict=True)
    stratification: Row = {name: count for name, count in named if count is not None}
    if not stratification and (neyman or cuts):
        stratification = {"high": 100, "mild": 100, "major": 100}
    if neyman:
        stratification["allocation"] = "neyman"
    if cuts:
        stratification["cuts"] = _cuts(cuts)
    body |= {"stratification": stratification} if stratification else {}
    return {name: value for name, value in body.items() if value != ""}


def _cuts(written: str) -> Row:
    try:
        high, mild = (float(part) for part in written.split(","))
    except ValueError:
        hint = "Write the least similarity of high and of mild: --cuts=0.95,0.80."
        raise ModeluxError("usage", f"{written!r} are no two numbers", hint=hint) from None
    return {"high": high, "mild": mild}


def _text(rubric: str) -> str:
    if not rubric.startswith("@"):
        return rubric
    try:
        return Path(rubric[1:]).read_text("utf-8")
    except (OSError, ValueError) as error:
        raise ModeluxError("usage", f"{rubric[1:]!r} cannot be read: {error}", hint="Name a text file.") from None


def _progress(found: Row) -> Row:
    counted = {"rows_total": found["pairs_total"], "rows_done": found["pairs_done"], "unit": "pairs"}
    return counted | {"progress": found["progress"], "status": found["status"]}


def _path(experiment_id: str, judge_run_id: str = "") -> str:
    path = f"/experiments/{quote(experiment_id, safe='')}/judge"
    return f"{path}/{quote(judge_run_id, safe='')}" if judge_run_id else path
