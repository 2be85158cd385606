"""The replay service as its callers see it, and a log to replay."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import grpc.aio
from config_harness import Tenant
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_ingest.rows import attempt_columns, request_columns
from modelux_runtime.auth import key_hash
from modelux_runtime.calls import call
from modelux_store.analytics import Analytics

A = TypeVar("A", bound=Message)

NOW = datetime(2026, 4, 17, tzinfo=UTC)
START = NOW - timedelta(days=7)
SPEC: Mapping[str, Any] = {
    "name": "switch to gpt-4o-mini",
    "candidatePolicy": "single",
    "windowStart": "2026-04-10T00:00:00Z",
    "windowEnd": "2026-04-17T00:00:00Z",
}
CANDIDATE = {"model": "gpt-4o-mini"}


def micros(moment: datetime) -> int:
    return round(moment.timestamp() * 1e6)


@dataclass
class Clock:
    """Stands at the end of the tests' window, and moves when it is told to."""

    us: int = micros(NOW)

    def __call__(self) -> int:
        return self.us


@dataclass
class Replay:
    """One tenant's view of the service."""

    channel: grpc.aio.Channel
    tenant: Tenant

    async def ask(self, request: Message, answer: type[A], *, idempotency_key: str = "") -> A:
        tenant = self.tenant
        actor = pb.Actor(
            organization_id=tenant.organization_id,
            key_id=f"mk_{tenant.organization_id}",
            key_hash=key_hash(tenant.key),
            request_id="req_test",
            idempotency_key=idempotency_key,
        )
        request.actor.CopyFrom(actor)  # type: ignore[attr-defined]  # every request has it
        return await call(self.channel, "modelux.replay.v1.ReplayService", request, answer, timeout_s=20)

    def spec(self, candidate: object = CANDIDATE, **fields: Any) -> pb.ExperimentSpec:
        """What a caller asks for; `fields` in camelCase, None takes one away."""
        wanted = {"projectId": self.tenant.project_id, **SPEC, **fields}
        spec = ParseDict({name: value for name, value in wanted.items() if value is not None}, pb.ExperimentSpec())
        spec.candidate_config_json = json.dumps(candidate).encode()
        return spec

    async def create(self, candidate: object = CANDIDATE, *, key: str = "", **fields: Any) -> pb.ExperimentRecord:
        request = pb.CreateRequest(spec=self.spec(candidate, **fields))
        return (await self.ask(request, pb.CreateResponse, idempotency_key=key)).experiment

    async def get(self, identifier: str) -> pb.ExperimentRecord:
        return (await self.ask(pb.GetRequest(id=identifier), pb.GetResponse)).experiment

    async def until(self, identifier: str, *statuses: str) -> pb.ExperimentRecord:
        async with asyncio.timeout(60):
            while (found := await self.get(identifier)).status not in statuses:
                await asyncio.sleep(0.02)
        return found

    async def promote(self, identifier: str, **fields: Any) -> pb.PromoteResponse:
        return await self.ask(pb.PromoteRequest(id=identifier, **fields), pb.PromoteResponse)

    async def refused(self, request: Message, answer: type[Message]) -> Problem:
        """The problem of a call that is refused."""
        try:
            await self.ask(request, answer)
        except ProblemError as error:
            return error.problem
        raise AssertionError(f"{request.DESCRIPTOR.name} was not refused")

    async def create_refused(self, candidate: object = CANDIDATE, **fields: Any) -> Problem:
        return await self.refused(pb.CreateRequest(spec=self.spec(candidate, **fields)), pb.CreateResponse)


def requests(tenant: Tenant, count: int, **fields: Any) -> list[RequestCompleted]:
    """Requests spread over the window, four to a run; every tenth one failed."""
    step_us = 7 * 24 * 3600 * 1_000_000 // (count + 1)
    return [_request(tenant, number, micros(START) + (number + 1) * step_us, fields) for number in range(count)]


async def fill(analytics: Analytics, events: list[RequestCompleted]) -> None:
    await analytics.insert("attempts", attempt_columns(events))
    await analytics.insert("requests", request_columns(events))


def _request(tenant: Tenant, number: int, at_us: int, fields: Mapping[str, Any]) -> RequestCompleted:
    failed = number % 10 == 9
    usage = Usage(input=100 + number % 7, output=50 + number % 11)
    status, outcome = (500, "error") if failed else (200, "ok")
    attempt = AttemptRecord(
        number=1,
        model="gpt-4o",
        provider="openai",
        kind="status" if failed else "ok",
        status=status,
        latency_us=400_000,
        ttft_us=-1,
        usage=usage,
        cost_nano=2_000_000,
    )
    common = {
        "request_id": f"req_{tenant.project_id[-6:]}_{number:06}",
        "organization_id": tenant.organization_id,
        "project_id": tenant.project_id,
        "started_at_us": at_us,
        "endpoint": "chat",
        "requested_model": "gpt-4o",
        "policy_type": "single",
        "outcome": outcome,
        "status": status,
        "model": "gpt-4o",
        "provider": "openai",
        "tags": {"run_id": f"run_{number // 4}", "agent": "a" if number % 2 else "b"},
        "end_user_id": f"user-{number % 3}",
        "usage": usage,
        "cost_nano": 2_000_000 + number % 13 * 1000,
        "latency_us": 400_000 + number % 17 * 10_000,
        "ttft_us": -1,
        "attempts": [attempt],
        "trace_json": b"{}",
        "logging_mode": "full",
    }
    return RequestCompleted(**{**common, **fields})
