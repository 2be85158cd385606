"""Call the config service: one method per operation, refusals raised as the problems they carry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from modelux_runtime.calls import call

A = TypeVar("A", bound=Message)

_SERVICE = "modelux.config.v1.AdminService"


@dataclass(frozen=True, slots=True)
class Admin:
    """The config service's AdminService behind a channel."""

    channel: grpc.aio.Channel

    async def call(self, request: Message, answer: type[A]) -> A:
        """Calls the operation that `request` belongs to (`CreateProjectRequest` -> `CreateProject`).

        Raises `ProblemError`: what the service refused, or 503 while it cannot be reached or does not answer in time.
        """
        return await call(self.channel, _SERVICE, request, answer)
