"""The HTTP/1.1 server of the live path:
one protocol object and one task per connection, limits at the socket.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Coroutine
from typing import Protocol, cast

from modelux_providers.outbox import Outbox
from modelux_proxy.exchange import Exchange
from modelux_proxy.heads import HeadMemo
from modelux_proxy.http_connection import Connection
from modelux_proxy.limits import HttpLimits

log = logging.getLogger("modelux.proxy")


class App(Protocol):
    """What answers requests."""

    async def __call__(self, exchange: Exchange) -> None:
        """Answers one request."""
        ...

    def commit(self) -> None:
        """Called before any byte goes out of answers given since the last call: keeps what must not be lost of them."""
        ...


class Server:
    """Accepts connections and runs `app` once per request. Create inside a TaskGroup that outlives it.

    A request whose caller leaves has its task cancelled. `app` answers every request; an exception that escapes it is
    a bug, logged and
    answered 500.
    """

    def __init__(self, app: App, group: asyncio.TaskGroup, limits: HttpLimits | None = None) -> None:
        self.limits = limits or HttpLimits()
        self.connections: set[Connection] = set()
        self.in_flight = 0
        self.buffered_bytes = 0
        self.draining = False
        self.heads = HeadMemo()
        self._app = app
        self._group = group
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop, app.commit)
        self._listener: asyncio.Server | None = None
        self._idle = asyncio.Event()

    async def listen(self, sock: socket.socket) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited: every event leaves at once
        self._listener = await self._loop.create_server(self._connection, sock=sock, backlog=2048)
        self._sweeper = self._group.create_task(self._sweep())

    async def drain(self, timeout_s: float) -> bool:
        """Stops accepting, closes idle connections and waits for requests under way. False where some were left."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.close_if_idle()
        if not self.in_flight:
            return True
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        """Ends everything at once; requests under way are cancelled."""
        self.draining = True
        if self._listener is not None:
            self._listener.close()
        for connection in tuple(self.connections):
            connection.abort()
        self._sweeper.cancel()

    def start(self, connection: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """The task in which a connection's requests run, one after the other."""
        return self._group.create_task(connection)

    async def run(self, exchange: Exchange) -> None:
        """Runs one request."""
        self.in_flight += 1
        try:
            await self._app(exchange)
        except Exception:
            log.exception("a request failed by our fault: %s %s", exchange.method, exchange.path)
            exchange.fail()
        finally:
            self.in_flight -= 1
            if not self.in_flight and self.draining:
                self._idle.set()

    def _connection(self) -> asyncio.Protocol:
        return cast("asyncio.Protocol", Connection(self, self._loop))

    async def _sweep(self) -> None:
        """Looks once a second for connections that are late.

        Deadlines here are coarse on purpose: they cost nothing per request.
        """
        while True:
            await asyncio.sleep(1.0)
            now = time.monotonic()
            for connection in tuple(self.connections):
                connection.check(now)
