"""Call the replay service in the name of a caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from modelux_management.authorized import Caller
from modelux_store.experiments import ExperimentRows

A = TypeVar("A", bound=Message)


@dataclass(frozen=True, slots=True)
class Replays:
    """The replay service behind a channel, and the rows that its experiments left."""

    channel: grpc.aio.Channel
    rows: ExperimentRows

    async def ask(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation of experiments that `request` belongs to. Raises `ProblemError`."""
        return await caller.ask(self.channel, "modelux.replay.v1.ReplayService", request, answer)

    async def schedule(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation of schedules that `request` belongs to. Raises `ProblemError`."""
        return await caller.ask(self.channel, "modelux.replay.v1.ScheduleService", request, answer)

    async def rollout(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation of rollouts that `request` belongs to. Raises `ProblemError`."""
        return await caller.ask(self.channel, "modelux.replay.v1.RolloutService", request, answer)
