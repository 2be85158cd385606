"""Call the config service: one method per operation, refusals raised as the problems they carry."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TypeVar

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message

from modelux.config.v1.admin_pb2 import ProblemDetail
from modelux_contracts.errors import Problem, ProblemError
from modelux_runtime.rpc import DEADLINE_S

log = logging.getLogger(__name__)

A = TypeVar("A", bound=Message)

_PROBLEM_KEY = "modelux-problem-bin"


@dataclass(frozen=True, slots=True)
class Admin:
    """The config service's AdminService behind a channel."""

    channel: grpc.aio.Channel

    async def call(self, request: Message, answer: type[A]) -> A:
        """Calls the operation that `request` belongs to (`CreateProjectRequest` -> `CreateProject`).

        Raises `ProblemError`: what the service refused, or 503 while it cannot be reached or does not answer in time.
        """
        operation = request.DESCRIPTOR.name.removesuffix("Request")
        method = self.channel.unary_unary(
            f"/modelux.config.v1.AdminService/{operation}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        try:
            return await method(request, timeout=DEADLINE_S)
        except grpc.aio.AioRpcError as error:
            raise ProblemError(_problem(operation, error)) from error


def _problem(operation: str, error: grpc.aio.AioRpcError) -> Problem:
    carried = error.trailing_metadata().get(_PROBLEM_KEY) if error.trailing_metadata() else None
    if isinstance(carried, bytes):
        try:
            return _decoded(ProblemDetail.FromString(carried))
        except DecodeError:
            log.exception("the problem of %s cannot be read", operation)
    if error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED):
        hint = "Try again in a few seconds; see /readyz and the logs of the config service."
        return Problem(503, "config_unavailable", "Not available", "The config service cannot be reached.", hint)
    log.error("%s failed with %s: %s", operation, error.code().name, error.details())
    return Problem(500, "internal_error", "Internal error", "The config service failed; its log tells why.")


def _decoded(detail: ProblemDetail) -> Problem:
    errors = [
        {n: v for n, v in (("field", e.field), ("message", e.message), ("hint", e.hint)) if v} for e in detail.errors
    ]
    return Problem(detail.status, detail.code, detail.title, detail.detail, detail.hint, tuple(errors))
