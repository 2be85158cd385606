"""The `modelux` command. Heavy imports happen inside the commands, so that `--help` answers at once."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from modelux_cli import (
    budgets,
    embeddings,
    experiments,
    import_command,
    prices,
    rollback,
    rollouts,
    schedules,
    simulate,
)

app = typer.Typer(
    name="modelux",
    help="An open LLM control plane: route by versioned policy, cap spend, explain every request.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.add_typer(budgets.app, name="budgets")
app.add_typer(budgets.app, name="budget", hidden=True)
app.add_typer(prices.app, name="prices")
app.add_typer(embeddings.app, name="embeddings")
app.add_typer(experiments.app, name="experiments")
app.add_typer(schedules.app, name="schedules")
app.add_typer(rollouts.app, name="rollouts")
app.command("simulate")(simulate.simulate)
app.command("rollback")(rollback.rollback)
app.command("import")(import_command.import_file)


@app.command()
def up(
    data_dir: Annotated[Path | None, typer.Option(help="Where everything is kept.", envvar="MODELUX_DATA_DIR")] = None,
    port: Annotated[int, typer.Option(help="Port of the proxy; the management API takes the next one.")] = 8080,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
    demo: Annotated[bool, typer.Option("--demo", help="Simulated providers, configs and traffic.")] = False,
) -> None:
    """Start everything on this machine and keep it running."""
    from modelux_cli.api import default_data_dir
    from modelux_cli.up.command import Options, run_up

    raise typer.Exit(run_up(Options(data_dir or default_data_dir(demo=demo), host, port, json, demo)))


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


@app.command()
def simulator(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0 takes a free one, which is printed.")] = 0,
    scenario: Annotated[Path | None, typer.Option(help="JSON file that scripts latencies, errors and faults.")] = None,
    recorded: Annotated[list[Path] | None, typer.Option(help="JSONL file of recorded answers; repeatable.")] = None,
    demo: Annotated[bool, typer.Option("--demo", help="Behave like the demo's providers.")] = False,
) -> None:
    """Simulate the providers: OpenAI, Anthropic and Gemini on one port, with scripted behaviour."""
    from modelux_cli.simulate_providers import run_simulator

    raise typer.Exit(run_simulator(host, port, scenario, recorded or [], demo))


@app.command()
def logs(
    trace: Annotated[str, typer.Option("--trace", help="Explain one request by its id.", metavar="REQUEST_ID")] = "",
    model: Annotated[str, typer.Option(help="Only calls that this model answered.")] = "",
    tag: Annotated[list[str] | None, typer.Option(help="Only calls with this tag, `key=value`; repeatable.")] = None,
    status: Annotated[int | None, typer.Option(help="Only calls answered with this HTTP status.")] = None,
    source: Annotated[str, typer.Option(help="Only calls of this origin: a name of imports, or `experiment`.")] = "",
    limit: Annotated[int, typer.Option(help="How many.", min=1, max=200)] = 20,
    json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    url: Annotated[str, typer.Option(help="Management API.", envvar="MODELUX_MANAGE_URL")] = "",
    key: Annotated[str, typer.Option(help="Management key.", envvar="MODELUX_MGMT_KEY")] = "",
    data_dir: Annotated[Path | None, typer.Option(help="Of a local `modelux up`.", envvar="MODELUX_DATA_DIR")] = None,
) -> None:
    """List logged requests, newest first, or explain one."""
    from modelux_cli.api import connect, reporting
    from modelux_cli.logs import list_logs, show_trace

    with reporting():
        api = connect(url, key, data_dir)
        if trace:
            show_trace(api, trace, json)
        else:
            wanted = {"model": model, "status": status, "source": source, "limit": limit}
            list_logs(api, wanted, tag or [], json)


def main() -> None:
    """Entry point of the `modelux` script."""
    app()


if __name__ == "__main__":
    main()
