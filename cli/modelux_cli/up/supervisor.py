"""Keep a list of processes alive: start in order, restart what dies, stop in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from routing_core.errors import ModeluxError

RESTART_BASE_S = 0.2
RESTART_MAX_S = 10.0
_SET_PARENT_DEATH_SIGNAL = 1  # Linux: prctl(PR_SET_PDEATHSIG)
STABLE_AFTER_S = 5.0
"""A process that lived this long starts its back-off anew."""


@dataclass(frozen=True, slots=True)
class Child:
    """One process to keep alive. `ready` tells whether it serves; `stop_s` lies between SIGTERM and SIGKILL."""

    name: str
    argv: Sequence[str]
    env: Mapping[str, str]
    log: Path
    ready: Callable[[], Awaitable[bool]] | None = None
    ready_s: float = 30.0
    stop_s: float = 10.0


class StartFailed(ModeluxError):
    """A process did not come up in time."""


class Supervisor:
    """Owns its processes for as long as its tasks run. One instance per `modelux up`."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._running: dict[str, asyncio.subprocess.Process] = {}
        self._children: list[Child] = []
        self._keepers: list[asyncio.Task[None]] = []

    def pids(self) -> dict[str, int]:
        """Process ids by name, of what runs now."""
        return {name: process.pid for name, process in self._running.items() if process.returncode is None}

    async def start(self, group: asyncio.TaskGroup, child: Child) -> None:
        """Starts a child, keeps it alive from now on, and returns when it is ready. Raises `StartFailed`."""
        self._children.append(child)
        await self._spawn(child)
        self._keepers.append(group.create_task(self._keep(child), name=f"keep-{child.name}"))
        await self._await_ready(child)

    async def stop(self) -> None:
        """Stops all, last started first."""
        for keeper in self._keepers:
            keeper.cancel()
        for child in reversed(self._children):
            process = self._running.get(child.name)
            if process is not None and process.returncode is None:
                await _terminate(process, child.stop_s)

    async def _spawn(self, child: Child) -> None:
        with child.log.open("ab") as log:
            self._running[child.name] = await asyncio.create_subprocess_exec(
                *child.argv,
                env=dict(child.env),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )

    async def _keep(self, child: Child) -> None:
        delay_s = RESTART_BASE_S
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            status = await self._running[child.name].wait()
            if loop.time() - started > STABLE_AFTER_S:
                delay_s = RESTART_BASE_S
            self._tell(f"{child.name} ended with status {status}; starting it again (log: {child.log})")
            await asyncio.sleep(delay_s)
            delay_s = min(delay_s * 2, RESTART_MAX_S)
            await self._spawn(child)

    async def _await_ready(self, child: Child) -> None:
        if child.ready is None:
            return
        loop = asyncio.get_running_loop()
        deadline = loop.time() + child.ready_s
        while loop.time() < deadline:
            if await child.ready():
                return
            if self._running[child.name].returncode is not None:
                break
            await asyncio.sleep(0.02)
        raise StartFailed(
            "start_failed", f"{child.name} did not start: {_last_line(child.log)}", hint=f"See {child.log}."
        )


def _end_with_parent() -> None:
    """Runs in the child before it starts: where the kernel can, it ends the child should the supervisor be killed."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)


async def _terminate(process: asyncio.subprocess.Process, grace_s: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(grace_s):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines() if log.exists() else []
    return lines[-1] if lines else "it printed nothing"
