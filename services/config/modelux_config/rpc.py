"""The gRPC edge: decode, perform, encode; refusals travel as a status with a problem in the trailing metadata."""

from __future__ import annotations

import asyncio
import hmac
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import Message

from modelux.config.v1 import admin_pb2 as pb
from modelux.config.v1.snapshot_pb2 import WatchSnapshotRequest, WatchSnapshotResponse
from modelux_config import metrics, rollouts, spend_caps
from modelux_config.bootstrap import bootstrap
from modelux_config.feed import Feed
from modelux_config.operations import OPERATIONS, Operation, perform
from modelux_config.problems import denied
from modelux_config.scope import Ports
from modelux_contracts.errors import Problem, ProblemError
from modelux_runtime.calls import refuse
from modelux_store.database import Database, Unavailable
from modelux_telemetry.meters import Meters

log = logging.getLogger(__name__)

START_S = 2.0
"""How long a call waits for a service that is starting."""
Context = grpc.aio.ServicerContext[Message, Message]
R = TypeVar("R", bound=Message)
Method = Callable[[Message, Context], Coroutine[object, object, Message]]


@dataclass(frozen=True, slots=True)
class Edge:
    """Both services of this process."""

    database: Database
    ports: Ports
    feed: Feed
    bootstrap_token: str
    started: asyncio.Event
    """Set once the schema is there. Calls that come earlier wait for it."""
    meters: Meters = field(default_factory=metrics.meters)

    def register(self, server: grpc.aio.Server) -> None:
        admin = {name: self._admin(operation) for name, operation in OPERATIONS.items()}
        admin["GetSpendCap"] = self._service(spend_caps.get_spend_cap, pb.GetSpendCapRequest, pb.GetSpendCapResponse)
        admin["CloseSpendCap"] = self._service(
            spend_caps.close_spend_cap, pb.CloseSpendCapRequest, pb.CloseSpendCapResponse
        )
        admin["StepRollout"] = self._service(
            rollouts.step_rollout, pb.StepRolloutRequest, pb.StepRolloutResponse, writes=True
        )
        admin["Bootstrap"] = _unary(self._bootstrap, pb.BootstrapRequest, pb.BootstrapResponse)
        watch = grpc.unary_stream_rpc_method_handler(
            self._watch,
            request_deserializer=WatchSnapshotRequest.FromString,
            response_serializer=WatchSnapshotResponse.SerializeToString,
        )
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler("modelux.config.v1.AdminService", admin),
                grpc.method_handlers_generic_handler("modelux.config.v1.SnapshotService", {"WatchSnapshot": watch}),
            )
        )

    def _admin(self, operation: Operation) -> grpc.RpcMethodHandler[Message, Message]:
        async def work(request: Message) -> Message:
            answer = await perform(self.database, self.ports, operation, request)
            if operation.writes:
                self.feed.poke()
            return answer

        return _unary(self._guarded(operation.name, work), operation.request, operation.response)

    def _service(
        self,
        operation: Callable[[Database, Ports, R], Awaitable[Message]],
        request: type[R],
        response: type[Message],
        *,
        writes: bool = False,
    ) -> grpc.RpcMethodHandler[Message, Message]:
        """An operation that has no actor: other services of the installation ask for it. `writes` what proxies know."""

        async def work(asked: Message) -> Message:
            assert isinstance(asked, request)
            answer = await operation(self.database, self.ports, asked)
            if writes:
                self.feed.poke()
            return answer

        return _unary(self._guarded(request.DESCRIPTOR.name.removesuffix("Request"), work), request, response)

    def _guarded(self, name: str, work: Callable[[Message], Awaitable[Message]]) -> Method:
        """Waits for the start, counts the call, and tells refusals as problems."""

        async def call(request: Message, context: Context) -> Message:
            try:
                async with asyncio.timeout(START_S):
                    await self.started.wait()
                answer = await work(request)
            except ProblemError as error:
                self.meters.add("calls", 1, name, str(error.problem.status))
                return await refuse(context, error.problem)
            except (Unavailable, TimeoutError) as error:
                self.meters.add("calls", 1, name, "503")
                return await _unavailable(context, error)
            self.meters.add("calls", 1, name, "200")
            return answer

        return call

    async def _bootstrap(self, request: Message, context: Context) -> Message:
        assert isinstance(request, pb.BootstrapRequest)
        if not self._may_bootstrap(request.token, context.peer()):
            hint = "Set MODELUX_CONFIG_BOOTSTRAP_TOKEN on both sides, or call over a Unix socket."
            return await refuse(context, denied("The bootstrap token is missing or wrong.", hint).problem)
        await self.started.wait()
        try:
            answer = await bootstrap(self.database, self.ports, request)
        except ProblemError as error:
            return await refuse(context, error.problem)
        except Unavailable as error:
            return await _unavailable(context, error)
        self.feed.poke()
        return answer

    def _may_bootstrap(self, token: str, peer: str) -> bool:
        if not self.bootstrap_token:
            return peer.startswith("unix:")
        return hmac.compare_digest(token.encode(), self.bootstrap_token.encode())

    async def _watch(self, request: WatchSnapshotRequest, context: Context) -> AsyncIterator[WatchSnapshotResponse]:
        await self.started.wait()
        log.info("proxy %r watches from version %d", request.proxy_id[:100], request.since_version)
        async for update in self.feed.watch(request.since_version):
            yield update


def _unary(method: Method, request: type[Message], response: type[Message]) -> grpc.RpcMethodHandler[Message, Message]:
    return grpc.unary_unary_rpc_method_handler(
        method,
        request_deserializer=request.FromString,
        response_serializer=response.SerializeToString,
    )


async def _unavailable(context: Context, error: Exception) -> Message:
    log.warning("the database is not available: %s", error or "not reached yet")
    hint = "Try again in a few seconds."
    return await refuse(
        context, Problem(503, "database_unavailable", "Not available", "The database cannot be reached.", hint)
    )
