"""Call the replay service in the name of a caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from modelux.replay.v1 import replay_pb2 as pb
from modelux_management.authorized import Caller
from modelux_runtime.calls import call
from modelux_store.experiments import ExperimentRows

A = TypeVar("A", bound=Message)

_DEADLINE_S = 20.0
"""Counting a long window takes ClickHouse a while."""


@dataclass(frozen=True, slots=True)
class Replays:
    """The replay service behind a channel, and the rows that its experiments left."""

    channel: grpc.aio.Channel
    rows: ExperimentRows

    async def ask(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation of experiments that `request` belongs to. Raises `ProblemError`."""
        return await self._call("modelux.replay.v1.ReplayService", caller, request, answer)

    async def schedule(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation of schedules that `request` belongs to. Raises `ProblemError`."""
        return await self._call("modelux.replay.v1.ScheduleService", caller, request, answer)

    async def rollout(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation of rollouts that `request` belongs to. Raises `ProblemError`."""
        return await self._call("modelux.replay.v1.RolloutService", caller, request, answer)

    async def _call(self, service: str, caller: Caller, request: Message, answer: type[A]) -> A:
        actor = pb.Actor(
            organization_id=caller.organization_id,
            key_id=caller.key_id,
            key_hash=caller.actor.key_hash,
            request_id=caller.actor.request_id,
            idempotency_key=caller.actor.idempotency_key,
        )
        request.actor.CopyFrom(actor)  # type: ignore[attr-defined]  # every request of the replay service has it
        return await call(self.channel, service, request, answer, timeout_s=_DEADLINE_S)
