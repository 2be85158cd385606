"""Experiments: replay logged traffic under a candidate policy, see the difference, promote the candidate."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field, JsonValue

from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.authorized import Authorized, Caller, Routes
from modelux_management.experiment_views import (
    Evidence,
    Experiment,
    ExperimentHead,
    Histogram,
    Promoted,
    Result,
    Status,
    answers_of,
    experiment,
    experiment_head,
    promotion,
    result,
    similarity_histogram,
)
from modelux_management.preflight_views import Preflight, preflight
from modelux_management.replays import Replays
from modelux_management.wire import Body, Data, Listing, NanoUsd, PageQuery, Query, listing
from modelux_store.experiments import ReplayedRow, RowFilter, Sort
from modelux_store.logs import InvalidCursor

routes = Routes("experiments")

CRITERIA = "What it must show: {logic: and | or, min_sample_size, predicates: [{metric, op, value, params}]}."

_Text = Annotated[str, Field(max_length=200)]
_MOST_ANSWERS = 50
_Share = Annotated[float | None, Field(ge=0, le=1)]


def criteria_json(criteria: JsonValue) -> bytes:
    """As the replay service takes them; null: none."""
    return b"" if criteria is None else json.dumps(criteria).encode()


class FilterBody(Body):
    """Which requests of the window are replayed. Conditions are joined by AND."""

    model: _Text = Field("", description="The model that answered.")
    provider: _Text = ""
    end_user_id: _Text = ""
    tags: dict[_Text, _Text] = Field({}, max_length=20)
    status: _Text = Field("", description="ok or error.")
    config: _Text = Field("", description="Slug of the routing config that the caller named.")


class SampleBody(Body):
    """How many requests are called with mode `with_responses`, and how they are chosen."""

    size: int = Field(ge=-(2**31), le=2**31 - 1, description="1,000 to 50,000, where the project sets nothing else.")
    method: str = Field("random", max_length=100, description="random, stratified or semantic.")
    tag: _Text = Field("", description="Of stratified: a tag that strata are told apart by, beside model and tokens.")
    call_unchanged: bool = Field(False, description="Also call requests whose candidate makes the logged choice.")
    aa_share: float = Field(0.0, description="Share of the called requests whose logged model is asked once more.")


class PilotBody(Body):
    """Calls of a routing-only experiment, which teach how many tokens its candidate takes."""

    size: int = Field(ge=-(2**31), le=2**31 - 1, description="10 to 1,000; 50 are enough for most candidates.")


class Replayed(Body):
    """Which requests are replayed under which policy, whatever the window."""

    candidate_policy: _Text = Field("", description="A strategy, e.g. single. Left out where a reference says it all.")
    candidate_config: JsonValue = Field(
        None, description='The fields of the policy, e.g. {"model": "gpt-4o-mini"}, or "@slug" or "@slug:version".'
    )
    mode: _Text = Field("", description="routing_only or with_responses.")
    filter: FilterBody | None = None
    sample: SampleBody | None = None
    pilot: PilotBody | None = Field(None, description="Of mode routing_only.")
    spend_cap_usd: NanoUsd | None = Field(None, description="What calls may cost at most; needed where there are any.")
    run_tag: _Text = Field("", description="The tag whose values are runs. Left out: run_id.")

    def spec(self) -> pb.ExperimentSpec:
        """As the replay service takes it, which checks every field."""
        wanted = self.filter or FilterBody.model_validate({})
        return pb.ExperimentSpec(
            mode=self.mode,
            candidate_policy=self.candidate_policy,
            candidate_config_json=json.dumps(self.candidate_config).encode(),
            filter=pb.Filter(**wanted.model_dump()),
            sample=pb.Sample(**self.sample.model_dump()) if self.sample else None,
            pilot=pb.Pilot(size=self.pilot.size) if self.pilot else None,
            spend_cap_nano=self.spend_cap_usd,
            run_tag=self.run_tag,
        )


class WantedExperiment(Replayed):
    """What to replay, and under which policy."""

    project_id: _Text = ""
    window_start: _Text = Field("", description="ISO 8601 with an offset.")
    window_end: _Text = Field("", description="ISO 8601 with an offset; not in the window itself.")
    success_criteria: JsonValue = Field(None, description=CRITERIA)

    def spec(self) -> pb.ExperimentSpec:
        spec = super().spec()
        spec.project_id, spec.criteria_json = self.project_id, criteria_json(self.success_criteria)
        spec.window_start, spec.window_end = self.window_start, self.window_end
        return spec


class CreateExperiment(WantedExperiment):
    """A new experiment. It runs at once."""

    name: str = Field("", description="At most 200 characters.")
    hypothesis: str = Field("", description="What it is meant to answer; at most 2,000 characters, never parsed.")


class Promote(Body):
    """Where the candidate goes. Left out: `@production` of the project, whole."""

    routing_config_id: _Text = ""
    slug: _Text = ""
    mode: Literal["replace", "ab_test"] = "replace"
    weight: float | None = Field(None, description="Of ab_test: the candidate's share of the traffic, 0 to 1.")
    note: str = Field("", max_length=1_000, description="Why; kept with the version.")


class ExperimentsQuery(PageQuery):
    """Which experiments."""

    project_id: _Text = Field("", description="Only this project's.")
    status: Status | None = None


class ResultsQuery(PageQuery):
    """Which rows, in which order."""

    sort: Sort = "timestamp_desc"
    candidate_status: Literal["ok", "error", "any"] = "any"
    evidence: Evidence | None = None
    candidate_model: _Text = ""
    run: _Text = Field("", description="Only rows of this run.")
    include: Literal["", "answers"] = Field(
        "", description="answers: with what was asked and answered on both sides; at most 50 rows a page then."
    )
    min_similarity: _Share = Field(None, description="Either bound leaves out rows without a score.")
    max_similarity: _Share = None


class HistogramQuery(Query):
    """From where on answers agree."""

    threshold: float = Field(0.85, ge=0, le=1)


@routes.endpoint("POST", "/experiments", "Replay logged traffic under a candidate policy", role="editor", status=201)
async def create_experiment(caller: Authorized, body: CreateExperiment, request: Request) -> Data[Experiment]:
    spec = body.spec()
    spec.name, spec.hypothesis = body.name, body.hypothesis
    found = await _replays(request).ask(caller, pb.CreateRequest(spec=spec), pb.CreateResponse)
    return Data(data=experiment(found.experiment))


@routes.endpoint("POST", "/experiments/preflight", "Estimate what an experiment replays and costs", role="viewer")
async def preflight_experiment(caller: Authorized, body: CreateExperiment, request: Request) -> Data[Preflight]:
    spec = body.spec()
    spec.name, spec.hypothesis = body.name, body.hypothesis
    found = await _replays(request).ask(caller, pb.PreflightRequest(spec=spec), pb.PreflightResponse)
    return Data(data=preflight(found))


@routes.endpoint("GET", "/experiments", "List the experiments, newest first", role="viewer")
async def list_experiments(
    caller: Authorized, query: Annotated[ExperimentsQuery, QueryParameters()], request: Request
) -> Listing[ExperimentHead]:
    wanted = pb.ListRequest(
        project_id=query.project_id, status=query.status or "", limit=query.limit, cursor=query.cursor
    )
    found = await _replays(request).ask(caller, wanted, pb.ListResponse)
    return listing([experiment_head(each) for each in found.experiments], found.next_cursor)


@routes.endpoint("GET", "/experiments/{experiment_id}", "Show an experiment and what it found", role="viewer")
async def get_experiment(caller: Authorized, experiment_id: str, request: Request) -> Data[Experiment]:
    found = await _replays(request).ask(caller, pb.GetRequest(id=experiment_id), pb.GetResponse)
    return Data(data=experiment(found.experiment))


@routes.endpoint("GET", "/experiments/{experiment_id}/results", "List the replayed requests", role="viewer")
async def list_experiment_results(
    caller: Authorized, experiment_id: str, query: Annotated[ResultsQuery, QueryParameters()], request: Request
) -> Listing[Result]:
    replays = _replays(request)
    if query.include and query.limit > _MOST_ANSWERS:
        message = f"{query.limit} is above {_MOST_ANSWERS}, the most with answers"
        raise invalid(FieldError("limit", message, "Follow next_cursor for more."))
    await replays.ask(caller, pb.GetRequest(id=experiment_id), pb.GetResponse)
    wanted = RowFilter(
        organization_id=caller.organization_id,
        experiment_id=experiment_id,
        candidate_status=None if query.candidate_status == "any" else query.candidate_status,
        evidence=query.evidence,
        candidate_model=query.candidate_model or None,
        min_similarity=query.min_similarity,
        max_similarity=query.max_similarity,
        run=query.run or None,
    )
    try:
        page = await replays.rows.page(wanted, query.sort, limit=query.limit, cursor=query.cursor or None)
    except InvalidCursor as error:
        raise invalid(FieldError("cursor", error.message, error.hint), code="invalid_cursor") from error
    rows = await _with_answers(replays, caller, page.rows) if query.include else [result(row) for row in page.rows]
    return listing(rows, page.next_cursor or "")


@routes.endpoint(
    "GET", "/experiments/{experiment_id}/similarity-histogram", "Show how alike the answers are", role="viewer"
)
async def get_similarity_histogram(
    caller: Authorized, experiment_id: str, query: Annotated[HistogramQuery, QueryParameters()], request: Request
) -> Data[Histogram]:
    replays = _replays(request)
    await replays.ask(caller, pb.GetRequest(id=experiment_id), pb.GetResponse)
    scores = await replays.rows.scores(caller.organization_id, experiment_id, query.threshold)
    return Data(data=similarity_histogram(scores, query.threshold))


@routes.endpoint("POST", "/experiments/{experiment_id}/cancel", "Cancel an experiment", role="editor")
async def cancel_experiment(caller: Authorized, experiment_id: str, request: Request) -> Data[Experiment]:
    """Stops between two batches. One that has ended is left as it is."""
    found = await _replays(request).ask(caller, pb.CancelRequest(id=experiment_id), pb.CancelResponse)
    return Data(data=experiment(found.experiment))


@routes.endpoint(
    "POST", "/experiments/{experiment_id}/promote", "Make the candidate a new, active version", role="editor"
)
async def promote_experiment(
    caller: Authorized, experiment_id: str, request: Request, body: Promote | None = None
) -> Data[Promoted]:
    """Only of a completed experiment. Again, it answers the same; POST …/rollback of the routing config goes back."""
    way = body or Promote.model_validate({})
    wanted = pb.PromoteRequest(
        id=experiment_id,
        routing_config_id=way.routing_config_id,
        slug=way.slug,
        mode=way.mode,
        weight=way.weight,
        note=way.note,
    )
    found = await _replays(request).ask(caller, wanted, pb.PromoteResponse)
    return Data(data=Promoted(promotion=promotion(found.promotion), experiment=experiment(found.experiment)))


async def _with_answers(replays: Replays, caller: Caller, rows: Sequence[ReplayedRow]) -> list[Result]:
    named = (each for row in rows for each in (row.request_id, row.candidate_request_id, row.repeat_request_id))
    logged = await replays.rows.answers(caller.organization_id, [each for each in named if each])
    return [result(row, answers_of(row, logged)) for row in rows]


def _replays(request: Request) -> Replays:
    replays: Replays = request.app.state.replays
    return replays
