"""The gRPC edge: decode, call one function, encode; refusals travel as problems."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.descriptor import ServiceDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from modelux.replay.v1 import replay_pb2 as pb
from modelux.replay.v1 import schedule_pb2
from modelux_contracts.errors import Problem, ProblemError
from modelux_replay.desk import Desk
from modelux_replay.measuring import Measuring
from modelux_replay.promote import Promoter
from modelux_replay.schedule_desk import ScheduleDesk
from modelux_runtime.calls import refuse
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

START_S = 2.0
"""How long a call waits for a service that is starting."""
SERVICE = pb.DESCRIPTOR.services_by_name["ReplayService"]
SCHEDULES = schedule_pb2.DESCRIPTOR.services_by_name["ScheduleService"]
Context = grpc.aio.ServicerContext[Message, Message]
Method = Callable[[Any], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Edge:
    """The ReplayService and the ScheduleService. Calls that come before `started` is set wait for it."""

    desk: Desk
    promoter: Promoter
    started: asyncio.Event
    schedules: ScheduleDesk

    def register(self, server: grpc.aio.Server) -> None:
        methods: dict[str, Method] = {
            "Preflight": self.desk.preflight,
            "Create": self.desk.create,
            "Get": self.desk.get,
            "List": self.desk.list,
            "Cancel": self.desk.cancel,
            "Promote": self.promoter.promote,
            "MayCall": self.desk.may_call,
            "Scorecard": Measuring.of(self.desk.runs).scorecard,
        }
        scheduling: dict[str, Method] = {
            "CreateSchedule": self.schedules.create,
            "GetSchedule": self.schedules.get,
            "ListSchedules": self.schedules.list,
            "UpdateSchedule": self.schedules.update,
            "DeleteSchedule": self.schedules.delete,
            "FireSchedule": self.schedules.fire,
        }
        server.add_generic_rpc_handlers((self._service(SERVICE, methods), self._service(SCHEDULES, scheduling)))

    def _service(self, service: ServiceDescriptor, methods: Mapping[str, Method]) -> grpc.GenericRpcHandler:
        handlers = {name: self._handler(service, name, method) for name, method in methods.items()}
        return grpc.method_handlers_generic_handler(service.full_name, handlers)

    def _handler(
        self, service: ServiceDescriptor, name: str, method: Method
    ) -> grpc.RpcMethodHandler[Message, Message]:
        async def call(request: Message, context: Context) -> Message:
            try:
                async with asyncio.timeout(START_S):
                    await self.started.wait()
                return await method(request)
            except ProblemError as error:
                return await refuse(context, error.problem)
            except (Unavailable, TimeoutError) as error:
                log.warning("%s: a store is not available: %s", name, error or "not reached yet")
                detail, hint = "The database or the request log cannot be reached.", "Try again in a few seconds."
                return await refuse(context, Problem(503, "store_unavailable", "Not available", detail, hint))

        operation = service.methods_by_name[name]
        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=GetMessageClass(operation.input_type).FromString,
            response_serializer=GetMessageClass(operation.output_type).SerializeToString,
        )
