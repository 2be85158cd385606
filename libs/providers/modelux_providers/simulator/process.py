"""Run the simulator as a process of its own and talk to it over HTTP."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from modelux_providers.simulator.calls import Call, Stats
from modelux_providers.simulator.scenario import Scenario

_START_S = 20.0
_CALL_S = 10.0


class _Announced(msgspec.Struct):
    url: str


class _Book(msgspec.Struct):
    calls: list[Call]


@dataclass(frozen=True, slots=True)
class Process:
    """A simulator in another process."""

    url: str
    pid: int

    async def calls(self, since: int = 0) -> list[Call]:
        """The book's entries whose number is above `since`."""
        return msgspec.json.decode(await self._send(f"/simulator/calls?since={since}"), type=_Book).calls

    async def stats(self) -> Stats:
        return msgspec.json.decode(await self._send("/simulator/stats"), type=Stats)

    async def use(self, scenario: Scenario) -> None:
        """Change the scenario; its clock and book begin anew."""
        await self._send("/simulator/scenario", msgspec.json.encode(scenario))

    async def reset(self) -> None:
        await self._send("/simulator/reset", b"")

    async def _send(self, path: str, body: bytes | None = None) -> bytes:
        return await asyncio.to_thread(self._sent, urllib.request.Request(self.url + path, data=body))

    def _sent(self, request: urllib.request.Request) -> bytes:
        with urllib.request.urlopen(request, timeout=_CALL_S) as answer:
            body: bytes = answer.read()
        return body


@asynccontextmanager
async def spawn(
    scenario: Scenario | None = None, *, port: int = 0, recordings: Iterable[Path] = (), prefix: tuple[str, ...] = ()
) -> AsyncIterator[Process]:
    """Start a simulator process and end it with the block. `prefix` goes before the command, such as `taskset -c 1`.

    Raises:
        RuntimeError: the process ended instead of starting.
        TimeoutError: it did not start in time.
    """
    with tempfile.TemporaryDirectory(prefix="modelux-simulator-") as folder:
        file = Path(folder, "scenario.json")
        file.write_bytes(msgspec.json.encode(scenario or Scenario()))
        command = [*prefix, sys.executable, "-m", "modelux_providers.simulator", "--port", str(port)]
        command += ["--scenario", str(file), *(word for path in recordings for word in ("--recorded", str(path)))]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        try:
            yield Process(await _announced(process), process.pid)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()


async def _announced(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), _START_S)
    if not line:
        raise RuntimeError(f"the simulator ended with {await process.wait()}")
    return msgspec.json.decode(line, type=_Announced).url
