"""A proxy and a simulated provider in a thread of their own, and a raw socket to speak to them.

The proxy runs on the event loop of production; a test blocks on its own socket, so that a proxy which hangs is a test
that fails by its deadline.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TypeVar

import uvloop
from badinput_tenants import tenants
from badinput_wire import Answer, answers, exchange, harmless

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.journal import Frame
from modelux_calling.clock import Clock
from modelux_providers.client import Client, Deadlines
from modelux_providers.egress import Guard
from modelux_providers.simulator.calls import Call
from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario
from modelux_providers.simulator.server import Simulator
from modelux_proxy.chat import Lane
from modelux_proxy.emit import Emitter
from modelux_proxy.http_server import Server
from modelux_proxy.idempotency import Idempotency
from modelux_proxy.limits import HttpLimits
from modelux_proxy.metrics import Metrics
from modelux_proxy.proxy import Proxy
from modelux_proxy.rate_limits import RateLimits
from routing_core.health import Registry

T = TypeVar("T")
DEADLINE_S = 30.0
LITTLE_WORK_S = 5.0
"""Of processor time: five times a bound that was kept on a quick machine, so that a slow one does not count."""


class Live:
    """The running pair. Everything here may be called from the test's thread."""

    simulator: Simulator
    lane: Lane
    server: Server

    def __init__(self, folder: Path, *, limits: HttpLimits, deadlines: Deadlines, keepalive_s: float) -> None:
        self.port = 0
        self._folder = folder
        self._limits = limits
        self._deadlines = deadlines
        self._keepalive_s = keepalive_s
        self._ready = threading.Event()
        self._errors: list[logging.LogRecord] = []

    # The thread.

    @contextmanager
    def running(self) -> Iterator[Live]:
        thread = threading.Thread(target=lambda: uvloop.run(self._main()), name="proxy")
        thread.start()
        assert self._ready.wait(DEADLINE_S)
        log = logging.getLogger("modelux")
        handler = _Errors(self._errors)
        log.addHandler(handler)
        try:
            yield self
        finally:
            log.removeHandler(handler)
            self._loop.call_soon_threadsafe(self._stop.set)
            thread.join(DEADLINE_S)
            assert not thread.is_alive()

    async def _main(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with Simulator.start(Scenario(keep_bodies=True)) as self.simulator, self._proxy() as self.port:
            self._ready.set()
            await self._stop.wait()

    @asynccontextmanager
    async def _proxy(self) -> AsyncIterator[int]:
        self.tenants = self._tenants = tenants(self.simulator.url, {})
        client = Client(Guard(), ssl_context=ssl.create_default_context())
        emitter = Emitter(self._folder, 2**30)
        self.lane = Lane(
            client,
            Registry(),
            emitter,
            Clock(),
            self._deadlines,
            self._keepalive_s,
            Idempotency(),
            RateLimits(),
            Metrics(),
        )
        async with asyncio.TaskGroup() as group:
            self.server = Server(Proxy(self.lane, lambda: self.tenants), group, self._limits)
            listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
            await self.server.listen(listener)
            yield listener.getsockname()[1]
            self.server.close()
        await client.close()
        emitter.close()

    def do(self, work: Callable[[], T]) -> T:
        """Runs `work` in the proxy's thread."""

        async def inside() -> T:
            return work()

        return asyncio.run_coroutine_threadsafe(inside(), self._loop).result(DEADLINE_S)

    def fresh(self) -> None:
        """Healthy providers, a clean book, nothing remembered of the test before."""

        def forget() -> None:
            self.simulator.use(Scenario(keep_bodies=True))
            self.lane.registry = Registry()
            self.lane.idempotency = Idempotency()
            self.tenants = self._tenants
            self._journalled = self.lane.emitter._journal.end
            self._errors.clear()

        self.do(forget)

    def send_to(self, base_urls: Mapping[str, str]) -> None:
        """Lets providers be found elsewhere until the next `fresh`."""
        self.tenants = tenants(self.simulator.url, base_urls)

    def behave(self, **behaviours: Behaviour) -> None:
        """Sets how models answer; a name's `_` stands for `-`, as in `gpt_4o`."""
        rules = [Rule(match=Match(model=n.replace("_", "-") + "*"), behaviour=b) for n, b in behaviours.items()]
        self.do(lambda: self.simulator.use(Scenario(rules=tuple(rules), keep_bodies=True)))

    @property
    def errors(self) -> list[str]:
        """What the proxy logged as its own fault."""
        return [record.getMessage() for record in self._errors]

    def calls(self) -> list[Call]:
        return self.do(self.simulator.calls)

    def journal(self) -> list[RequestCompleted]:
        """Every event of this test so far."""

        def unread() -> list[Frame]:
            found: list[Frame] = []
            cursor = self._journalled
            while True:
                frames, cursor = self.lane.emitter._journal.read(cursor)
                if not frames:
                    return found
                found += frames

        frames = self.do(unread)
        return [RequestCompleted.FromString(f.payload[1 + f.payload[0] + len("req_") + 26 :]) for f in frames]

    def slowest_turn(self) -> Callable[[], float]:
        """Watches the proxy's loop from now on; tells the most work, in seconds, during which it served nobody.

        Processor time of this process: however busy the machine is, others' work does not count.
        """
        worst = 0.0
        last = time.process_time()

        def beat() -> None:
            nonlocal worst, last, handle
            now = time.process_time()
            worst, last = max(worst, now - last), now
            handle = self._loop.call_later(0.01, beat)

        def stop() -> float:
            handle.cancel()
            return worst

        handle = self.do(lambda: self._loop.call_later(0.01, beat))
        return lambda: self.do(stop)

    # The socket.

    def connect(self, receive_buffer: int = 0) -> socket.socket:
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE_S)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def raw(self, *parts: bytes, half_close: bool = False, within_s: float = DEADLINE_S) -> bytes:
        """Sends on a new connection, reading meanwhile, until the proxy closes it. Several parts go out as several
        segments. Raises `Silent`.
        """
        with self.connect() as sock:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            return exchange(sock, parts, half_close, time.monotonic() + within_s)

    def answer(self, *parts: bytes, half_close: bool = False, within_s: float = DEADLINE_S) -> Answer:
        """As `raw`: the one answer that came, checked for what must be in none."""
        began = time.process_time()
        raw = self.raw(*parts, half_close=half_close, within_s=within_s)
        cpu_s = time.process_time() - began
        assert raw, "the connection was closed without an answer"
        found = answers(raw)
        assert len(found) == 1, [each.status for each in found]
        harmless(raw)
        (one,) = found
        return Answer(one.status, one.headers, one.body, one.raw, one.whole, cpu_s)

    def refused(self, data: bytes, status: int, code: str | None) -> Answer:
        """Sends what must be refused: with little work, in the envelope, and without a call at any provider."""
        before = len(self.calls())
        answer = self.answer(data)
        assert (answer.status, answer.error["code"]) == (status, code), answer.raw[:600]
        assert answer.cpu_s < LITTLE_WORK_S
        assert len(self.calls()) == before
        return answer

    def until(self, holds: Callable[[], object], within_s: float = DEADLINE_S) -> None:
        """Waits until something became true."""
        end = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.005)


class _Errors(logging.Handler):
    def __init__(self, records: list[logging.LogRecord]) -> None:
        super().__init__(logging.ERROR)
        self._records = records

    def emit(self, record: logging.LogRecord) -> None:
        self._records.append(record)
