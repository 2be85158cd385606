"""Schedules as callers of the service see them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message
from replay_harness import CANDIDATE, NOW, Replay, micros

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts import codec
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.topics import TOPICS
from modelux_runtime.auth import key_hash
from modelux_runtime.calls import call
from modelux_store.database import Database

A = TypeVar("A", bound=Message)

HOUR_US = 3_600_000_000
DAY_US = 24 * HOUR_US
NOW_US = micros(NOW)
"""A Friday, midnight UTC."""
FASTER: Mapping[str, object] = {"predicates": [{"metric": "p50_latency_delta_pct", "op": "<=", "value": 0}]}
SLOWER: Mapping[str, object] = {"predicates": [{"metric": "p50_latency_delta_pct", "op": ">=", "value": 0}]}
"""What no run of the harness's faster candidate shows."""


@dataclass
class Scheduling:
    """One tenant's view of the ScheduleService."""

    replay: Replay

    async def ask(self, request: Message, answer: type[A], *, key: str = "", secret: str = "") -> A:
        tenant = self.replay.tenant
        actor = replay.Actor(
            organization_id=tenant.organization_id,
            key_id=f"mk_{tenant.organization_id}",
            key_hash=key_hash(secret or tenant.key),
            request_id="req_test",
            idempotency_key=key,
        )
        request.actor.CopyFrom(actor)  # type: ignore[attr-defined]  # every request has it
        return await call(self.replay.channel, "modelux.replay.v1.ScheduleService", request, answer, timeout_s=20)

    def spec(self, candidate: object = CANDIDATE, criteria: object = FASTER, **fields: Any) -> pb.ScheduleSpec:
        experiment = replay.ExperimentSpec(
            candidate_policy="single", candidate_config_json=json.dumps(candidate).encode()
        )
        given = {"name": "nightly", "cron": "0 6 * * *", "window_s": 7 * 86_400, "experiment": experiment}
        spec = pb.ScheduleSpec(**{**given, "project_id": self.replay.tenant.project_id, **fields})
        if criteria is not None:
            spec.criteria_json = json.dumps(criteria).encode()
        return spec

    async def create(self, *arguments: object, key: str = "", **fields: Any) -> pb.ScheduleRecord:
        request = pb.CreateScheduleRequest(spec=self.spec(*arguments, **fields))
        return (await self.ask(request, pb.CreateScheduleResponse, key=key)).schedule

    async def get(self, identifier: str) -> pb.ScheduleRecord:
        return (await self.ask(pb.GetScheduleRequest(id=identifier), pb.GetScheduleResponse)).schedule

    async def update(self, identifier: str, spec: pb.ScheduleSpec) -> pb.ScheduleRecord:
        return (await self.ask(pb.UpdateScheduleRequest(id=identifier, spec=spec), pb.UpdateScheduleResponse)).schedule

    async def fire(self, identifier: str, key: str = "") -> replay.ExperimentRecord:
        request = pb.FireScheduleRequest(id=identifier)
        return (await self.ask(request, pb.FireScheduleResponse, key=key)).experiment

    async def experiments(self, identifier: str) -> list[replay.ExperimentRecord]:
        """Of a schedule, oldest first."""
        answer = await self.replay.ask(replay.ListRequest(schedule_id=identifier, limit=200), replay.ListResponse)
        return list(reversed(answer.experiments))

    async def refused(self, request: Message, answer: type[Message], **how: str) -> Problem:
        try:
            await self.ask(request, answer, **how)
        except ProblemError as error:
            return error.problem
        raise AssertionError(f"{request.DESCRIPTOR.name} was not refused")


async def told(database: Database, topic: str) -> list[Any]:
    """What stands in the outbox for a topic, oldest first."""
    async with database.transaction() as tx:
        rows = await tx.fetch_all("SELECT * FROM outbox.message WHERE topic = %s ORDER BY number", (topic,))
    message = TOPICS[topic].message
    return [
        codec.decode(message, row["value"], tuple(zip(row["header_names"], row["header_values"], strict=True)))
        for row in rows
    ]
