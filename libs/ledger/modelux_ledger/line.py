"""Speak with the ledger: one method per call, each within its deadline; what fails is `Unreachable`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import grpc
import grpc.aio

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux.ledger.v1.ledger_pb2_grpc import LedgerServiceStub
from modelux_ledger import wire
from routing_core.ledger.holder import GrantAsk
from routing_core.ledger.messages import Denied, Granted, Joined, LeaseAnswer, LeaseReport
from routing_core.ledger.meters import Meter


class Unreachable(Exception):
    """No answer in time: whether the ledger took the call is not known."""


@dataclass(frozen=True, slots=True)
class Pace:
    """How long a spender waits, and how often it speaks, in seconds."""

    patience_s: float = 1.0
    """What a call waits for its slice, over all."""
    grant_s: float = 0.8
    """For the answer to one ask, its one repeat included."""
    repeat_after_s: float = 0.05
    answer_s: float = 2.0
    """For any other answer."""
    report_s: float = 0.2
    report_items: int = 1000
    """So many settled calls are reported before that."""
    resync_s: float = 30.0
    backoff_s: float = 0.1
    longest_backoff_s: float = 2.0
    close_s: float = 3.0


class Line:
    """The ledger as one spender sees it."""

    def __init__(self, channel: grpc.aio.Channel, pace: Pace) -> None:
        self._stub = LedgerServiceStub(channel)
        self._pace = pace

    async def join(self, replica_id: str) -> Joined:
        """Begins a life. Raises Unreachable."""
        try:
            answer = await self._stub.Join(pb.JoinRequest(replica_id=replica_id), timeout=self._pace.answer_s)
        except grpc.aio.AioRpcError as error:
            raise Unreachable(_told(error)) from error
        return wire.joined(answer)

    async def grant(self, replica_id: str, epoch: int, ask: GrantAsk) -> tuple[Granted, ...] | Denied:
        """Asks, and repeats the ask once where its answer failed to come. Raises Unreachable."""
        request = wire.grant_request(replica_id, epoch, ask.op_id, ask.asks)
        try:
            async with asyncio.timeout(self._pace.grant_s):
                with suppress(grpc.aio.AioRpcError):
                    return wire.grant_answer(await self._stub.Grant(request, timeout=self._pace.grant_s))
                await asyncio.sleep(self._pace.repeat_after_s)
                return wire.grant_answer(await self._stub.Grant(request, timeout=self._pace.grant_s))
        except grpc.aio.AioRpcError as error:
            raise Unreachable(_told(error)) from error
        except TimeoutError as error:
            raise Unreachable("no answer in time") from error

    async def refuse(self, replica_id: str, epoch: int, meter: Meter, needed: int, request_id: str) -> Denied:
        """Tells of a call that was refused for good. Raises Unreachable."""
        request = wire.refuse_request(replica_id, epoch, meter, needed, request_id)
        try:
            answer = await self._stub.Refuse(request, timeout=self._pace.grant_s)
        except grpc.aio.AioRpcError as error:
            raise Unreachable(_told(error)) from error
        return wire.denied(answer.denied)

    async def report(self, replica_id: str, epoch: int, reports: Sequence[LeaseReport]) -> tuple[LeaseAnswer, ...]:
        """Tells totals; none: a sign of life. Raises Unreachable."""
        request = wire.report_request(replica_id, epoch, reports)
        try:
            answer = await self._stub.Report(request, timeout=self._pace.answer_s)
        except grpc.aio.AioRpcError as error:
            raise Unreachable(_told(error)) from error
        return wire.answers(answer.leases)

    async def recalls(self, replica_id: str) -> AsyncGenerator[list[Meter], None]:
        """Meters that others are short of, until the connection ends. Raises Unreachable."""
        call = self._stub.Recalls(pb.RecallsRequest(replica_id=replica_id))
        try:
            async for each in call:
                yield [wire.meter(meter) for meter in each.meters]
        except grpc.aio.AioRpcError as error:
            raise Unreachable(_told(error)) from error
        finally:
            call.cancel()


def _told(error: grpc.aio.AioRpcError) -> str:
    return f"{error.code().name}: {error.details()}"
