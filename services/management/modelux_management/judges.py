"""Call the judge service in the name of a caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from modelux.replay.v1 import replay_pb2 as replay
from modelux_management.authorized import Caller
from modelux_runtime.calls import call
from modelux_store.judge_verdicts import JudgeVerdicts

A = TypeVar("A", bound=Message)

_SERVICE = "modelux.judge.v1.JudgeService"
_DEADLINE_S = 20.0
"""Reading the pairs of a large experiment takes ClickHouse a while."""


@dataclass(frozen=True, slots=True)
class Judges:
    """The judge service behind a channel, and the verdicts that its runs left."""

    channel: grpc.aio.Channel
    verdicts: JudgeVerdicts

    async def ask(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation that `request` belongs to. Raises `ProblemError`."""
        actor = replay.Actor(
            organization_id=caller.organization_id,
            key_id=caller.key_id,
            key_hash=caller.actor.key_hash,
            request_id=caller.actor.request_id,
            idempotency_key=caller.actor.idempotency_key,
        )
        request.actor.CopyFrom(actor)  # type: ignore[attr-defined]  # every request of the judge service has it
        return await call(self.channel, _SERVICE, request, answer, timeout_s=_DEADLINE_S)
