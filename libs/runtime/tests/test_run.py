"""A process is ready once its services are, and ends with all of them."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from modelux_runtime.platform import Platform
from modelux_runtime.run import _run
from modelux_runtime.service import Service, Tasks
from modelux_runtime.settings import PlatformSettings


@dataclass(frozen=True, slots=True)
class Settings:
    """None."""


async def readiness(port: int) -> tuple[bytes, bytes]:
    """Status line and body of /readyz, as soon as anything listens."""
    while True:
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            break
        except OSError:
            await asyncio.sleep(0.01)
    writer.write(b"GET /readyz HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return head.split(b"\r\n")[0], body


async def test_a_process_is_not_ready_before_its_services_are() -> None:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    opened, left = asyncio.Event(), asyncio.Event()

    @asynccontextmanager
    async def serve(settings: Settings, platform: Platform) -> AsyncIterator[Tasks]:
        await opened.wait()
        yield [asyncio.Event().wait()]  # type: ignore[list-item]  # runs until it is cancelled
        left.set()

    service = Service("slow", Settings, frozenset(), serve)
    async with asyncio.timeout(20), asyncio.TaskGroup() as group:
        running = group.create_task(_run(PlatformSettings(health_port=port), [(service, Settings())]))
        status, body = await readiness(port)
        assert (status.split()[1], body) == (b"503", b"process: its services are not there yet\n")
        opened.set()
        while (await readiness(port))[0].split()[1] != b"200":
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)
        await running
    assert left.is_set()
