"""Run the simulator: inside a test's event loop, or as a process of its own."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from modelux_providers.simulator import control, recorded
from modelux_providers.simulator.calls import Call, Ended, Stats
from modelux_providers.simulator.connection import Connection
from modelux_providers.simulator.responder import Exchange, Incoming, Responder
from modelux_providers.simulator.scenario import Scenario

_ALL = 1_000_000
_HEALTHY = Scenario()


class Simulator:
    """A simulated provider for all three dialects; `async with Simulator.start(...)` makes one that listens."""

    def __init__(self, scenario: Scenario, recordings: recorded.Recordings) -> None:
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._responder = Responder(scenario, recordings, self._loop.time, self._changed.set)
        self._connections: set[Connection] = set()
        self._admitted = 0
        self._refused = 0
        self._server: asyncio.Server | None = None
        self._tls: ssl.SSLContext | None = None
        self._bound = ("127.0.0.1", 0)

    @classmethod
    @asynccontextmanager
    async def start(
        cls,
        scenario: Scenario = _HEALTHY,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        recordings: Iterable[Path] = (),
        tls: ssl.SSLContext | None = None,
    ) -> AsyncIterator[Simulator]:
        """Listen on `port` (0 = a free one) until the block is left; then every connection is broken.

        Raises:
            InvalidScenario: a file of recordings is malformed.
            OSError: the port cannot be had, or a file cannot be read.
        """
        simulator = cls(scenario, recorded.load(recordings))
        simulator._tls, simulator._bound = tls, (host, port)
        await simulator.accept_connections()
        try:
            yield simulator
        finally:
            await simulator.refuse_connections()

    @property
    def port(self) -> int:
        return self._bound[1]

    @property
    def url(self) -> str:
        """The root; OpenAI's clients want `/v1` behind it. Any path prefix is accepted too."""
        return f"{'https' if self._tls else 'http'}://{self._bound[0]}:{self._bound[1]}"

    @property
    def scenario(self) -> Scenario:
        return self._responder.scenario

    async def accept_connections(self) -> None:
        """Listen (again) on the simulator's port."""
        host, port = self._bound
        self._server = await self._loop.create_server(
            lambda: Connection(self), host, port, ssl=self._tls, backlog=4096, reuse_address=True
        )
        self._bound = (host, self._server.sockets[0].getsockname()[1])

    async def refuse_connections(self) -> None:
        """Stop listening, so that the system refuses, and break what is open; `accept_connections` undoes it."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        for connection in list(self._connections):
            connection.drop()
        if server is not None:
            await server.wait_closed()

    def use(self, scenario: Scenario) -> None:
        """Change the behaviour from now on; the scenario's clock, counts and book begin anew."""
        self._responder.use(scenario)

    def reset(self) -> None:
        """Begin the same scenario anew."""
        self._responder.use(self.scenario)

    def calls(self, since: int = 0, limit: int = _ALL) -> list[Call]:
        """The book's entries whose number is above `since`, oldest first."""
        return self._responder.calls.since(since, limit)

    def stats(self) -> Stats:
        """Totals since the scenario began; connections count since the start."""
        return msgspec.structs.replace(
            self._responder.calls.stats(),
            connections=self._admitted,
            open_connections=len(self._connections),
            refused_connections=self._refused,
        )

    async def until(self, holds: Callable[[Sequence[Call]], bool], within_s: float = 5.0) -> list[Call]:
        """Wait until the book satisfies a condition, and return it.

        Raises:
            TimeoutError: it did not within `within_s` seconds.
        """
        async with asyncio.timeout(within_s):
            while not holds(calls := self.calls()):
                self._changed.clear()
                await self._changed.wait()
        return calls

    # What connections ask of their server.

    def admit(self, connection: Connection) -> int | None:
        """The connection's number, or nothing when it is to be reset."""
        self._connections.add(connection)
        if self._responder.refusing():
            self._refused += 1
            return None
        self._admitted += 1
        return self._admitted

    def answer(self, request: Incoming) -> Exchange | bytes:
        """Answer a request; bytes when it is for the simulator itself."""
        if request.target.startswith(control.PREFIX):
            return control.handle(request, self)
        return self._responder.answer(request)

    def ended(self, call: Call, how: Ended) -> None:
        self._responder.calls.end(call, how, self.at_s())

    def left(self, connection: Connection) -> None:
        self._connections.discard(connection)

    def at_s(self) -> float:
        return self._responder.at_s()


async def serve(
    host: str,
    port: int,
    scenario: Scenario = _HEALTHY,
    *,
    recordings: Iterable[Path] = (),
    ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until cancelled; `ready` is called once with the URL. Raises as `Simulator.start` does."""
    async with Simulator.start(scenario, host=host, port=port, recordings=recordings) as simulator:
        if ready is not None:
            ready(simulator.url)
        await asyncio.Event().wait()
