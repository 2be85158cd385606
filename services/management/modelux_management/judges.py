"""Call the judge service in the name of a caller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import grpc.aio
from google.protobuf.message import Message

from modelux_management.authorized import Caller
from modelux_store.judge_verdicts import JudgeVerdicts

A = TypeVar("A", bound=Message)


@dataclass(frozen=True, slots=True)
class Judges:
    """The judge service behind a channel, and the verdicts that its runs left."""

    channel: grpc.aio.Channel
    verdicts: JudgeVerdicts

    async def ask(self, caller: Caller, request: Message, answer: type[A]) -> A:
        """Calls the operation that `request` belongs to. Raises `ProblemError`."""
        return await caller.ask(self.channel, "modelux.judge.v1.JudgeService", request, answer)
