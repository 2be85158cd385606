"""Guarded rollouts as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field, JsonValue

from modelux.replay.v1 import rollout_pb2 as pb
from modelux_management.wire import from_json, moment

Status = Literal["running", "completed", "rolled_back", "cancelled", "superseded"]


class Step(BaseModel):
    """A share of the traffic that the candidate was given, or lost."""

    at: datetime
    percent: int = Field(description="Share of the candidate after it; 0: rolled back.")
    version: int = Field(description="The version of the routing config that was made active.")
    reason: str
    requests: int = Field(description="Of the candidate's arm that were seen at the step before.")


class Rollout(BaseModel):
    """A promoted candidate that gets its traffic in steps."""

    id: str
    project_id: str
    experiment_id: str
    routing_config_id: str
    steps: list[int] = Field(description="Shares of the traffic in percent.")
    step_seconds: int
    step_requests: int
    guards: JsonValue
    status: Status = Field(description="superseded: somebody else changed the routing config, and it was left so.")
    status_reason: str
    percent: int = Field(description="The candidate's share now.")
    history: list[Step]
    created_by: str
    created_at: datetime
    updated_at: datetime


def rollout(record: pb.RolloutRecord) -> Rollout:
    spec = record.spec
    return Rollout(
        id=record.id,
        project_id=record.project_id,
        experiment_id=spec.experiment_id,
        routing_config_id=spec.routing_config_id,
        steps=list(spec.steps),
        step_seconds=spec.step_s,
        step_requests=spec.step_requests,
        guards=from_json(spec.guards_json),
        status=record.status,  # type: ignore[arg-type]  # one of the five
        status_reason=record.status_reason,
        percent=record.percent,
        history=[_step(each) for each in record.history],
        created_by=record.created_by,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
    )


def _step(step: pb.RolloutStep) -> Step:
    return Step(
        at=moment(step.at_us), percent=step.percent, version=step.version, reason=step.reason, requests=step.requests
    )
