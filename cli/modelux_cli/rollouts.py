"""`modelux rollouts`: give a promoted candidate its traffic in steps, with guards."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

import typer

from modelux_cli.api import connect, given, reporting
from modelux_cli.management import DataDir, Json, Key, Limit, Url, pages, print_data
from modelux_cli.pass_if import criteria
from routing_core.errors import ModeluxError

app = typer.Typer(
    name="rollouts",
    help="Give a promoted candidate its traffic in steps, and take it back where it does harm.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Id = Annotated[str, typer.Argument(help="The rollout's id.", metavar="ROLLOUT_ID")]


@app.command()
def start(
    experiment_id: Annotated[str, typer.Argument(help="It was promoted with --ab-test.", metavar="EXPERIMENT_ID")],
    routing_config: Annotated[str, typer.Option(help="Id. Left out: where it was promoted to.")] = "",
    steps: Annotated[str, typer.Option(help="Shares in percent, the last one 100.")] = "5,25,50,100",
    step_seconds: Annotated[int, typer.Option(help="Least time of a step.")] = 600,
    step_requests: Annotated[int, typer.Option(help="Least requests of the candidate at a step.")] = 200,
    guard: Annotated[
        list[str] | None,
        typer.Option(help="E.g. 'p95_latency_delta_pct <= 20'; repeatable. Left out: errors within 1 point, p95 20 %."),
    ] = None,
    min_sample: Annotated[int, typer.Option(min=0, help="Requests of each arm before a guard holds.")] = 0,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Start a rollout and print its id. Its first step is made at once."""
    with reporting():
        body: dict[str, Any] = {
            "experimentId": experiment_id,
            "routingConfigId": routing_config,
            "steps": _steps(steps),
        }
        body |= {"stepSeconds": step_seconds, "stepRequests": step_requests}
        body["guards"] = criteria(guard or (), any_of=False, min_sample=min_sample)
        made = connect(url, key, data_dir).send("POST", "/rollouts", given(body))["data"]
        print_data(made, [made["id"]], json)


@app.command("list")
def list_rollouts(
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
    limit: Limit = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List the rollouts, newest first."""
    from modelux_cli.rollout_text import rollout_table

    with reporting():
        rows = list(pages(connect(url, key, data_dir), "/rollouts", {"project_id": project}, limit))
        print_data(rows, rollout_table(rows), json)


@app.command()
def show(rollout_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Show a rollout: its steps so far, why it took them, and what it waits for."""
    from modelux_cli.rollout_text import rollout_lines

    with reporting():
        found = connect(url, key, data_dir).get(_path(rollout_id))["data"]
        print_data(found, rollout_lines(found), json)


@app.command()
def cancel(rollout_id: _Id, json: Json = False, url: Url = "", key: Key = "", data_dir: DataDir = None) -> None:
    """Stop stepping. The candidate keeps the share that it has."""
    with reporting():
        found = connect(url, key, data_dir).send("POST", f"{_path(rollout_id)}/cancel")["data"]
        print_data(found, [f"{found['id']}: {found['status_reason']}"], json)


def _steps(written: str) -> list[int]:
    try:
        return [int(each) for each in written.split(",")]
    except ValueError:
        hint = "Write percentages, such as 5,25,50,100."
        raise ModeluxError("usage", f"--steps {written!r} is no list of percentages", hint=hint) from None


def _path(rollout_id: str) -> str:
    return f"/rollouts/{quote(rollout_id, safe='')}"
