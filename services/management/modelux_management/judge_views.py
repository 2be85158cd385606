"""Judge runs, their verdicts and their labelling queue as the API shows them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field, JsonValue

from modelux.judge.v1 import judge_pb2 as pb
from modelux_management.wire import from_json, moment, moment_or_none, usd
from modelux_store.judge_verdicts import OrderReply, PairVerdict, VerdictRow

Bucket = Literal["high", "mild", "major"]
Status = Literal["pending", "running", "completed", "failed", "cancelled"]


class Buckets(BaseModel):
    """Pairs per bucket of similarity."""

    high: int
    mild: int
    major: int


class JudgePreflight(BaseModel):
    """What a judge run would do and cost."""

    effectivePairCount: int
    effectiveByBucket: Buckets = Field(description="After what a short bucket lacks was given to the others.")
    estimatedCostUsd: float
    perCallEstimateUsd: float
    spendCapUsd: float = Field(description="The largest cap that the project allows.")
    suggestedSpendCapUsd: float
    requiresConfirmation: bool
    notes: list[str]
    rubric: str
    rubricHash: str


class Stratification(BaseModel):
    """How many pairs of each bucket were asked for, and where the buckets begin."""

    high: int
    mild: int
    major: int
    allocation: Literal["fixed", "neyman"]
    cuts: dict[Literal["high", "mild"], float]


class JudgeRunHead(BaseModel):
    """A judge run as lists show it."""

    id: str
    experiment_id: str
    project_id: str
    status: Status
    status_reason: str = Field(description="Why it failed, was cancelled, or is being stopped.")
    progress: float = Field(description="0 to 1.")
    pairs_total: int
    pairs_done: int
    judge_model: str = Field(description="A routing config with the version that judges.")
    rubric: str
    rubric_hash: str
    stratification: Stratification
    orders: Literal["both", "random"]
    stop_when_decided: dict[Literal["worse_pct"], float] | None
    spend_cap_usd: float
    spend_usd: float
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JudgeRun(JudgeRunHead):
    """A judge run with its outcome; null before it has ended."""

    summary: JsonValue


class Reply(BaseModel):
    """What the judge said in one order."""

    order: Literal["baseline_first", "candidate_first"]
    verdict: PairVerdict
    reason: str = Field(description="The judge's own words: untrusted text.")
    request_id: str | None = Field(description="The judge's call in the log: GET /logs/{request_id}.")
    cost_usd: float
    error: str | None


class Verdict(BaseModel):
    """A judged pair."""

    row: int = Field(description="As in the experiment's results.")
    request_id: str = Field(description="The baseline's request: GET /logs/{request_id}.")
    candidate_request_id: str
    bucket: Bucket
    similarity: float
    verdict: PairVerdict = Field(description="Of the candidate's answer. Orders that disagree make it equivalent.")
    consistent: bool | None = Field(description="Whether both orders said the same; null: not asked in both.")
    reason: str = Field(description="Of the reply that the verdict rests on.")
    replies: list[Reply]
    judged_at: datetime


class Agreement(BaseModel):
    """How far two judge runs agree on the pairs that both gave a verdict on."""

    pairs: int
    agreed: int
    agreement: float | None
    kappa: float | None = Field(description="Null where both always say the same thing.")
    kappa_ci_95: dict[str, float] | None


class LabelTask(BaseModel):
    """One pair to label. Which answer is whose is told to nobody."""

    row: int
    prompt: str
    first: str
    second: str
    token: str = Field(description="Goes back with the label.")


class LabelQueue(BaseModel):
    """The next pairs of a labelling queue."""

    tasks: list[LabelTask]
    labelled: int
    wanted: int


def judge_preflight(found: pb.PreflightResponse) -> JudgePreflight:
    return JudgePreflight(
        effectivePairCount=found.effective_pair_count,
        effectiveByBucket=Buckets(high=found.effective_high, mild=found.effective_mild, major=found.effective_major),
        estimatedCostUsd=usd(found.estimated_cost_nano),
        perCallEstimateUsd=usd(found.per_call_nano),
        spendCapUsd=usd(found.spend_cap_nano),
        suggestedSpendCapUsd=usd(found.suggested_spend_cap_nano),
        requiresConfirmation=found.requires_confirmation,
        notes=list(found.notes),
        rubric=found.rubric,
        rubricHash=found.rubric_hash,
    )


def judge_run_head(record: pb.JudgeRecord) -> JudgeRunHead:
    return JudgeRunHead(**_head(record))  # type: ignore[arg-type]  # fields by name


def judge_run(record: pb.JudgeRecord) -> JudgeRun:
    return JudgeRun(**_head(record), summary=from_json(record.summary_json))  # type: ignore[arg-type]  # as above


def verdict(row: VerdictRow) -> Verdict:
    replies = [_reply(each) for each in row.replies]
    agreeing = [each.reason for each in replies if each.verdict == row.pair_verdict]
    return Verdict(
        row=row.row,
        request_id=row.request_id,
        candidate_request_id=row.candidate_request_id,
        bucket=cast(Bucket, row.bucket),
        similarity=row.similarity,
        verdict=row.pair_verdict,
        consistent=row.consistent,
        reason=agreeing[0] if agreeing else "",
        replies=replies,
        judged_at=moment(row.at_us),
    )


def agreement(found: pb.CompareResponse) -> Agreement:
    known = found.HasField("kappa")
    return Agreement(
        pairs=found.pairs,
        agreed=found.agreed,
        agreement=found.agreed / found.pairs if found.pairs else None,
        kappa=found.kappa if known else None,
        kappa_ci_95={"lower": found.kappa_lower, "upper": found.kappa_upper} if known else None,
    )


def label_queue(found: pb.NextLabelsResponse) -> LabelQueue:
    tasks = [
        LabelTask(row=each.row, prompt=each.prompt, first=each.first, second=each.second, token=each.token)
        for each in found.tasks
    ]
    return LabelQueue(tasks=tasks, labelled=found.labelled, wanted=found.wanted)


def _reply(found: OrderReply) -> Reply:
    return Reply(
        order=cast(Literal["baseline_first", "candidate_first"], found.presented),
        verdict=cast(PairVerdict, found.verdict),
        reason=found.reason,
        request_id=found.call_id or None,
        cost_usd=usd(found.cost_nano),
        error=found.error or None,
    )


def _head(record: pb.JudgeRecord) -> dict[str, object]:
    spec, wanted = record.spec, record.spec.stratification
    stop = {"worse_pct": spec.stop_when_decided.worse_pct} if spec.HasField("stop_when_decided") else None
    done = 1.0 if record.status == "completed" else record.pairs_done / max(record.pairs_total, 1)
    return {
        "id": record.id,
        "experiment_id": spec.experiment_id,
        "project_id": record.project_id,
        "status": record.status,
        "status_reason": record.status_reason,
        "progress": done,
        "pairs_total": record.pairs_total,
        "pairs_done": record.pairs_done,
        "judge_model": spec.judge_model,
        "rubric": spec.rubric,
        "rubric_hash": record.rubric_hash,
        "stratification": Stratification(
            high=wanted.high,
            mild=wanted.mild,
            major=wanted.major,
            allocation=cast(Literal["fixed", "neyman"], wanted.allocation),
            cuts={"high": wanted.high_from, "mild": wanted.mild_from},
        ),
        "orders": spec.orders,
        "stop_when_decided": stop,
        "spend_cap_usd": usd(spec.spend_cap_nano),
        "spend_usd": usd(record.spent_nano),
        "created_by": record.created_by,
        "created_at": moment(record.created_at_us),
        "started_at": moment_or_none(record.started_at_us),
        "finished_at": moment_or_none(record.finished_at_us),
    }
