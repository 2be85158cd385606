"""Start the simulator as a process: `python -m modelux_providers.simulator` prints one JSON line with its URL."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

import uvloop

from modelux_providers.simulator import scenario as scenarios
from modelux_providers.simulator.server import serve


def main() -> int:
    """Serve until SIGTERM or Ctrl-C; exit 2 when the scenario or a recording is not one."""
    parser = argparse.ArgumentParser(prog="modelux simulator", description="A simulated LLM provider.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--scenario", type=Path, help="JSON file")
    parser.add_argument("--recorded", type=Path, action="append", default=[], help="JSONL file of answers")
    options = parser.parse_args()
    try:
        scenario = scenarios.load(options.scenario) if options.scenario else scenarios.Scenario()
        uvloop.run(_run(options.host, options.port, scenario, options.recorded))
    except KeyboardInterrupt:
        return 0
    except (scenarios.InvalidScenario, OSError) as error:
        print(f"simulator: {error}", file=sys.stderr)
        return 2
    return 0


async def _run(host: str, port: int, scenario: scenarios.Scenario, recordings: list[Path]) -> None:
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    with suppress(asyncio.CancelledError):
        await serve(host, port, scenario, recordings=recordings, ready=_announce)


def _announce(url: str) -> None:
    print(json.dumps({"url": url}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
