"""Start and stop the analytics process: the ClickHouse engine of chDB behind ClickHouse's HTTP interface."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from modelux_embedded.errors import EngineError
from modelux_embedded.facade import USER

DATABASE = "modelux"


class EmbeddedClickHouse:
    """One analytics process over one data folder; the same manners as `EmbeddedPostgres`.

    Args:
        data_dir: Folder that this class owns: `data/` (the engine's), `password` (0600), `server.log`, `lock`.
        port: TCP port on 127.0.0.1; 0 takes a free one, which then stays the same over restarts of this object.
        memory_mib: The engine's own limit over all queries.
    """

    def __init__(self, data_dir: Path | str, *, port: int = 0, memory_mib: int = 2048) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self._memory_mib = memory_mib
        self._process: subprocess.Popen[bytes] | None = None
        self._password = ""

    @property
    def url(self) -> str:
        """`http://user:password@127.0.0.1:port/modelux`, valid once started."""
        return f"http://{USER}:{self._password}@127.0.0.1:{self.port}/{DATABASE}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def start(self, *, timeout_s: float = 60.0) -> str:
        """Returns `url` once calls are taken. Raises `EngineError` with the process's last words when it ends first."""
        if self.running():
            return self.url
        self.stop()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self.data_dir.chmod(0o700)  # prompts and answers lie in it
        self._password = _password(self.data_dir / "password")
        ready = self.data_dir / "ready"
        ready.unlink(missing_ok=True)
        self._process = self._spawn(ready)
        deadline = time.monotonic() + timeout_s
        while not ready.exists():
            if not self.running() or time.monotonic() > deadline:
                self.stop()
                raise EngineError(self._last_words())
            time.sleep(0.01)
        self.port = int(ready.read_text())
        return self.url

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def wait(self) -> int:
        """Returns the exit status once the process ended, for a supervisor."""
        if self._process is None:
            raise EngineError("analytics was not started")
        while (status := self._process.poll()) is None:
            await asyncio.sleep(0.2)
        return status

    def stop(self, *, timeout_s: float = 15.0) -> None:
        """Ends the process; what was acknowledged is on disk. Idempotent."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _spawn(self, ready: Path) -> subprocess.Popen[bytes]:
        argv = [sys.executable, "-m", "modelux_embedded.clickhouse_server", "--exit-with-parent"]
        argv += ["--data-dir", str(self.data_dir), "--password-file", str(self.data_dir / "password")]
        argv += ["--port", str(self.port), "--ready-file", str(ready), "--memory-mib", str(self._memory_mib)]
        log = os.open(self.data_dir / "server.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        try:
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        finally:
            os.close(log)

    def _last_words(self) -> str:
        lines = (self.data_dir / "server.log").read_text(errors="replace").strip().splitlines()
        last = lines[-1] if lines else "it ended without a word"
        return f"analytics did not start: {last.removeprefix('modelux: ')}"


@contextmanager
def temporary_clickhouse() -> Iterator[EmbeddedClickHouse]:
    """A throw-away analytics process in a fresh folder, for tests."""
    with tempfile.TemporaryDirectory(prefix="mlx-ch-") as folder, EmbeddedClickHouse(folder) as server:
        yield server


def _password(path: Path) -> str:
    if not path.exists():
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(24))
    return path.read_text().strip()
