"""Run a real PostgreSQL server from the binaries of a wheel, as root or not, on loopback with a password."""

from __future__ import annotations

import asyncio
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import psycopg
from psycopg import sql

from modelux_embedded import account, binaries, postmaster
from modelux_embedded.errors import EngineError

USER = "modelux"
DATABASE = "modelux"

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "shared_buffers": "64MB",
    "max_connections": "100",
    "max_wal_size": "512MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "password_encryption": "scram-sha-256",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_min_messages": "warning",
    "jit": "off",
    # Parallel workers share memory through /dev/shm, which containers make tiny.
    "max_parallel_workers_per_gather": "0",
}
_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
_LOG_LIMIT_BYTES = 8 << 20


class EmbeddedPostgres:
    """One server over one data folder. Not thread-safe; one owner.

    `start()` may be called again after the server died: the same port and password hold. Used as a context manager,
    sync or async, it gives itself; `url` is what clients need.

    Args:
        data_dir: Folder that this class owns: `data/` (the cluster), `password` (0600), `server.log`, `lock`.
        port: TCP port on 127.0.0.1; 0 takes a free one.
        fast: No fsync. For tests only: a power cut loses the cluster.
        exit_with_parent: The server shuts down when the thread that started it ends, even by SIGKILL (Linux).
    """

    def __init__(
        self, data_dir: Path | str, *, port: int = 0, fast: bool = False, exit_with_parent: bool = False
    ) -> None:
        self.data_dir = Path(data_dir).absolute()
        self.port = port
        self._fast = fast
        self._parent_death = signal.SIGINT if exit_with_parent else None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: int | None = None
        self._password = ""

    @property
    def url(self) -> str:
        """Address of the product's database, valid once started."""
        return self.url_of(DATABASE)

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def url_of(self, database: str) -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self.port}/{database}"

    def start(self, *, timeout_s: float = 30.0) -> str:
        """Returns `url` once the server accepts connections.

        Creates the cluster where there is none, and ends a server that an earlier, killed supervisor left.

        Raises:
            EngineError: another launcher owns the folder, another PostgreSQL major wrote it, or it cannot run here.
        """
        if self.running():
            return self.url
        self._take_lock()
        try:
            runner = account.choose(self._cluster)
            self._check_folder(runner)
            programs = binaries.find(runner, self.data_dir)
            postmaster.clear(self._cluster)
            self._initialise(runner, programs)
            self._launch(runner, programs, timeout_s)
            self._ensure_database()
        except BaseException:
            self.stop()
            raise
        return self.url

    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    async def wait(self) -> int:
        """Returns the exit status once the server ended, for a supervisor."""
        if self._process is None:
            raise EngineError("PostgreSQL was not started")
        while (status := self._process.poll()) is None:
            await asyncio.sleep(0.2)
        return status

    def stop(self, *, timeout_s: float = 10.0) -> None:
        """Fast shutdown: open transactions are rolled back, what was committed is kept. Idempotent."""
        if self._process is not None:
            for sign in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
                if self._process.poll() is None:
                    self._process.send_signal(sign)
                    try:
                        self._process.wait(timeout_s)
                    except subprocess.TimeoutExpired:
                        continue
            self._process.wait(timeout_s)
            self._process = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def create_database(self, name: str) -> str:
        """Creates an empty database and returns its URL; for tests that want one each."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=5) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        return self.url_of(name)

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

    @property
    def _cluster(self) -> Path:
        return self.data_dir / "data"

    def _take_lock(self) -> None:
        if self._lock is not None:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        lock = os.open(self.data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
            raise EngineError(f"another process runs PostgreSQL in {self.data_dir}: stop it first") from None
        self._lock = lock

    def _check_folder(self, runner: account.Account) -> None:
        version = self._cluster / "PG_VERSION"
        if version.exists() and (found := version.read_text().strip()) != str(binaries.MAJOR):
            raise EngineError(
                f"{self._cluster} was written by PostgreSQL {found}, this is {binaries.MAJOR}: "
                "run pg_upgrade or use another folder"
            )
        if runner.uid is not None:
            self.data_dir.chmod(self.data_dir.stat().st_mode | 0o011)
        if not runner.can_reach(self.data_dir):
            raise EngineError(
                f"PostgreSQL runs as {runner.name!r}, which may not enter {self.data_dir}: choose a data folder "
                "outside private folders, for example /var/lib/modelux"
            )

    def _initialise(self, runner: account.Account, programs: Path) -> None:
        """Creates the cluster beside its place and renames it: a kill in the middle leaves nothing half made."""
        password_file = self.data_dir / "password"
        known = password_file.exists()
        self._password = password_file.read_text().strip() if known else secrets.token_urlsafe(24)
        if not known:
            _write_private(password_file, self._password)
        if (self._cluster / "PG_VERSION").exists():
            if not known:
                self._reset_password(runner, programs)
            return
        fresh, handed = self.data_dir / "data.new", self.data_dir / "password.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        runner.give(fresh)
        _write_private(handed, self._password)
        runner.give(handed)
        try:
            runner.run([programs / "initdb", "-D", fresh, *_initdb_options(handed, self._fast)])
        finally:
            handed.unlink()
        fresh.rename(self._cluster)

    def _reset_password(self, runner: account.Account, programs: Path) -> None:
        """Single-user mode needs no password: the way back in when the password file was deleted."""
        command = f"ALTER USER {USER} PASSWORD '{self._password}';\n"
        runner.run([programs / "postgres", "--single", "-D", self._cluster, "postgres"], text=command)

    def _launch(self, runner: account.Account, programs: Path, timeout_s: float) -> None:
        chosen = self.port
        for _ in range(3):
            self.port = chosen or _free_port()
            log = self._open_log()
            try:
                argv = [programs / "postgres", *self._options()]
                self._process = runner.popen(argv, stdout=log, parent_death=self._parent_death)
            finally:
                os.close(log)
            if self._ready(self._process, timeout_s):
                return
            # A port of our own choosing can be taken between the choice and the bind.
            if chosen or "could not bind" not in self._last_words(10):
                break
        raise EngineError(f"PostgreSQL did not start: {self._last_words(1)} (see {self.data_dir / 'server.log'})")

    def _options(self) -> list[str | Path]:
        settings = _SETTINGS | {"port": str(self.port)} | (_FAST if self._fast else {})
        return ["-D", self._cluster, *(part for k, v in settings.items() for part in ("-c", f"{k}={v}"))]

    def _ready(self, process: subprocess.Popen[bytes], timeout_s: float) -> bool:
        deadline = time.monotonic() + timeout_s
        while process.poll() is None and time.monotonic() < deadline:
            if postmaster.ready(self._cluster, process.pid):
                return True
            time.sleep(0.01)
        return False

    def _open_log(self) -> int:
        path = self.data_dir / "server.log"
        fresh = os.O_TRUNC if path.exists() and path.stat().st_size > _LOG_LIMIT_BYTES else 0
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | fresh, 0o600)

    def _last_words(self, lines: int) -> str:
        try:
            text = (self.data_dir / "server.log").read_text(errors="replace")
        except OSError:
            return "no log was written"
        return " / ".join(text.strip().splitlines()[-lines:])

    def _ensure_database(self) -> None:
        with psycopg.connect(self.url_of("postgres"), autocommit=True, connect_timeout=5) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(DATABASE)))


@contextmanager
def temporary_postgres() -> Iterator[EmbeddedPostgres]:
    """A throw-away server without fsync in a fresh folder, for tests: `server.create_database(name)` gives one each."""
    with tempfile.TemporaryDirectory(prefix="mlx-pg-") as folder, EmbeddedPostgres(folder, fast=True) as server:
        yield server


def _initdb_options(password_file: Path, fast: bool) -> list[str]:
    options = ["-U", USER, f"--pwfile={password_file}", "--auth-host=scram-sha-256", "--auth-local=scram-sha-256"]
    options += ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"]
    return [*options, "--no-sync"] if fast else options


def _write_private(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
