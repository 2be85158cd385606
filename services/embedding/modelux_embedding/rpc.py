"""The gRPC edge: decode, call one function, encode; refusals travel as problems."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc
import grpc.aio
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from modelux.embedding.v1 import embedding_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_embedding.desk import Desk
from modelux_embedding.embedder import EmbedderFailed
from modelux_runtime.calls import refuse
from modelux_store.errors import Unavailable
from routing_core.errors import ModeluxError

log = logging.getLogger(__name__)

SERVICE = pb.DESCRIPTOR.services_by_name["EmbeddingService"]
Context = grpc.aio.ServicerContext[Message, Message]
Method = Callable[[Any], Awaitable[Message]]


@dataclass(frozen=True, slots=True)
class Edge:
    """The EmbeddingService."""

    desk: Desk

    def register(self, server: grpc.aio.Server) -> None:
        methods: dict[str, Method] = {
            "Describe": self.desk.describe,
            "Embed": self.desk.embed,
            "Score": self.desk.score,
            "Similar": self.desk.similar,
            "Cluster": self.desk.cluster,
        }
        handlers = {name: self._handler(name, method) for name, method in methods.items()}
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE.full_name, handlers),))

    def _handler(self, name: str, method: Method) -> grpc.RpcMethodHandler[Message, Message]:
        async def call(request: Message, context: Context) -> Message:
            try:
                return await method(request)
            except ProblemError as error:
                return await refuse(context, error.problem)
            except EmbedderFailed as error:
                log.warning("%s: %s", name, error)
                status = 503 if error.passing else 502
                return await refuse(context, Problem(status, "embedder_failed", "No vectors", str(error), error.hint))
            except ModeluxError as error:
                return await refuse(context, Problem(501, error.code, "Not installed", error.message, error.hint))
            except Unavailable as error:
                log.warning("%s: the request log is not available: %s", name, error)
                detail, hint = "The request log cannot be reached.", "Try again in a few seconds."
                return await refuse(context, Problem(503, "store_unavailable", "Not available", detail, hint))

        operation = SERVICE.methods_by_name[name]
        return grpc.unary_unary_rpc_method_handler(
            call,
            request_deserializer=GetMessageClass(operation.input_type).FromString,
            response_serializer=GetMessageClass(operation.output_type).SerializeToString,
        )
