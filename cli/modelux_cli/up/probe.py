"""Ask a local server whether it answers yet."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable


def free_port() -> int:
    """A TCP port on loopback that nobody listened on a moment ago."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


def is_free(host: str, port: int) -> bool:
    """Whether we could listen there."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((host, port))
        except OSError:
            return False
        return True


def local(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def answers(port: int, path: str, *, host: str = "127.0.0.1", key: str = "") -> Callable[[], Awaitable[bool]]:
    """A check that is true once `GET path` answers 200 to the bearer of `key`."""
    lines = [f"GET {path} HTTP/1.1", "host: localhost", "connection: close"]
    lines += [f"authorization: Bearer {key}"] if key else []
    request = ("\r\n".join(lines) + "\r\n\r\n").encode()

    async def check() -> bool:
        try:
            async with asyncio.timeout(2):
                reader, writer = await asyncio.open_connection(host, port)
                try:
                    writer.write(request)
                    line = await reader.readline()
                finally:
                    writer.close()
        except (OSError, TimeoutError):
            return False
        return b" 200 " in line

    return check
