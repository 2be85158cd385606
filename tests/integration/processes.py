"""Look at processes through /proc: who is whose child, what it runs, in which environment; and wait for them to end."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

PROC = Path("/proc")


def children(pid: int) -> list[int]:
    """Direct children, zombies left out."""
    return [each for each in _pids() if (found := _stat(each)) and found == (pid, True)]


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, parents before their children."""
    found: list[int] = []
    for child in children(pid):
        found += [child, *descendants(child)]
    return found


def alive(pid: int) -> bool:
    """Whether it runs; a zombie does not."""
    found = _stat(pid)
    return found is not None and found[1]


def command(pid: int) -> str:
    """The command line with blanks between the words; "" for what is gone."""
    with suppress(OSError):
        return (PROC / str(pid) / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return ""


def environment(pid: int) -> dict[str, str]:
    """The environment that the process was started with."""
    pairs = (PROC / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def mentioning(text: str) -> list[int]:
    """Processes other than this one whose command line holds `text`."""
    return [pid for pid in _pids() if pid != os.getpid() and text in command(pid) and alive(pid)]


def kill(pid: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    return [pid, *descendants(pid)]


@contextmanager
def frozen(*pids: int) -> Iterator[None]:
    """Holds processes in SIGSTOP for the length of the block."""
    _signal(pids, signal.SIGSTOP)
    try:
        yield
    finally:
        _signal(pids, signal.SIGCONT)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def until(check: Callable[[], object], what: str, within_s: float = 30.0, pause_s: float = 0.02) -> float:
    """Polls until `check` is true; how many seconds that took. Fails with `what` where it never is."""
    started = time.monotonic()
    while not check():
        if time.monotonic() - started > within_s:
            raise AssertionError(f"after {within_s} s still not: {what}")
        time.sleep(pause_s)
    return time.monotonic() - started


def _pids() -> list[int]:
    return [int(each.name) for each in PROC.iterdir() if each.name.isdigit()]


def _stat(pid: int) -> tuple[int, bool] | None:
    """Parent and whether it lives."""
    try:
        state, parent, *_ = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (OSError, ValueError):
        return None
    return int(parent), state not in "ZX"
