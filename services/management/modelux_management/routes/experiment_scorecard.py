"""The scorecard: how well experiments projected what came."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field

from modelux.replay.v1 import replay_pb2 as pb
from modelux_management.authorized import Authorized, Routes
from modelux_management.replays import Replays
from modelux_management.scorecard_views import Scorecard, scorecard
from modelux_management.wire import Data, Query

routes = Routes("experiments")


class ScorecardQuery(Query):
    """Of which project."""

    project_id: str = Field(max_length=200, description="The project's id.")


@routes.endpoint("GET", "/experiments/scorecard", "Show how well experiments projected what came", role="viewer")
async def get_experiment_scorecard(
    caller: Authorized, query: Annotated[ScorecardQuery, QueryParameters()], request: Request
) -> Data[Scorecard]:
    """A promoted version is measured once it has served 200 requests; what was measured first stays."""
    replays: Replays = request.app.state.replays
    asked = pb.ScorecardRequest(project_id=query.project_id)
    return Data(data=scorecard(await replays.ask(caller, asked, pb.ScorecardResponse)))
