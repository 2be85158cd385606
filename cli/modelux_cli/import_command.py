"""`modelux import`: bring calls that were made elsewhere into the log, from a file of any size."""

from __future__ import annotations

import json as json_text
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from modelux_cli.api import EXIT_REFUSED, Api, connect, only_project, reporting
from modelux_cli.management import DataDir, Json, Key, Url
from routing_core.errors import ModeluxError

if TYPE_CHECKING:
    from modelux_cli.import_pieces import Join, Piece

Report = dict[str, Any]
_TOLD = 10


def import_file(
    file: Annotated[Path, typer.Argument(help="JSONL, or CSV with a header.", exists=True, dir_okay=False)],
    project: Annotated[str, typer.Option(help="Project id; may be left out where there is just one.")] = "",
    preset: Annotated[
        str, typer.Option(help="openai, litellm, langfuse, helicone or modelux; left out, told by the first row.")
    ] = "",
    map: Annotated[list[str] | None, typer.Option(help="`field=column,...` over the preset; repeatable.")] = None,
    source: Annotated[str, typer.Option(help="Name that logs show the rows by; left out, the preset's.")] = "",
    start: Annotated[str, typer.Option(help="Gives times to rows without: from here on, ISO 8601.")] = "",
    spread: Annotated[str, typer.Option(help="Over this span, such as 7d, 24h or 30m.")] = "7d",
    join: Annotated[
        list[str] | None,
        typer.Option(help="`NAME=PATH`: add the columns of another file as NAME.COLUMN; repeatable."),
    ] = None,
    join_on: Annotated[str, typer.Option(help="The column that joined files share.")] = "id",
    strict: Annotated[bool, typer.Option("--strict", help="Import nothing if one row is refused.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and report, import nothing.")] = False,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Import calls that were made elsewhere, each row once however often it is sent."""
    from modelux_cli.import_pieces import parse_join, recognised
    from modelux_cli.import_text import lines

    with reporting():
        api = connect(url, key, data_dir)
        joins = [parse_join(each, join_on) for each in join or []]
        query: dict[str, Any] = {"preset": preset or recognised(file), "map": ",".join(map or []), "source": source}
        query |= {"project_id": project or only_project(api)}
        query |= {"start": start, "spread": spread} if start else {}
        if strict and not dry_run:
            checked = _send(api, file, joins, query | {"dry_run": True})
            if checked["refused"]:
                _show(checked, json, lines(checked))
                print("modelux: --strict: nothing was imported", file=sys.stderr)
                raise typer.Exit(EXIT_REFUSED)
        report = _send(api, file, joins, query | {"dry_run": True} if dry_run else query)
        _show(report, json, lines(report))
        if report["refused"] and (strict or not report["imported"]):
            raise typer.Exit(EXIT_REFUSED)


def _send(api: Api, file: Path, joins: list[Join], query: dict[str, Any]) -> Report:
    """Piece by piece; ends where the first piece holds no row that can be read, as the map is wrong then."""
    from modelux_cli.import_pieces import pieces

    total: Report = {}
    for piece in pieces(file, joins):
        found = _upload(api, piece, query, total)
        total = _sum(total, found)
        if sys.stderr.isatty():
            print(f"\r{total['rows']:,} rows", end="", file=sys.stderr)
        if total is found and found["refused"] == found["rows"]:
            break
    if sys.stderr.isatty():
        print("\r\033[K", end="", file=sys.stderr)
    if not total:
        raise ModeluxError("file_unreadable", f"{file} holds no rows", hint="Give JSONL, or CSV with a header.")
    return total


def _upload(api: Api, piece: Piece, query: dict[str, Any], before: Report) -> Report:
    try:
        sent = query | {"first_row": piece.first_row}
        found: Report = api.upload("/logs/import", sent, piece.content, "application/x-ndjson")["data"]
    except ModeluxError as error:
        if not before or error.code == "usage":
            raise
        hint = f"{before['rows']:,} rows were sent. Run the same again: none is counted twice. {error.hint}".strip()
        raise ModeluxError(error.code, error.message, hint=hint) from None
    # Of the pieces; what the file itself is, whoever names it knows.
    del found["format"]
    found["refused_rows"] = [_placed(row, piece) for row in found["refused_rows"]]
    return found


def _placed(row: Report, piece: Piece) -> Report:
    """A refused row by its line in the file, with what we know of it."""
    line = piece.lines[row["line"] - 1]
    flaw = piece.flaws.get(line)
    if flaw is None:
        return row | {"line": line}
    return {"line": line, "field": flaw.field or None, "message": flaw.message, "hint": flaw.hint or None}


def _sum(total: Report, found: Report) -> Report:
    """Two reports of the same file as one."""
    if not total:
        return found
    counts = ("rows", "imported", "left_out", "refused", "without_latency")
    models = {(each["provider"], each["model"]): dict(each) for each in total["models"]}
    for each in found["models"]:
        known = models.get((each["provider"], each["model"]))
        models[each["provider"], each["model"]] = each if known is None else _added(known, each)
    times = {name: [each for each in (total[name], found[name]) if each] for name in ("first", "last")}
    return {
        **found,
        **{name: total[name] + found[name] for name in counts},
        "refused_rows": [*total["refused_rows"], *found["refused_rows"]][:_TOLD],
        "empty_fields": [name for name in total["empty_fields"] if name in found["empty_fields"]],
        "first": min(times["first"], default=None),
        "last": max(times["last"], default=None),
        "models": [models[name] for name in sorted(models)],
    }


def _added(known: Report, more: Report) -> Report:
    """Whole nano-dollars stay so: sums of floats are rounded to them."""
    return {name: value if isinstance(value, str) else round(value + more[name], 9) for name, value in known.items()}


def _show(report: Report, as_json: bool, text: Any) -> None:
    for line in [json_text.dumps(report)] if as_json else text:
        print(line)
