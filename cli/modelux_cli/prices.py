"""`modelux prices`: list the prices you set, and price logged usage again."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from modelux_cli import price_text as text
from modelux_cli.api import connect, given, reporting
from modelux_cli.management import DataDir, Json, Key, Url, print_data
from routing_core.errors import ModeluxError

app = typer.Typer(
    name="prices",
    help="List the prices you set, and price logged usage again.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Suppose = Annotated[
    list[str] | None,
    typer.Option(help="A price to suppose, `PROVIDER/MODEL=INPUT,OUTPUT[,CACHE_READ[,CACHE_WRITE]]`; repeatable."),
]


@app.command("list")
def list_prices(
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=200)] = 50,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """List the prices you set over the built-in table, with the names that logs tell them by."""
    with reporting():
        rows = connect(url, key, data_dir).get("/prices", {"limit": limit})["data"]
        print_data(rows, text.price_table(rows), json)


@app.command()
def reprice(
    start: Annotated[str, typer.Option(help="Requests that began at or after, e.g. 2026-04-01T00:00:00Z.")],
    end: Annotated[str, typer.Option(help="Requests that began before. Left out: until now.")] = "",
    project: Annotated[str, typer.Option(help="Only of this project, by its id.")] = "",
    as_of: Annotated[str, typer.Option(help="At the prices in force then, or `call`: at each call's own time.")] = "",
    suppose: _Suppose = None,
    json: Json = False,
    url: Url = "",
    key: Key = "",
    data_dir: DataDir = None,
) -> None:
    """Tell what logged usage would have cost at other prices; left out, at those of now. Nothing is changed."""
    with reporting():
        body: dict[str, Any] = {"start": start, "end": end, "projectId": project}
        body |= {"asOfCall": True} if as_of == "call" else {"asOf": as_of}
        body |= {"supposed": [supposed(each) for each in suppose or []] or None}
        found = connect(url, key, data_dir).send("POST", "/prices/reprice", given(body))["data"]
        print_data(found, text.repriced_lines(found), json)


def supposed(written: str) -> dict[str, str]:
    """A price as the API takes it. The model may itself hold slashes. Raises ModeluxError."""
    name, equals, amounts = written.rpartition("=")
    provider, slash, model = name.partition("/")
    values = [each.strip().removeprefix("$") for each in amounts.split(",")]
    if not (equals and slash and provider and model) or not 2 <= len(values) <= len(_AMOUNTS) or not all(values):
        hint = "Write dollars per million tokens, such as openai/gpt-4o=2.5,10 or openai/gpt-4o=2.5,10,1.25."
        raise ModeluxError("usage", f"{written!r} is not a price", hint=hint)
    return {"provider": provider, "model": model} | dict(zip(_AMOUNTS, values, strict=False))


_AMOUNTS = ("inputUsdPerMillion", "outputUsdPerMillion", "cacheReadUsdPerMillion", "cacheWriteUsdPerMillion")
