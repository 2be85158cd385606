"""Rollouts as callers of the service see them, and the live traffic of their arms."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message
from replay_harness import Clock, Replay, fill, requests

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import rollout_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_replay.experiments import completed_event
from modelux_replay.rollout.stepper import Stepper
from modelux_replay.runs import Runs
from modelux_runtime.auth import key_hash
from modelux_runtime.calls import call

A = TypeVar("A", bound=Message)

SECOND_US = 1_000_000
STEP_S = 60
CANDIDATE = {"strategy": "single", "model": "gpt-4o-mini"}


@dataclass
class Rolling:
    """One tenant's rollouts of one promoted experiment."""

    acme: Replay
    runs: Runs
    clock: Clock
    stepper: Stepper
    experiment_id: str = ""
    config_id: str = ""

    async def promote(self, **how: Any) -> None:
        """A completed experiment, promoted as a split at version 2 of @production."""
        made = await self.acme.create({"model": "gpt-4o-mini"})
        one = await self.runs.experiments.claim(made.id, self.clock())
        assert one is not None
        event = completed_event(one, "completed", "", self.clock())
        await self.runs.experiments.end(one, "completed", self.clock(), completed=event, summary="{}")
        self.experiment_id = made.id
        found = await self.acme.promote(made.id, **{"mode": "ab_test", "weight": 0.02, **how})
        self.config_id = found.promotion.routing_config_id

    async def ask(self, request: Message, answer: type[A], *, key: str = "", secret: str = "") -> A:
        tenant = self.acme.tenant
        actor = replay.Actor(
            organization_id=tenant.organization_id,
            key_id=f"mk_{tenant.organization_id}",
            key_hash=key_hash(secret or tenant.key),
            request_id="req_test",
            idempotency_key=key,
        )
        request.actor.CopyFrom(actor)  # type: ignore[attr-defined]  # every request has it
        return await call(self.acme.channel, "modelux.replay.v1.RolloutService", request, answer, timeout_s=20)

    async def start(self, key: str = "", secret: str = "", **fields: Any) -> pb.RolloutRecord:
        spec = pb.RolloutSpec(**{"experiment_id": self.experiment_id, "step_s": STEP_S, "step_requests": 100, **fields})
        asked = pb.StartRolloutRequest(spec=spec)
        return (await self.ask(asked, pb.StartRolloutResponse, key=key, secret=secret)).rollout

    async def get(self, identifier: str) -> pb.RolloutRecord:
        return (await self.ask(pb.GetRolloutRequest(id=identifier), pb.GetRolloutResponse)).rollout

    async def cancel(self, identifier: str, **how: str) -> pb.RolloutRecord:
        return (await self.ask(pb.CancelRolloutRequest(id=identifier), pb.CancelRolloutResponse, **how)).rollout

    async def refused(self, request: Message, answer: type[Message], **how: str) -> Problem:
        try:
            await self.ask(request, answer, **how)
        except ProblemError as error:
            return error.problem
        raise AssertionError(f"{request.DESCRIPTOR.name} was not refused")

    async def start_refused(self, secret: str = "", **fields: Any) -> Problem:
        spec = pb.RolloutSpec(**{"experiment_id": self.experiment_id, **fields})
        return await self.refused(pb.StartRolloutRequest(spec=spec), pb.StartRolloutResponse, secret=secret)

    async def active(self) -> tuple[int, Any]:
        """Number and policy of the active version."""
        found = (await self.acme.tenant("GetRoutingConfig", id=self.config_id)).routing_config
        return found.active_version, json.loads(found.policy_json)

    async def latest(self) -> int:
        return int((await self.acme.tenant("GetRoutingConfig", id=self.config_id)).routing_config.latest_version)

    async def serve(self, version: int, current: int, candidate: int, *, broken: bool = False, **fields: Any) -> None:
        """Requests of both arms from now on, a millisecond apart. `broken`: those of the candidate fail."""
        for arm, count in (("current", current), ("candidate", candidate)):
            events = requests(self.acme.tenant, count, config_slug="production", config_version=version, **fields)
            for number, event in enumerate(events):
                event.request_id = f"req_{version}_{self.clock()}_{arm}_{number}"
                event.started_at_us = self.clock() + number * 1_000
                event.outcome = "error" if broken and arm == "candidate" else "ok"
                event.trace_json = json.dumps({"path": [{"policy_type": "ab_test", "chose": arm}]}).encode()
            await fill(self.runs.analytics, events)

    async def look(self, seconds: float = 0.0) -> None:
        self.clock.us += round(seconds * SECOND_US)
        await self.stepper.look()
