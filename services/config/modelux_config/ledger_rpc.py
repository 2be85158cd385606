"""The ledger's gRPC edge. Served to whoever may watch the snapshot: spenders of this installation."""

from __future__ import annotations

import logging
from asyncio import Event, timeout
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message

from modelux.ledger.v1 import ledger_pb2 as pb
from modelux_config.ledger import Ledger
from modelux_config.ledger_rows import Retry
from modelux_ledger import wire
from modelux_store.database import AlreadyExists, Unavailable

log = logging.getLogger(__name__)

START_S = 2.0
MAX_NAME = 200
MAX_VALUE = 1_024
MAX_WANTS = 64
MAX_REPORTS = 1_000
MAX_AMOUNT = 2**62
Context = grpc.aio.ServicerContext[Message, Message]


class Refused(Exception):
    """A request that no spender of this release sends."""


@dataclass(frozen=True, slots=True)
class LedgerEdge:
    """The service `modelux.ledger.v1.LedgerService`."""

    ledger: Ledger
    started: Event
    """Set once the schema is there. Calls that come earlier wait for it."""

    def register(self, server: grpc.aio.Server) -> None:
        handlers: dict[str, grpc.RpcMethodHandler[Any, Any]] = {
            "Join": _unary(self, self._join, pb.JoinRequest),
            "Grant": _unary(self, self._grant, pb.GrantRequest),
            "Refuse": _unary(self, self._refuse, pb.RefuseRequest),
            "Report": _unary(self, self._report, pb.ReportRequest),
            "Recalls": grpc.unary_stream_rpc_method_handler(
                self._recalls,
                request_deserializer=pb.RecallsRequest.FromString,
                response_serializer=pb.RecallsResponse.SerializeToString,
            ),
        }
        name = "modelux.ledger.v1.LedgerService"
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(name, handlers),))

    async def _join(self, request: pb.JoinRequest) -> Message:
        if request.replica_id:
            _name(request.replica_id, "replica_id")
        return wire.join_response(await self.ledger.join(request.replica_id))

    async def _grant(self, request: pb.GrantRequest) -> Message:
        _name(request.replica_id, "replica_id")
        _name(request.op_id, "op_id")
        _few(len(request.wants), MAX_WANTS, "wants")
        for want in request.wants:
            _meter(want.meter)
            _amount(want.need, 1, "need")
            _amount(want.want, 0, "want")
        asks = wire.asks(request)
        if not asks or len({ask.meter for ask in asks}) < len(asks):
            raise Refused("wants name each meter once, and at least one")
        return wire.grant_response(await self.ledger.grant(request.replica_id, request.epoch, request.op_id, asks))

    async def _refuse(self, request: pb.RefuseRequest) -> Message:
        for field in ("replica_id", "request_id"):
            _name(getattr(request, field), field)
        _meter(request.meter)
        _amount(request.needed, 0, "needed")
        meter = wire.meter(request.meter)
        names = (request.replica_id, request.epoch, meter, request.needed, request.request_id)
        return pb.RefuseResponse(denied=wire.to_denied(await self.ledger.refuse(*names)))

    async def _report(self, request: pb.ReportRequest) -> Message:
        _name(request.replica_id, "replica_id")
        _few(len(request.leases), MAX_REPORTS, "leases")
        for told in request.leases:
            _name(told.lease_id, "lease_id")
            _meter(told.meter)
            for name in ("window_start_us", "granted", "settled", "unknown", "overrun"):
                _amount(getattr(told, name), 0, name)
        answers = await self.ledger.report(request.replica_id, request.epoch, wire.reports(request))
        return pb.ReportResponse(leases=wire.to_answers(answers))

    async def _recalls(self, request: pb.RecallsRequest, context: Context) -> AsyncIterator[pb.RecallsResponse]:
        async for meters in self.ledger.recalls.subscribe(request.replica_id):
            yield pb.RecallsResponse(meters=[wire.to_meter(meter) for meter in meters])


def _unary(
    edge: LedgerEdge, method: Callable[..., Awaitable[Message]], request: type[Message]
) -> grpc.RpcMethodHandler[Message, Message]:
    async def call(asked: Message, context: Context) -> Message:
        try:
            async with timeout(START_S):
                await edge.started.wait()
            return await method(asked)
        except Refused as error:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, str(error))
        except (Unavailable, TimeoutError, Retry, AlreadyExists) as error:
            log.warning("the ledger is not available: %s", str(error) or type(error).__name__)
            await context.abort(grpc.StatusCode.UNAVAILABLE, "the ledger's database cannot be reached")
        raise AssertionError("abort raises")

    return grpc.unary_unary_rpc_method_handler(
        call, request_deserializer=request.FromString, response_serializer=lambda answer: answer.SerializeToString()
    )


def _name(text: str, field: str) -> None:
    if not 0 < len(text) <= MAX_NAME or not text.isprintable():
        raise Refused(f"{field} is not 1 to {MAX_NAME} printable characters")


def _meter(meter: pb.Meter) -> None:
    _name(meter.budget_id, "budget_id")
    _name(meter.unit, "unit")
    if len(meter.value.encode()) > MAX_VALUE or "\x00" in meter.value:
        raise Refused(f"value is longer than {MAX_VALUE} bytes, or holds a NUL")


def _few(count: int, most: int, field: str) -> None:
    if count > most:
        raise Refused(f"{field} holds {count} entries; send at most {most} at once")


def _amount(value: int, least: int, field: str) -> None:
    if not least <= value <= MAX_AMOUNT:
        raise Refused(f"{field} is {value}, not {least} to {MAX_AMOUNT}")
