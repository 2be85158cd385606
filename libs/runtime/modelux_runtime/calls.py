"""Call another service, and refuse its calls: problems travel as a gRPC status with their details in the metadata."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from modelux.config.v1.admin_pb2 import FieldProblem, ProblemDetail
from modelux_contracts.errors import Problem, ProblemError
from modelux_runtime.rpc import DEADLINE_S

log = logging.getLogger(__name__)

A = TypeVar("A", bound=Message)

PROBLEM_KEY = "modelux-problem-bin"
"""Trailing metadata that holds a serialised `ProblemDetail`."""
_BACK_S = 1.0
"""How long a call waits for a service that could not be reached before; channels try again more often than that."""
_AWAY = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_STATUS = {
    400: grpc.StatusCode.INVALID_ARGUMENT,
    401: grpc.StatusCode.UNAUTHENTICATED,
    403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND,
    409: grpc.StatusCode.ALREADY_EXISTS,
    412: grpc.StatusCode.FAILED_PRECONDITION,
    422: grpc.StatusCode.INVALID_ARGUMENT,
    501: grpc.StatusCode.UNIMPLEMENTED,
    503: grpc.StatusCode.UNAVAILABLE,
}


async def call(
    channel: grpc.aio.Channel, service: str, request: Message, answer: type[A], *, timeout_s: float = DEADLINE_S
) -> A:
    """Calls the operation that `request` belongs to (`CreateProjectRequest` -> `CreateProject`) of a service, named in
    full.

    Raises `ProblemError`: what the service refused, or 503 while it cannot be reached or does not answer in time. One
    that was away at the last look gets a moment to be back: it may just have started.
    """
    operation = request.DESCRIPTOR.name.removesuffix("Request")
    method = channel.unary_unary(
        f"/{service}/{operation}",
        request_serializer=type(request).SerializeToString,
        response_deserializer=answer.FromString,
    )
    if channel.get_state() is grpc.ChannelConnectivity.TRANSIENT_FAILURE:
        with suppress(TimeoutError):
            async with asyncio.timeout(_BACK_S):
                await channel.channel_ready()
    try:
        return await method(request, timeout=timeout_s)
    except grpc.aio.AioRpcError as error:
        raise ProblemError(_problem(service, operation, error)) from error


async def refuse(context: grpc.aio.ServicerContext[Message, Message], problem: Problem) -> Message:
    """Ends the call of a caller with a problem."""
    detail = ProblemDetail(
        status=problem.status,
        code=problem.code,
        title=problem.title,
        detail=problem.detail,
        hint=problem.hint,
        errors=[FieldProblem(**each) for each in problem.errors],
    )
    told = f"{problem.code}: {problem.detail} {problem.hint}".strip()
    status = _STATUS.get(problem.status, grpc.StatusCode.UNKNOWN)
    await context.abort(status, told, trailing_metadata=((PROBLEM_KEY, detail.SerializeToString()),))
    raise AssertionError("abort raises")


def _problem(service: str, operation: str, error: grpc.aio.AioRpcError) -> Problem:
    name = service.split(".")[1]
    carried = error.trailing_metadata().get(PROBLEM_KEY) if error.trailing_metadata() else None
    if isinstance(carried, bytes):
        try:
            return _decoded(ProblemDetail.FromString(carried))
        except DecodeError:
            log.exception("the problem of %s cannot be read", operation)
    if error.code() in _AWAY:
        log.warning("%s: %s, %s", operation, error.code().name, error.details())
        hint = f"Try again in a few seconds; see /readyz and the logs of the {name} service."
        return Problem(503, f"{name}_unavailable", "Not available", f"The {name} service cannot be reached.", hint)
    log.error("%s failed with %s: %s", operation, error.code().name, error.details())
    return Problem(500, "internal_error", "Internal error", f"The {name} service failed; its log tells why.")


def _decoded(detail: ProblemDetail) -> Problem:
    errors = [
        {n: v for n, v in (("field", e.field), ("message", e.message), ("hint", e.hint)) if v} for e in detail.errors
    ]
    return Problem(detail.status, detail.code, detail.title, detail.detail, detail.hint, tuple(errors))
