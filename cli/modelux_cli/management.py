"""What commands on the management API have in common: their options, rows over pages, and how an answer is printed."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from modelux_cli.api import Api

Row = dict[str, Any]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")]
Url = Annotated[str, typer.Option(help="Management API.", envvar="MODELUX_MANAGE_URL")]
Key = Annotated[str, typer.Option(help="Management key.", envvar="MODELUX_MGMT_KEY")]
DataDir = Annotated[Path | None, typer.Option(help="Of a local `modelux up`.", envvar="MODELUX_DATA_DIR")]
Limit = Annotated[int, typer.Option(help="How many.", min=1)]
PAGE = 200
"""The most rows that the API gives at once."""


def pages(api: Api, path: str, filters: Mapping[str, Any], limit: int, *, page: int = PAGE) -> Iterator[Row]:
    """At most `limit` rows, of as many pages as that takes, each of at most `page` rows."""
    cursor, left = "", limit
    while left > 0:
        found = api.get(path, {**filters, "limit": min(left, page), "cursor": cursor})
        yield from found["data"]
        left, cursor = left - len(found["data"]), found["next_cursor"] or ""
        if not cursor or not found["data"]:
            return


def print_data(data: object, lines: Iterable[str], as_json: bool) -> None:
    """The answer as JSON, or the lines that tell it; a word on stderr where there is nothing to tell."""
    if as_json:
        print(json.dumps(data))
    elif not data:
        print("modelux: there are none", file=sys.stderr)
    else:
        for line in lines:
            print(line)


def terminal_width() -> int | None:
    """In columns; None where the output goes elsewhere."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None
