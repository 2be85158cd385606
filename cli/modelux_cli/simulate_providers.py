"""`modelux simulator`: the simulated providers as a process."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import uvloop

from modelux_cli.up.scenario import demo as demo_scenario
from modelux_providers.simulator.scenario import InvalidScenario, Scenario, load
from modelux_providers.simulator.server import serve


def run_simulator(host: str, port: int, scenario: Path | None, recorded: Sequence[Path], demo: bool) -> int:
    """Serves until SIGTERM or Ctrl-C. Exit 2 where the scenario, a recording or the port is refused."""
    try:
        chosen = load(scenario) if scenario else demo_scenario() if demo else Scenario()
        uvloop.run(_run(host, port, chosen, recorded))
    except KeyboardInterrupt:
        return 0
    except (InvalidScenario, OSError) as error:
        print(f"modelux: simulator: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(host: str, port: int, scenario: Scenario, recorded: Sequence[Path]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await serve(host, port, scenario, recordings=recorded, ready=_announce)


def _announce(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)
