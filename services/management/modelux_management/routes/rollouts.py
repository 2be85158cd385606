"""Guarded rollouts: a promoted candidate gets its traffic in steps, and loses it where it does harm."""

from __future__ import annotations

import json
from typing import Annotated

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field, JsonValue

from modelux.replay.v1 import rollout_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.replays import Replays
from modelux_management.rollout_views import Rollout, rollout
from modelux_management.wire import Body, Data, Listing, PageQuery, listing

routes = Routes("rollouts")

_PATH = "/rollouts"
_Text = Annotated[str, Field(max_length=200)]
_Count = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_GUARDS = (
    "`{logic, min_sample_size, predicates: [{metric, op, value}]}` over error_rate_delta_pct, p50_latency_delta_pct, "
    "p95_latency_delta_pct and cost_delta_pct. Left out: errors within 1 point and p95 within 20 %."
)


class RolloutBody(Body):
    """What to roll out, and how carefully."""

    experiment_id: _Text = Field("", description="It was promoted with mode ab_test.")
    routing_config_id: _Text = Field("", description="Left out: the one that it was promoted to.")
    steps: list[_Count] = Field([], description="Shares in percent, the last one 100. Left out: 5, 25, 50, 100.")
    step_seconds: _Count = Field(0, description="Least time of a step. Left out: 600.")
    step_requests: _Count = Field(0, description="Least requests of the candidate at a step. Left out: 200.")
    guards: JsonValue = Field(None, description=_GUARDS)

    def spec(self) -> pb.RolloutSpec:
        """As the replay service takes it, which checks every field."""
        return pb.RolloutSpec(
            experiment_id=self.experiment_id,
            routing_config_id=self.routing_config_id,
            steps=self.steps,
            step_s=self.step_seconds,
            step_requests=self.step_requests,
            guards_json=b"" if self.guards is None else json.dumps(self.guards).encode(),
        )


class RolloutsQuery(PageQuery):
    """Which rollouts."""

    project_id: _Text = Field("", description="Only this project's.")


@routes.endpoint("POST", _PATH, "Roll a promoted candidate out in steps", role="editor", status=201)
async def start_rollout(caller: Authorized, body: RolloutBody, request: Request) -> Data[Rollout]:
    """Each step is a new version of the routing config. It rolls back by itself as soon as a guard is broken."""
    asked = pb.StartRolloutRequest(spec=body.spec())
    found = await _replays(request).rollout(caller, asked, pb.StartRolloutResponse)
    return Data(data=rollout(found.rollout))


@routes.endpoint("GET", _PATH, "List the rollouts, newest first", role="viewer")
async def list_rollouts(
    caller: Authorized, query: Annotated[RolloutsQuery, QueryParameters()], request: Request
) -> Listing[Rollout]:
    asked = pb.ListRolloutsRequest(project_id=query.project_id, limit=query.limit, cursor=query.cursor)
    found = await _replays(request).rollout(caller, asked, pb.ListRolloutsResponse)
    return listing([rollout(each) for each in found.rollouts], found.next_cursor)


@routes.endpoint("GET", _PATH + "/{rollout_id}", "Show a rollout", role="viewer")
async def get_rollout(caller: Authorized, rollout_id: str, request: Request) -> Data[Rollout]:
    found = await _replays(request).rollout(caller, pb.GetRolloutRequest(id=rollout_id), pb.GetRolloutResponse)
    return Data(data=rollout(found.rollout))


@routes.endpoint("POST", _PATH + "/{rollout_id}/cancel", "Cancel a rollout; the config stays as it is", role="editor")
async def cancel_rollout(caller: Authorized, rollout_id: str, request: Request) -> Data[Rollout]:
    """The candidate keeps the share that it has. To take it away, roll the routing config back."""
    found = await _replays(request).rollout(caller, pb.CancelRolloutRequest(id=rollout_id), pb.CancelRolloutResponse)
    return Data(data=rollout(found.rollout))


def _replays(request: Request) -> Replays:
    replays: Replays = request.app.state.replays
    return replays
