"""Find and end what an earlier PostgreSQL left behind in a data folder: a live server, orphans, a stale pid file."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from modelux_embedded.errors import EngineError

_PROC = Path("/proc")


def clear(data: Path, *, timeout_s: float = 20.0) -> None:
    """Returns once no process uses `data` and no pid file names a stranger.

    A server whose supervisor was killed is stopped with SIGINT (fast shutdown: what was acknowledged is kept). A pid
    file whose number now belongs to another program is deleted, since PostgreSQL would refuse to start because of it.
    """
    pid_file = data / "postmaster.pid"
    pid = _recorded(pid_file)
    if pid is not None and _serves(pid, data):
        os.kill(pid, signal.SIGINT)
        if not _gone(pid, data, timeout_s):
            os.kill(pid, signal.SIGQUIT)
            _gone(pid, data, timeout_s)
    _wait_for_orphans(data, timeout_s)
    if pid is not None and pid_file.exists() and _alive(pid):
        pid_file.unlink()


def ready(data: Path, pid: int) -> bool:
    """Whether the server with this pid says in its pid file that it accepts connections."""
    try:
        lines = (data / "postmaster.pid").read_text().splitlines()
    except OSError:
        return False
    return len(lines) >= 8 and lines[0].strip() == str(pid) and lines[7].strip() == "ready"


def _recorded(pid_file: Path) -> int | None:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except (OSError, ValueError):
        return None


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _serves(pid: int, data: Path) -> bool:
    """Whether `pid` works in this folder, as all its server's processes do. Without /proc the number is believed."""
    if not _PROC.is_dir():
        return _alive(pid)
    try:
        return Path(os.readlink(_PROC / str(pid) / "cwd")) == data.resolve()
    except OSError:
        return False


def _gone(pid: int, data: Path, timeout_s: float) -> bool:
    deadline = time.monotonic() + timeout_s
    while _serves(pid, data):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _wait_for_orphans(data: Path, timeout_s: float) -> None:
    """Backends outlive a killed postmaster for a moment; a second server over them would corrupt the folder."""
    deadline = time.monotonic() + timeout_s
    while orphans := _orphans(data):
        if time.monotonic() > deadline:
            raise EngineError(f"processes {sorted(orphans)} still use {data}: end them, then start again")
        time.sleep(0.05)


def _orphans(data: Path) -> list[int]:
    if not _PROC.is_dir():
        return []
    pids = (int(p.name) for p in _PROC.iterdir() if p.name.isdigit())
    return [pid for pid in pids if pid != os.getpid() and _serves(pid, data) and _is_postgres(pid)]


def _is_postgres(pid: int) -> bool:
    try:
        return (_PROC / str(pid) / "comm").read_text().startswith("postgres")
    except OSError:
        return False
