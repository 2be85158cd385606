"""`modelux simulate`: replay recent traffic under a candidate, and print what would change."""

from __future__ import annotations

import json as json_text
import sys
from datetime import UTC, datetime
from typing import Annotated

import typer

from modelux_cli import experiment_request as request
from modelux_cli.api import Api, connect, reporting
from modelux_cli.management import DataDir, Json, Key, Row, Url, terminal_width
from routing_core.errors import ModeluxError

EXIT_FAIL_IF = 3
_INTERRUPTED = 130
_LONGEST_NAME = 200


def simulate(
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
    fail_if: Annotated[
        list[str] | None,
        typer.Option(help="Exit with 3 where this holds, e.g. 'cost_delta_pct > 5'; repeatable."),
    ] = None,
    name: Annotated[str, typer.Option(help="Left out: the candidate and the window.")] = "",
    project: request.Project = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Replay logged traffic under a candidate, wait, and print what changes. Nothing is called, nothing is spent."""
    from modelux_cli.criteria import holding, parse

    with reporting():
        criteria = parse(fail_if or [])
        within = request.window(replay, start, end, datetime.now(UTC))
        chosen = request.only(tag, only_model, only_provider, only_config, only_status, end_user)
        api = connect(url, key, data_dir)
        body = request.wanted(api, config, within, chosen, by, project)
        body["name"] = name or f"{config.strip()} over {within.words}"[:_LONGEST_NAME]
        made = api.send("POST", "/experiments", body)["data"]
        if not json:
            print(f"Replaying {within.words} under {config}...", flush=True)
        found = _ended(api, made)
        held = list(holding(criteria, found))
        if json:
            print(json_text.dumps(found | {"fail_if": held} if criteria else found))
        else:
            _tell(found, per_run=bool(by))
        if by and not found["runs"]:
            print(f"modelux: no request that can be evaluated has the tag {by!r}", file=sys.stderr)
        for each in held:
            print(f"modelux: --fail-if holds: {each}", file=sys.stderr)
        if held:
            raise typer.Exit(EXIT_FAIL_IF)


def _tell(found: Row, *, per_run: bool) -> None:
    """The outcome in words, as wide as the terminal, and what to do next."""
    from modelux_cli.experiment_text import next_lines, outcome_lines

    width = terminal_width()
    for line in (*outcome_lines(found, width, per_run=per_run), *next_lines(found)):
        print(line)


def _ended(api: Api, made: Row) -> Row:
    """The experiment when it is completed. Raises ModeluxError where it ends otherwise."""
    from modelux_cli.experiment_progress import wait

    try:
        found = wait(api, made)
    except KeyboardInterrupt:
        told = f"{made['id']} goes on; `modelux experiments cancel {made['id']}` ends it"
        print(f"modelux: {told}", file=sys.stderr)
        raise typer.Exit(_INTERRUPTED) from None
    if found["status"] != "completed":
        reason = f": {found['status_reason']}" if found["status_reason"] else ""
        raise ModeluxError("experiment_not_completed", f"{found['id']} is {found['status']}{reason}")
    return found
