"""Serve the operations of a gRPC service: decode, call one function, encode; refusals travel as problems."""

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

from modelux_contracts.errors import Problem, ProblemError
from modelux_runtime.calls import refuse
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

START_S = 2.0
"""How long a call waits for a service that is starting."""
Context = grpc.aio.ServicerContext[Message, Message]
Method = Callable[[Any], Awaitable[Message]]
Failure = Callable[[Exception], Problem | None]
"""What a caller hears of an exception of the service's own; None: it is a fault of ours."""


@dataclass(frozen=True, slots=True)
class Operations:
    """The methods of one service, by name. Calls that come before `started` is set wait for it."""

    service: ServiceDescriptor
    methods: Mapping[str, Method]
    started: asyncio.Event
    failure: Failure = lambda error: None

    def register(self, server: grpc.aio.Server) -> None:
        handlers = {name: self._handler(name, method) for name, method in self.methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(self.service.full_name, handlers),))

    def _handler(self, name: str, method: Method) -> grpc.RpcMethodHandler[Message, Message]:
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
            except Exception as error:
                problem = self.failure(error)
                if problem is None:
                    raise
                return await refuse(context, problem)

        operation = self.service.methods_by_name[name]
        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=GetMessageClass(operation.input_type).FromString,
            response_serializer=GetMessageClass(operation.output_type).SerializeToString,
        )
