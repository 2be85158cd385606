"""More like this: logged requests like one, and the topics of what a candidate answers differently."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Request
from fastapi import Query as QueryParameters
from pydantic import Field

from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_management.authorized import Authorized, Routes
from modelux_management.replays import Replays
from modelux_management.similar import Similar
from modelux_management.similar_views import (
    DivergentTopics,
    SimilarRequests,
    SimilarResults,
    divergent_topics,
    similar_requests,
    similar_results,
)
from modelux_management.wire import Data, Query

routes = Routes("experiments")


class SimilarQuery(Query):
    """How many."""

    k: int = Field(10, ge=1, le=99, description="Requests wanted, 1 to 99.")


class TopicsQuery(Query):
    """What counts as different, and how finely it is grouped."""

    threshold: float = Field(0.85, ge=0, le=1, description="Pairs with a similarity below it are grouped.")
    topics: int | None = Field(None, ge=2, le=100, description="Left out: by the number of pairs, at most 12.")


@routes.endpoint("GET", "/logs/{request_id}/similar", "Find logged requests whose prompts are like one", role="viewer")
async def list_similar_logs(
    caller: Authorized, request_id: str, query: Annotated[SimilarQuery, QueryParameters()], request: Request
) -> Data[SimilarRequests]:
    """Of the newest prompts of its project. The first question about a project takes a while."""
    found = await _similar(request).neighbours(caller.organization_id, request_id, query.k)
    return Data(data=similar_requests(found))


@routes.endpoint(
    "GET",
    "/experiments/{experiment_id}/results/{row}/similar",
    "Find logged requests like that of a row",
    role="viewer",
)
async def list_similar_results(
    caller: Authorized,
    experiment_id: str,
    row: Annotated[int, Path(ge=0, lt=2**32)],
    query: Annotated[SimilarQuery, QueryParameters()],
    request: Request,
) -> Data[SimilarResults]:
    """With what the experiment found for those of them that it replayed: whether an outlier is one of many."""
    await _experiment(caller, experiment_id, request)
    similar, organization_id = _similar(request), caller.organization_id
    pair = await similar.pairs.at(organization_id, experiment_id, row)
    if pair is None:
        detail = f"The experiment has no row {row:,}."
        raise ProblemError(Problem(404, "not_found", "Not found", detail, "List its results to see their rows."))
    found = await similar.neighbours(organization_id, pair.request_id, query.k)
    names = [each.asked.request_id for each in found.found]
    replayed = await similar.pairs.of(organization_id, experiment_id, names) if names else {}
    return Data(data=similar_results(pair, found, replayed))


@routes.endpoint(
    "GET", "/experiments/{experiment_id}/divergent-topics", "Group answers that differ by topic", role="viewer"
)
async def list_divergent_topics(
    caller: Authorized, experiment_id: str, query: Annotated[TopicsQuery, QueryParameters()], request: Request
) -> Data[DivergentTopics]:
    """Over the prompts of the pairs whose answers are less alike than the threshold."""
    seed = (await _experiment(caller, experiment_id, request)).experiment.seed
    names = (caller.organization_id, experiment_id, query.threshold, query.topics)
    found = await _similar(request).topics(*names, seed)
    return Data(data=divergent_topics(found, query.threshold))


async def _experiment(caller: Authorized, experiment_id: str, request: Request) -> pb.GetResponse:
    """Of the caller's organization, or a 404 problem."""
    replays: Replays = request.app.state.replays
    return await replays.ask(caller, pb.GetRequest(id=experiment_id), pb.GetResponse)


def _similar(request: Request) -> Similar:
    similar: Similar = request.app.state.similar
    return similar
