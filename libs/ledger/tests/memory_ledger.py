"""The ledger's own code over rows in memory, served over gRPC, with the faults that a test asks for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import grpc.aio

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux.ledger.v1.ledger_pb2_grpc import LedgerServiceServicer, add_LedgerServiceServicer_to_server
from modelux_contracts.ids import new_id
from modelux_ledger import wire
from routing_core.ledger import server
from routing_core.ledger.books import Account
from routing_core.ledger.messages import Denied
from routing_core.ledger.meters import Meter
from routing_core.ledger.server import Unit


@dataclass(slots=True)
class MemoryLedger(LedgerServiceServicer):
    """Budgets by id with their caps. An account has one window, `window_us` long from 0 on; 0: without end."""

    caps: dict[str, int]
    soft: frozenset[str] = frozenset()
    window_us: int = 0
    unit: Unit = field(default_factory=lambda: Unit(0))
    calls: list[str] = field(default_factory=list)
    """The names of the methods that were called."""
    asks: list[pb.GrantRequest] = field(default_factory=list)
    down: bool = False
    """Every call is refused, as when the database is away."""
    deaf: set[str] = field(default_factory=set)
    """Methods whose calls are done, but whose answers get lost."""
    held: dict[str, asyncio.Event] = field(default_factory=dict)
    """Methods that wait for an event before they do anything."""
    arrived: asyncio.Event = field(default_factory=asyncio.Event)
    """A call was answered; for tests that wait for one."""
    recalls: dict[str, asyncio.Queue[list[Meter]]] = field(default_factory=dict)
    recall_wait_s: float = 5.0
    """Until a denial is final; in a test, another replica's report ends it."""

    # What a test looks at

    def account(self, meter: Meter) -> Account:
        """The account of the present window."""
        start = self.unit.now_us // self.window_us * self.window_us if self.window_us else 0
        found = self.unit.accounts.get((meter, start))
        if found is None:
            end = start + self.window_us if self.window_us else 0
            hard = meter.budget_id not in self.soft
            found = Account(meter, start, end, self.caps[meter.budget_id], hard, started_us=self.unit.now_us)
            self.unit.accounts[meter, start] = found
        return found

    async def until(self, check: Any) -> None:
        """Waits until calls made `check` true."""
        async with asyncio.timeout(30):
            while not check():
                self.arrived.clear()
                await self.arrived.wait()

    # What spenders call

    async def Join(self, request: pb.JoinRequest, context: Any) -> pb.JoinResponse:
        await self._begin("Join", context)
        joined = server.join(self.unit, request.replica_id or new_id("rep_"))
        return await self._answer("Join", context, wire.join_response(joined))

    async def Grant(self, request: pb.GrantRequest, context: Any) -> pb.GrantResponse:
        self.asks.append(request)
        await self._begin("Grant", context)
        answer = self._grant(request, final=False)
        if isinstance(answer, Denied) and answer.reason == "exceeded" and self._recall(request):
            with suppress(TimeoutError):
                async with asyncio.timeout(self.recall_wait_s):
                    while isinstance(answer := self._grant(request, final=False), Denied):
                        self.arrived.clear()
                        await self.arrived.wait()
        if isinstance(answer, Denied):
            answer = self._grant(request, final=True)
        return await self._answer("Grant", context, wire.grant_response(answer))

    async def Refuse(self, request: pb.RefuseRequest, context: Any) -> pb.RefuseResponse:
        await self._begin("Refuse", context)
        meter = wire.meter(request.meter)
        self.unit.current[meter] = self.account(meter)
        denied = server.refuse(self.unit, request.replica_id, request.epoch, meter, request.needed, run=True)
        return await self._answer("Refuse", context, pb.RefuseResponse(denied=wire.to_denied(denied)))

    async def Report(self, request: pb.ReportRequest, context: Any) -> pb.ReportResponse:
        await self._begin("Report", context)
        reports = wire.reports(request)
        for told in reports:
            self.account(told.meter)
        answers = server.report(self.unit, request.replica_id, request.epoch, reports)
        return await self._answer("Report", context, pb.ReportResponse(leases=wire.to_answers(answers)))

    async def Recalls(self, request: pb.RecallsRequest, context: Any) -> AsyncIterator[pb.RecallsResponse]:
        await self._begin("Recalls", context)
        queue = self.recalls[request.replica_id] = asyncio.Queue()
        self.arrived.set()
        while True:
            meters = await queue.get()
            yield pb.RecallsResponse(meters=[wire.to_meter(meter) for meter in meters])

    # Steps of the above

    def _grant(self, request: pb.GrantRequest, *, final: bool) -> Any:
        asks = wire.asks(request)
        for ask in asks:
            if ask.meter.budget_id in self.caps:
                self.unit.current[ask.meter] = self.account(ask.meter)
        self.unit.live_replicas = len(self.unit.replicas)
        return server.grant(self.unit, request.replica_id, request.epoch, request.op_id, asks, final=final)

    def _recall(self, request: pb.GrantRequest) -> bool:
        others = [queue for replica_id, queue in self.recalls.items() if replica_id != request.replica_id]
        for queue in others:
            queue.put_nowait([wire.meter(want.meter) for want in request.wants])
        return bool(others)

    async def _begin(self, method: str, context: Any) -> None:
        self.calls.append(method)
        self.arrived.set()
        if method in self.held:
            await self.held[method].wait()
        if self.down:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the database cannot be reached")

    async def _answer(self, method: str, context: Any, answer: Any) -> Any:
        self.arrived.set()
        if method in self.deaf:
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the connection broke")
        return answer


@asynccontextmanager
async def served(ledger: MemoryLedger, folder: Path) -> AsyncIterator[str]:
    """Serves at a Unix socket in `folder`; the target to open channels to."""
    target = f"unix:{folder}/ledger.sock"
    serving = grpc.aio.server()
    add_LedgerServiceServicer_to_server(ledger, serving)
    serving.add_insecure_port(target)
    await serving.start()
    try:
        yield target
    finally:
        await serving.stop(0)
