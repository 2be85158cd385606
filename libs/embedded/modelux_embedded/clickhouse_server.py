"""The analytics process: owns one chDB data folder and serves it over ClickHouse's HTTP interface on loopback."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import fcntl
import os
import socket
import sys
import time
from pathlib import Path

import uvicorn
import uvloop

from modelux_embedded.engine import Engine
from modelux_embedded.errors import EngineError
from modelux_embedded.facade import Facade

_LOCK_WAIT_S = 5.0


def serve(
    data_dir: Path,
    *,
    host: str,
    port: int,
    password: str,
    memory_bytes: int = 2 << 30,
    sessions: int = 4,
    ready_file: Path | None = None,
    parent: int | None = None,
) -> None:
    """Serves until SIGTERM or SIGINT, or until `parent` is no longer this process's parent.

    `ready_file` receives the port, whole or not at all, once calls are taken.

    Raises:
        EngineError: another process has the folder, it cannot be opened, or the port is taken.
    """
    data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = _lock(data_dir)
    listener = _listen(host, port)
    engine = Engine(data_dir / "data", sessions=sessions, memory_bytes=memory_bytes)
    try:
        uvloop.run(_run(engine, password, listener, ready_file, parent))
    finally:
        engine.close()
        listener.close()
        os.close(lock)


async def _run(engine: Engine, password: str, listener: socket.socket, ready: Path | None, parent: int | None) -> None:
    config = uvicorn.Config(
        Facade(engine, password),
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=10,
    )
    server = uvicorn.Server(config)
    async with asyncio.TaskGroup() as tasks:
        watch = tasks.create_task(_watch(server, ready, listener.getsockname()[1], parent))
        await server.serve(sockets=[listener])
        watch.cancel()


async def _watch(server: uvicorn.Server, ready: Path | None, port: int, parent: int | None) -> None:
    """Says when the server is up, and ends it when its supervisor died without a word."""
    while not server.started:
        await asyncio.sleep(0.01)
    if ready is not None:
        fresh = ready.with_suffix(".new")
        fresh.write_text(f"{port}\n")
        fresh.replace(ready)
    while parent is None or os.getppid() == parent:
        await asyncio.sleep(0.5)
    server.should_exit = True


def _lock(data_dir: Path) -> int:
    """Waits a little: a predecessor whose supervisor was killed is on its way out."""
    lock = os.open(data_dir / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + _LOCK_WAIT_S
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return lock
        if time.monotonic() > deadline:
            os.close(lock)
            raise EngineError(f"another process has the analytics folder {data_dir}: stop it first")
        time.sleep(0.05)


def _listen(host: str, port: int) -> socket.socket:
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise EngineError(f"the analytics port {host}:{port} cannot be used: {error.strerror}") from error
    listener.listen(128)
    return listener


def main(arguments: list[str] | None = None) -> int:
    """Entry of `python -m modelux_embedded.clickhouse_server`; the password comes from a file, not from arguments."""
    parser = argparse.ArgumentParser(prog="modelux-analytics", description=__doc__)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--password-file", type=Path, required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ready-file", type=Path)
    parser.add_argument("--memory-mib", type=int, default=2048)
    parser.add_argument("--exit-with-parent", action="store_true")
    options = parser.parse_args(arguments)
    try:
        serve(
            options.data_dir,
            host=options.host,
            port=options.port,
            password=options.password_file.read_text().strip(),
            memory_bytes=options.memory_mib << 20,
            ready_file=options.ready_file,
            parent=os.getppid() if options.exit_with_parent else None,
        )
    except EngineError as error:
        print(f"modelux: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
