"""Processes are started in order, started again when they die, and stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from modelux_cli.up.supervisor import Child, StartFailed, Supervisor
from modelux_runtime.settings import child_environment

PROGRAM = "import sys, pathlib, signal; pathlib.Path(sys.argv[1]).open('a').write('started\\n'); signal.pause()"


def child(tmp_path: Path, program: str = PROGRAM) -> Child:
    marks = tmp_path / "marks"

    async def ready() -> bool:
        return marks.exists() and bool(marks.read_text())  # the file is there before its first line is

    argv = [sys.executable, "-c", program, str(marks)]
    return Child("worker", argv, child_environment({}), tmp_path / "worker.log", ready, ready_s=20)


async def until(check: object, deadline_s: float = 20) -> None:
    assert callable(check)
    async with asyncio.timeout(deadline_s):
        while not check():
            await asyncio.sleep(0.01)


async def test_a_process_that_dies_is_started_again_and_stops_with_the_rest(tmp_path: Path) -> None:
    told: list[str] = []
    supervisor = Supervisor(told.append)
    async with asyncio.TaskGroup() as group:
        await supervisor.start(group, child(tmp_path))
        first = supervisor.pids()["worker"]
        os.kill(first, signal.SIGKILL)
        await until(lambda: (tmp_path / "marks").read_text().count("started") == 2)
        second = supervisor.pids()["worker"]
        await supervisor.stop()
    assert second != first
    assert supervisor.pids() == {}
    assert any("worker ended with status -9" in line for line in told)


async def test_a_process_that_cannot_start_is_named_with_its_last_words(tmp_path: Path) -> None:
    supervisor = Supervisor(lambda text: None)
    broken = child(tmp_path, "raise SystemExit('the port is taken')")
    with pytest.raises(ExceptionGroup) as failed:
        async with asyncio.TaskGroup() as group:
            await supervisor.start(group, broken)
    refused = failed.value.subgroup(StartFailed)
    assert refused is not None
    assert "the port is taken" in str(refused.exceptions[0])
