"""The `modelux` command. Heavy imports happen inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    name="modelux",
    help="An open LLM control plane: route by versioned policy, cap spend, explain every request.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


@app.command()
def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.", envvar="MODELUX_DATA_DIR")] = None,
    port: Annotated[int, typer.Option(help="Port of the proxy; the management API takes the next one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Simulated providers, configs and traffic.")] = False,
) -> None:
    """Start everything on this machine and keep it running."""
    from modelux_cli.up.command import Options, default_data_dir, run_up

    raise typer.Exit(run_up(Options(data_dir or default_data_dir(), host, port, json, demo)))


@app.command()
def run(services: Annotated[list[str], typer.Argument(help="Names of services, e.g. proxy config ingest.")]) -> None:
    """Run services in this process (what the Helm chart calls)."""
    from modelux_cli.services import SERVICES, load_service

    unknown = [name for name in services if name not in SERVICES]
    if unknown:
        print(f"modelux: no service {unknown[0]!r}. There are: {', '.join(SERVICES)}.", file=sys.stderr)
        raise typer.Exit(2)
    from modelux_runtime.run import main as run_services

    raise typer.Exit(run_services([load_service(name) for name in services]))


def main() -> None:
    """Entry point of the `modelux` script."""
    app()


if __name__ == "__main__":
    main()
