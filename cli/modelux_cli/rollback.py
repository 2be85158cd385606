"""`modelux rollback`: make the version of a routing config that was active before the active one again."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import typer

from modelux_cli.api import Api, connect, reporting
from modelux_cli.management import DataDir, Json, Key, Row, Url, print_data
from routing_core.errors import ModeluxError


def rollback(
    slug: Annotated[str, typer.Argument(help="The routing config: `@slug`, `slug` or its id.", metavar="SLUG")],
    to: Annotated[int, typer.Option(help="This version. Left out: the one that was active before.", min=0)] = 0,
    project: Annotated[str, typer.Option(help="Project id, where several projects have this slug.")] = "",
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Go back to the version of a routing config that was active before; again, to the one before that."""
    with reporting():
        api = connect(url, key, data_dir)
        before = _found(api, slug.removeprefix("@"), project)
        path = f"/routing-configs/{quote(before['id'], safe='')}/rollback"
        after = api.send("POST", path, {"version": to} if to else {})["data"]
        told = f"@{after['slug']}:{after['active_version']} is live"
        replaced = before["active_version"] != after["active_version"]
        print_data(after, [f"{told}, in place of version {before['active_version']}" if replaced else told], json)


def _found(api: Api, name: str, project: str) -> Row:
    """The routing config of a slug or an id. Raises ModeluxError."""
    if name.startswith("cfg_"):
        found: Row = api.get(f"/routing-configs/{quote(name, safe='')}")["data"]
        return found
    rows = api.get("/routing-configs", {"slug": name, "project_id": project, "limit": 2})["data"] if name else []
    if not rows:
        raise ModeluxError("usage", f"there is no routing config @{name}", hint="Name one as `@slug`, or by its id.")
    if len(rows) > 1:
        raise ModeluxError("usage", f"several projects have a routing config @{name}", hint="Name one with --project.")
    return dict(rows[0])
