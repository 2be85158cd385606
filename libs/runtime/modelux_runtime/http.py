"""Serve an ASGI application under our own task tree, and the health endpoints that every process has."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Generator
from typing import Any

import uvicorn
from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder
from uvicorn.config import Config

from modelux_runtime.platform import Platform

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]
App = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers: the process has one owner of signals, `run`."""

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def listen(host: str, port: int) -> socket.socket:
    """A bound, listening socket; port 0 lets the system choose. Raises OSError where the port is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    sock.listen(1024)
    sock.setblocking(False)
    return sock


async def serve_app(app: App, sock: socket.socket, *, body_timeout_s: int = 30) -> None:
    """Serves until cancelled; then lets answers under way finish for up to five seconds."""
    config = Config(
        app=app,
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        timeout_keep_alive=body_timeout_s,
        timeout_graceful_shutdown=5,
        h11_max_incomplete_event_size=64 * 1024,
    )
    server = _Server(config)
    try:
        await server.serve(sockets=[sock])
    except asyncio.CancelledError:
        await server.shutdown(sockets=[sock])
        raise


def health_app(platform: Platform) -> App:
    """`/livez` (the process answers), `/readyz` (each check, one a line) and `/metrics` (Prometheus)."""

    async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        status, kind, body = _answer(scope["path"], platform)
        headers = [(b"content-type", kind.encode()), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return app


def _answer(path: str, platform: Platform) -> tuple[int, str, bytes]:
    plain = "text/plain; charset=utf-8"
    if path in ("/livez", "/healthz"):
        return 200, plain, b"ok\n"
    if path == "/readyz":
        found = {name: check() for name, check in platform.readiness.items()}
        if platform.stopping.is_set():
            found["process"] = "stopping"
        lines = "".join(f"{name}: {problem or 'ok'}\n" for name, problem in sorted(found.items()))
        return (503 if any(found.values()) else 200), plain, (lines or "ok\n").encode()
    if path == "/metrics":
        encoder, kind = choose_encoder("")
        return 200, kind, encoder(REGISTRY)
    return 404, plain, b"not found\n"
