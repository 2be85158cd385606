"""The one outbound HTTP client:
pooled, guarded, with deadlines on everything and no redirects, cookies or compression.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, cast

from modelux_providers.client_connection import Connection
from modelux_providers.client_errors import CallFailed, ConnectFailed, Cut, InvalidResponse, Timeout, TooLarge
from modelux_providers.client_response import RESPONSE_LIMIT, Deadlines, Response
from modelux_providers.egress import BlockedAddress, Guard, ResolutionFailed
from modelux_providers.outbox import Outbox

__all__ = [
    "RESPONSE_LIMIT",
    "CallFailed",
    "Client",
    "ConnectFailed",
    "Cut",
    "Deadlines",
    "InvalidResponse",
    "Limits",
    "Origin",
    "Response",
    "Timeout",
    "TooLarge",
    "request_head",
]


class Origin(NamedTuple):
    """Where to connect. `owner` (a credential id) keeps the connections of one tenant from serving another."""

    scheme: str
    host: str
    port: int
    allow_private: bool = False
    owner: str = ""


@dataclass(frozen=True, slots=True)
class Limits:
    """Connections per origin, and how many of them are kept open how long without use."""

    connections: int = 4096
    idle: int = 512
    idle_s: float = 50.0
    idle_race_s: float = 1.0
    """A kept connection that is closed within this time after a request was put on it never took the request."""


class _Pool:
    """The connections of one origin, most recently used first."""

    __slots__ = ("_limits", "_loop", "_sweeping", "idle", "open")

    def __init__(self, loop: asyncio.AbstractEventLoop, limits: Limits) -> None:
        self._loop = loop
        self._limits = limits
        self._sweeping: asyncio.TimerHandle | None = None
        self.idle: list[Connection] = []
        self.open: set[Connection] = set()

    def take(self) -> Connection | None:
        while self.idle:
            connection = self.idle.pop()
            if not connection.closed:
                return connection
        return None

    def release(self, connection: Connection) -> None:
        if len(self.idle) >= self._limits.idle:
            connection.kill()
            return
        self.idle.append(connection)
        connection.idle_since = self._loop.time()
        if self._sweeping is None:
            self._sweeping = self._loop.call_later(self._limits.idle_s, self._sweep)

    def lost(self, connection: Connection) -> None:
        self.open.discard(connection)

    def close(self) -> None:
        if self._sweeping is not None:
            self._sweeping.cancel()
        for connection in tuple(self.open):
            connection.kill()

    def _sweep(self) -> None:
        self._sweeping = None
        before = self._loop.time() - self._limits.idle_s
        kept = [c for c in self.idle if not c.closed and c.idle_since > before]
        for connection in set(self.idle).difference(kept):
            connection.kill()
        self.idle = kept
        if kept:
            self._sweeping = self._loop.call_later(self._limits.idle_s / 2, self._sweep)


class Client:
    """Sends requests. Belongs to the loop it is made in; `close` ends every connection."""

    def __init__(
        self, guard: Guard, *, limits: Limits | None = None, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        self._guard = guard
        self._limits = limits or Limits()
        self._ssl = ssl_context or ssl.create_default_context()
        self._loop = asyncio.get_running_loop()
        self.outbox = Outbox(self._loop)
        """Through which every byte of a request leaves."""
        self._pools: dict[Origin, _Pool] = {}

    async def send(
        self,
        origin: Origin,
        method: str,
        path: str,
        headers: Sequence[tuple[bytes, bytes]],
        body: bytes,
        *,
        deadlines: Deadlines,
    ) -> Response:
        """Sends one request and returns when its head is there.

        Raises `CallFailed`; ValueError for headers that would break framing.
        """
        return await self.post(origin, request_head(origin, method, path, headers), body, deadlines)

    async def post(self, origin: Origin, head: bytes, body: bytes, deadlines: Deadlines) -> Response:
        """As `send`, with a head made once by `request_head`.

        A connection that was kept open and is closed at once, before any byte of an answer, is replaced, once and
        silently: the peer gave it up as idle and never saw the request. Nothing else is retried here; one that is
        closed later may have been processed, and where no other can be had the first failure is told, as bytes left.
        """
        pool = self._pools.get(origin)
        if pool is None:
            pool = self._pools[origin] = _Pool(self._loop, self._limits)
        connection, cut = pool.take(), None
        if connection is not None:
            sent_s = self._loop.time()
            response = connection.start(head, body, deadlines)
            try:
                await response.head()
                return response
            except Cut as early:
                if response.started or self._loop.time() - sent_s > self._limits.idle_race_s:
                    raise
                cut = early
            except BaseException:
                response.abort()
                raise
        try:
            connection = await self._connect(origin, pool, deadlines.connect_s)
        except CallFailed as failure:
            if cut is not None:
                raise cut from failure
            raise
        response = connection.start(head, body, deadlines)
        try:
            await response.head()
        except BaseException:
            response.abort()
            raise
        return response

    async def close(self) -> None:
        for pool in self._pools.values():
            pool.close()
        self._pools.clear()

    async def _connect(self, origin: Origin, pool: _Pool, connect_s: float) -> Connection:
        if len(pool.open) >= self._limits.connections:
            raise ConnectFailed("too many connections to this provider", "pool_exhausted")
        try:
            async with asyncio.timeout(connect_s):
                connection = await self._dial(origin, pool)
        except TimeoutError:
            raise Timeout("connect") from None
        except BlockedAddress as error:
            raise ConnectFailed(str(error), "blocked_address") from error
        except ResolutionFailed as error:
            raise ConnectFailed(str(error), "dns_failed") from error
        except ssl.SSLError as error:
            raise ConnectFailed(f"TLS failed: {error.reason or 'handshake'}", "tls_failed") from error
        except OSError as error:
            raise ConnectFailed(f"cannot connect: {error.strerror or type(error).__name__}") from error
        pool.open.add(connection)
        return connection

    async def _dial(self, origin: Origin, pool: _Pool) -> Connection:
        """Connects to the first checked address that answers;
        the name goes into SNI and is what the certificate must prove.
        """
        private = origin.allow_private
        if origin.scheme != "https" and not (private or self._guard.allow_private):
            raise BlockedAddress("providers are reached over https")
        addresses = await self._guard.resolve_checked(origin.host, origin.port, allow_private=private)
        failure: OSError | None = None
        for address in addresses:
            connection = Connection(self._loop, self.outbox, pool.release, pool.lost)
            made: Callable[[], asyncio.Protocol] = partial(cast, "asyncio.Protocol", connection)
            try:
                if origin.scheme == "https":
                    await self._loop.create_connection(
                        made, address, origin.port, ssl=self._ssl, server_hostname=origin.host
                    )
                else:
                    await self._loop.create_connection(made, address, origin.port)
                return connection
            except ssl.SSLError:
                raise
            except OSError as error:
                failure = error
        raise failure or OSError("no address")


def request_head(origin: Origin, method: str, path: str, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Request line and headers up to `content-length`, which is added when it is sent. Can be kept and reused."""
    default_port = 443 if origin.scheme == "https" else 80
    host = f"[{origin.host}]" if ":" in origin.host else origin.host
    authority = host if origin.port == default_port else f"{host}:{origin.port}"
    lines = [f"{method} {path} HTTP/1.1\r\nhost: {authority}\r\naccept-encoding: identity\r\n".encode("ascii")]
    for name, value in headers:
        lines.append(b"%b: %b\r\n" % (name, value))
    head = b"".join(lines)
    if head.count(b"\n") != len(headers) + 3 or head.count(b"\r") != len(headers) + 3 or b"\x00" in head:
        raise ValueError("a header or path holds a line break")
    return head
