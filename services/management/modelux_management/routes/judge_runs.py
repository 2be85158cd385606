"""Judge runs: a third model says of an experiment's pairs which answer is better, and people check it."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field

from modelux.judge.v1 import judge_pb2 as pb
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.authorized import Authorized, Routes
from modelux_management.judge_views import (
    Agreement,
    Bucket,
    JudgePreflight,
    JudgeRun,
    JudgeRunHead,
    LabelQueue,
    Verdict,
    agreement,
    judge_preflight,
    judge_run,
    judge_run_head,
    label_queue,
    verdict,
)
from modelux_management.judges import Judges
from modelux_management.wire import Body, Data, Listing, NanoUsd, PageQuery, Query, listing
from modelux_store.judge_verdicts import PairVerdict, VerdictFilter
from modelux_store.logs import InvalidCursor

routes = Routes("judge runs")

_Count = Annotated[int, Field(ge=-(2**31), le=2**31 - 1)]
_Text = Annotated[str, Field(max_length=1_000)]
_RUN = "/experiments/{experiment_id}/judge/{judge_run_id}"


class CutsBody(Body):
    """Least similarity of the buckets."""

    high: float = Field(gt=0, le=1, description="0.95 where cuts are left out.")
    mild: float = Field(ge=0, le=1, description="0.8 where cuts are left out.")


class StratificationBody(Body):
    """How many pairs of each bucket are judged; 1,500 at most together. A bucket that is not named gets none."""

    high: _Count = Field(0, description="Answers nearly alike.")
    mild: _Count = Field(0, description="The same in other words.")
    major: _Count = Field(0, description="Other answers.")
    allocation: _Text = Field("", description="fixed, or neyman: the sum is split so that the traffic's rate is sharp.")
    cuts: CutsBody | None = None


class StopBody(Body):
    """When a run may end before its last pair."""

    worse_pct: float = Field(description="Percent of the traffic that may get worse, above 0 and below 100.")


class WantedJudgeRun(Body):
    """What to judge, and by whom."""

    judge_model: str = Field("", description="A model, `model:provider` or `@slug`. Left out: gpt-4o.")
    rubric: str | None = Field(None, description="When an answer is better, in words; at most 8,000 characters.")
    stratification: StratificationBody | None = Field(None, description="Left out: 100 pairs of each bucket.")
    spend_cap_usd: NanoUsd | None = Field(None, description="Left out: the project's judgeSpendCapUsd.")
    orders: _Text = Field("", description="both (each pair is asked twice), or random: one order each, by lot.")
    stop_when_decided: StopBody | None = None

    def spec(self, experiment_id: str) -> pb.JudgeSpec:
        """As the judge service takes it, which checks every field."""
        spec = pb.JudgeSpec(
            experiment_id=experiment_id,
            judge_model=self.judge_model,
            # the wire knows no difference between an empty rubric, which is refused, and none
            rubric=self.rubric if self.rubric is None else self.rubric or " ",
            spend_cap_nano=self.spend_cap_usd,
            orders=self.orders,
        )
        if self.stratification is not None:
            spec.stratification.CopyFrom(_stratification(self.stratification))
        if self.stop_when_decided is not None:
            spec.stop_when_decided.worse_pct = self.stop_when_decided.worse_pct
        return spec


class VerdictsQuery(PageQuery):
    """Which pairs."""

    verdict: PairVerdict | None = None
    bucket: Bucket | None = None
    consistent: bool | None = Field(None, description="Only pairs of which both orders said the same, or did not.")


class AgreementQuery(Query):
    """Which other run."""

    other: str = Field(alias="with", max_length=100, description="Another judge run of the same experiment.")


class LabelsQuery(Query):
    """How many pairs."""

    limit: int = Field(10, ge=1, le=50)


class NewLabel(Body):
    """What somebody says of a pair."""

    token: str = Field(max_length=200, description="Of the pair, as the queue gave it.")
    verdict: _Text = Field(description="Which answer is better: first, second or equal.")
    note: str = Field("", description="Why; at most 2,000 characters.")
    labeller: str = Field("", description="Who says so. Left out: the management key.")


@routes.endpoint(
    "POST", "/experiments/{experiment_id}/judge", "Judge pairs of an experiment", role="editor", status=201
)
async def create_judge_run(
    caller: Authorized, experiment_id: str, request: Request, body: WantedJudgeRun | None = None
) -> Data[JudgeRun]:
    """Runs at once, and costs money. Only of a completed experiment with responses."""
    wanted = pb.CreateRequest(spec=(body or WantedJudgeRun.model_validate({})).spec(experiment_id))
    found = await _judges(request).ask(caller, wanted, pb.CreateResponse)
    return Data(data=judge_run(found.run))


@routes.endpoint(
    "POST", "/experiments/{experiment_id}/judge/preflight", "Estimate what a judge run does and costs", role="viewer"
)
async def preflight_judge_run(
    caller: Authorized, experiment_id: str, request: Request, body: WantedJudgeRun | None = None
) -> Data[JudgePreflight]:
    wanted = pb.PreflightRequest(spec=(body or WantedJudgeRun.model_validate({})).spec(experiment_id))
    found = await _judges(request).ask(caller, wanted, pb.PreflightResponse)
    return Data(data=judge_preflight(found))


@routes.endpoint("GET", "/experiments/{experiment_id}/judge", "List an experiment's judge runs", role="viewer")
async def list_judge_runs(
    caller: Authorized, experiment_id: str, query: Annotated[PageQuery, QueryParameters()], request: Request
) -> Listing[JudgeRunHead]:
    wanted = pb.ListRequest(experiment_id=experiment_id, limit=query.limit, cursor=query.cursor)
    found = await _judges(request).ask(caller, wanted, pb.ListResponse)
    return listing([judge_run_head(each) for each in found.runs], found.next_cursor)


@routes.endpoint("GET", _RUN, "Show a judge run and what it found", role="viewer")
async def get_judge_run(caller: Authorized, experiment_id: str, judge_run_id: str, request: Request) -> Data[JudgeRun]:
    wanted = pb.GetRequest(experiment_id=experiment_id, id=judge_run_id)
    return Data(data=judge_run((await _judges(request).ask(caller, wanted, pb.GetResponse)).run))


@routes.endpoint("GET", f"{_RUN}/results", "List the judged pairs", role="viewer")
async def list_judge_results(
    caller: Authorized,
    experiment_id: str,
    judge_run_id: str,
    query: Annotated[VerdictsQuery, QueryParameters()],
    request: Request,
) -> Listing[Verdict]:
    judges = _judges(request)
    one = pb.GetRequest(experiment_id=experiment_id, id=judge_run_id)
    found = await judges.ask(caller, one, pb.GetResponse)
    wanted = VerdictFilter(
        caller.organization_id,
        experiment_id,
        judge_run_id,
        replies=2 if found.run.spec.orders == "both" else 1,
        verdict=query.verdict,
        bucket=query.bucket,
        consistent=query.consistent,
    )
    try:
        page = await judges.verdicts.page(wanted, limit=query.limit, cursor=query.cursor or None)
    except InvalidCursor as error:
        raise invalid(FieldError("cursor", error.message, error.hint), code="invalid_cursor") from error
    return listing([verdict(row) for row in page.rows], page.next_cursor or "")


@routes.endpoint("POST", f"{_RUN}/cancel", "Cancel a judge run", role="editor")
async def cancel_judge_run(
    caller: Authorized, experiment_id: str, judge_run_id: str, request: Request
) -> Data[JudgeRun]:
    """Begins no further call; what came in is summed up. One that has ended is left as it is."""
    wanted = pb.CancelRequest(experiment_id=experiment_id, id=judge_run_id)
    return Data(data=judge_run((await _judges(request).ask(caller, wanted, pb.CancelResponse)).run))


@routes.endpoint("GET", f"{_RUN}/agreement", "Compare two judge runs on the same pairs", role="viewer")
async def compare_judge_runs(
    caller: Authorized,
    experiment_id: str,
    judge_run_id: str,
    query: Annotated[AgreementQuery, QueryParameters()],
    request: Request,
) -> Data[Agreement]:
    wanted = pb.CompareRequest(experiment_id=experiment_id, id=judge_run_id, other_id=query.other)
    return Data(data=agreement(await _judges(request).ask(caller, wanted, pb.CompareResponse)))


@routes.endpoint("GET", f"{_RUN}/labels", "Show the next pairs for people to label", role="viewer")
async def next_labels(
    caller: Authorized,
    experiment_id: str,
    judge_run_id: str,
    query: Annotated[LabelsQuery, QueryParameters()],
    request: Request,
) -> Data[LabelQueue]:
    """A random part of the run's pairs, with neither the judge's verdict nor which answer is whose."""
    wanted = pb.NextLabelsRequest(experiment_id=experiment_id, id=judge_run_id, limit=query.limit)
    return Data(data=label_queue(await _judges(request).ask(caller, wanted, pb.NextLabelsResponse)))


@routes.endpoint("POST", f"{_RUN}/labels", "Label a pair", role="editor")
async def add_label(
    caller: Authorized, experiment_id: str, judge_run_id: str, body: NewLabel, request: Request
) -> Data[JudgeRun]:
    """The last word on a pair counts. The run's summary is corrected by all labels."""
    wanted = pb.AddLabelRequest(experiment_id=experiment_id, id=judge_run_id, **body.model_dump())
    return Data(data=judge_run((await _judges(request).ask(caller, wanted, pb.AddLabelResponse)).run))


def _stratification(body: StratificationBody) -> pb.Stratification:
    found = pb.Stratification(high=body.high, mild=body.mild, major=body.major, allocation=body.allocation)
    if body.cuts is not None:
        found.high_from, found.mild_from = body.cuts.high, body.cuts.mild
    return found


def _judges(request: Request) -> Judges:
    judges: Judges = request.app.state.judges
    return judges
