"""Experiments and their rows as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field, JsonValue

from experiment_core.intervals import wilson
from modelux.replay.v1 import replay_pb2 as pb
from modelux_management.log_views import readable
from modelux_management.wire import from_json, moment, moment_or_none, usd
from modelux_store.experiments import BUCKETS, LoggedAnswer, ReplayedRow, ReplayedSide, Scores

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
Mode = Literal["routing_only", "with_responses"]
Evidence = Literal["observed", "reused", "projected", "not_evaluable"]
Verdict = Literal["pass", "fail", "inconclusive"]


class Promotion(BaseModel):
    """What an experiment's candidate became."""

    routing_config_id: str
    slug: str
    version: int
    mode: Literal["replace", "ab_test"]
    weight: float = Field(description="Share of the traffic that the candidate got, 0 to 1.")
    at: datetime
    actor: str = Field(description="A management key's id.")


class Filter(BaseModel):
    """Which requests of the window are replayed; null and {} mean any."""

    model: str | None
    provider: str | None
    end_user_id: str | None
    tags: dict[str, str]
    status: str | None
    config: str | None


class Sample(BaseModel):
    """Which requests are called."""

    size: int
    method: Literal["random", "stratified", "semantic"]
    tag: str | None
    call_unchanged: bool
    aa_share: float


class ExperimentHead(BaseModel):
    """An experiment as lists show it."""

    id: str
    project_id: str
    name: str
    hypothesis: str
    mode: Mode
    status: Status
    status_reason: str = Field(description="Why it failed or was cancelled.")
    progress: float = Field(description="0 to 1.")
    rows_total: int
    rows_done: int
    candidate_policy: str
    candidate_config: JsonValue
    candidate_reference: str | None = Field(description="The `@slug:version` that the candidate is.")
    window_start: datetime
    window_end: datetime
    filter: Filter
    run_tag: str = Field(description="The tag whose values are the runs that requests belong to.")
    sample: Sample | None
    pilot_size: int | None = Field(description="Requests that a routing-only experiment calls first.")
    spend_cap_usd: float | None
    spent_usd: float = Field(description="What its calls cost so far.")
    seed: int
    schedule_id: str | None = Field(description="The schedule that made it.")
    verdict: Verdict | None = Field(description="By its success criteria; null: without, or not ended yet.")
    created_by: str
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class Experiment(ExperimentHead):
    """An experiment with what it found; null before it is completed."""

    sentence: str | None = Field(description="The outcome in plain English.")
    baseline_summary: JsonValue
    candidate_summary: JsonValue
    deltas: JsonValue = Field(description="Candidate against baseline, each with its 95 % interval.")
    coverage: JsonValue = Field(description="How much of the window could be evaluated, and on what evidence.")
    self_check: JsonValue = Field(description="How many logged decisions the unchanged version reproduces.")
    routes: JsonValue
    runs: JsonValue
    cost_bounds: JsonValue
    projection: JsonValue = Field(description="How far the projected cost may be off; null: nothing is projected.")
    similarity: JsonValue = Field(description="How alike the answers are, also against the logged model's own noise.")
    off_policy: JsonValue = Field(description="What live splits in the log say of the candidate; null: none do.")
    stopped_early: JsonValue = Field(description="How far it came, where it ended before its end; null: it did not.")
    tail: JsonValue
    sampling: JsonValue = Field(description="Where the called requests come from; null: none were called.")
    pilot: JsonValue = Field(description="What a pilot brought; null: there was none.")
    success_criteria: JsonValue
    verdict_facts: JsonValue = Field(description="The verdict in a sentence, and each predicate on its interval.")
    promotions: list[Promotion]


class Promoted(BaseModel):
    """The new version, and the experiment."""

    promotion: Promotion
    experiment: Experiment


class Side(BaseModel):
    """One side of a replayed request; null where it is not known."""

    model: str | None
    provider: str | None
    cost_usd: float | None
    latency_ms: float | None
    ttft_ms: float | None
    status: Literal["ok", "error"] | None
    error_code: str | None
    input_tokens: int
    output_tokens: int
    attempts: int


class Repeat(BaseModel):
    """The logged model, asked once more: how far it differs from itself."""

    request_id: str
    status: Literal["ok", "error"]
    similarity: float | None


class Answers(BaseModel):
    """What was asked and answered, as far as the log keeps it."""

    request_body: JsonValue
    baseline: JsonValue = Field(description="The logged answer.")
    candidate: JsonValue
    repeat: JsonValue = Field(description="The logged model's second answer.")
    baseline_trace: JsonValue


class Result(BaseModel):
    """A replayed request: what happened, and what happens under the candidate."""

    row: int = Field(description="Place in the window, in order of time.")
    request_id: str = Field(description="GET /logs/{request_id} shows what was asked and answered.")
    timestamp: datetime
    evidence: Evidence
    baseline: Side
    candidate: Side
    cost_delta_usd: float | None
    latency_delta_ms: float | None
    lowest_cost_usd: float | None = Field(description="Of the candidate, where it may or may not escalate.")
    highest_cost_usd: float | None
    similarity: float | None
    embedder: str | None = Field(description="What made the similarity; scores of different ones do not compare.")
    candidate_request_id: str | None = Field(description="GET /logs/{request_id} shows the candidate's call.")
    repeat: Repeat | None
    weight: float = Field(description="For how many requests of the window this one stands.")
    run: str | None
    reproduced: bool | None = Field(description="Whether the logged version decides as it did; null: no trace.")
    candidate_trace: JsonValue
    answers: Answers | None = Field(None, description="Only where asked for with include=answers.")


class Bucket(BaseModel):
    """Scored pairs between two similarities; the last bucket holds 1 too."""

    lower: float
    upper: float
    count: int


class Histogram(BaseModel):
    """How alike the answers of baseline and candidate are."""

    buckets: list[Bucket]
    mean_similarity: float | None
    scored: int
    unscored: int
    threshold: float
    agreement: float | None = Field(description="Share of the scored pairs at or above the threshold.")
    agreement_ci_95: dict[str, float | None]
    headline: str


def experiment_head(record: pb.ExperimentRecord) -> ExperimentHead:
    return ExperimentHead(**_head(record))  # type: ignore[arg-type]  # fields by name


def experiment(record: pb.ExperimentRecord) -> Experiment:
    found = from_json(record.summary_json)
    outcome = found if isinstance(found, dict) else {}
    names = Experiment.model_fields.keys() - ExperimentHead.model_fields.keys() - {"promotions"}
    summary = {name: outcome.get(name) for name in names}
    summary |= {
        "success_criteria": from_json(record.spec.criteria_json),
        "verdict_facts": from_json(record.verdict_json),
    }
    promotions = [promotion(each) for each in record.promotions]
    return Experiment(**_head(record), **summary, promotions=promotions)  # type: ignore[arg-type]  # fields by name


def promotion(made: pb.Promotion) -> Promotion:
    return Promotion(
        routing_config_id=made.routing_config_id,
        slug=made.slug,
        version=made.version,
        mode=cast(Literal["replace", "ab_test"], made.mode),
        weight=made.weight,
        at=moment(made.at_us),
        actor=made.actor,
    )


def result(row: ReplayedRow, answers: Answers | None = None) -> Result:
    before, after = row.baseline, row.candidate
    repeat = None
    if row.repeat_request_id:
        status = cast(Literal["ok", "error"], row.repeat_status)
        repeat = Repeat(request_id=row.repeat_request_id, status=status, similarity=row.repeat_similarity)
    return Result(
        row=row.row,
        request_id=row.request_id,
        timestamp=moment(row.started_at_us),
        evidence=cast(Evidence, row.evidence),
        baseline=_side(before),
        candidate=_side(after),
        cost_delta_usd=_usd(_less(after.cost_nano, before.cost_nano)),
        latency_delta_ms=_ms(_less(after.latency_us, before.latency_us)),
        lowest_cost_usd=_usd(row.candidate_cost_low_nano),
        highest_cost_usd=_usd(row.candidate_cost_high_nano),
        similarity=row.similarity,
        embedder=row.embedder or None,
        candidate_request_id=row.candidate_request_id or None,
        repeat=repeat,
        weight=row.weight,
        run=row.cluster or None,
        reproduced=row.reproduced,
        candidate_trace=from_json(row.trace),
        answers=answers,
    )


def answers_of(row: ReplayedRow, logged: Mapping[str, LoggedAnswer]) -> Answers:
    """Of one row, from what the log has by request id."""
    before = logged.get(row.request_id)
    bodies = [logged.get(each) for each in (row.request_id, row.candidate_request_id, row.repeat_request_id)]
    baseline, candidate, repeat = (readable(each.response_body) if each else None for each in bodies)
    return Answers(
        request_body=readable(before.request_body) if before else None,
        baseline=baseline,
        candidate=candidate,
        repeat=repeat,
        baseline_trace=readable(before.trace) if before else None,
    )


def similarity_histogram(scores: Scores, threshold: float) -> Histogram:
    interval = wilson(scores.agreeing, scores.scored)
    share = scores.agreeing / scores.scored if scores.scored else None
    words = f"{share:.0%} agreement (≥{threshold:g}) over {scores.scored:,} scored pairs" if share is not None else ""
    return Histogram(
        buckets=[
            Bucket(lower=place / BUCKETS, upper=(place + 1) / BUCKETS, count=count)
            for place, count in enumerate(scores.buckets)
        ],
        mean_similarity=scores.mean,
        scored=scores.scored,
        unscored=scores.rows - scores.scored,
        threshold=threshold,
        agreement=share,
        agreement_ci_95={"lower": interval.lower, "upper": interval.upper},
        headline=words or "no pair is scored: only experiments with responses compare answers",
    )


def _head(record: pb.ExperimentRecord) -> dict[str, object]:
    spec, wanted = record.spec, record.spec.filter
    done = 1.0 if record.status == "completed" else record.rows_done / max(record.rows_total, 1)
    return {
        "id": record.id,
        "project_id": spec.project_id,
        "name": spec.name,
        "hypothesis": spec.hypothesis,
        "mode": spec.mode,
        "status": record.status,
        "status_reason": record.status_reason,
        "progress": done,
        "rows_total": record.rows_total,
        "rows_done": record.rows_done,
        "candidate_policy": spec.candidate_policy,
        "candidate_config": from_json(spec.candidate_config_json),
        "candidate_reference": record.candidate_reference or None,
        "window_start": moment(record.window_start_us),
        "window_end": moment(record.window_end_us),
        "filter": Filter(
            model=wanted.model or None,
            provider=wanted.provider or None,
            end_user_id=wanted.end_user_id or None,
            tags=dict(wanted.tags),
            status=wanted.status or None,
            config=wanted.config or None,
        ),
        "run_tag": spec.run_tag,
        "sample": _sample(spec.sample) if spec.HasField("sample") else None,
        "pilot_size": spec.pilot.size if spec.HasField("pilot") else None,
        "spend_cap_usd": usd(spec.spend_cap_nano) if spec.HasField("spend_cap_nano") else None,
        "spent_usd": usd(record.spent_nano),
        "seed": record.seed,
        "schedule_id": record.schedule_id or None,
        "verdict": verdict_of(record),
        "created_by": record.created_by,
        "created_at": moment(record.created_at_us),
        "started_at": moment_or_none(record.started_at_us),
        "finished_at": moment_or_none(record.finished_at_us),
    }


def _sample(wanted: pb.Sample) -> Sample:
    return Sample(
        size=wanted.size,
        method=cast(Literal["random", "stratified", "semantic"], wanted.method),
        tag=wanted.tag or None,
        call_unchanged=wanted.call_unchanged,
        aa_share=wanted.aa_share,
    )


def verdict_of(record: pb.ExperimentRecord) -> Verdict | None:
    facts = from_json(record.verdict_json)
    return cast(Verdict, facts["verdict"]) if isinstance(facts, dict) else None


def _side(side: ReplayedSide) -> Side:
    return Side(
        model=side.model or None,
        provider=side.provider or None,
        cost_usd=_usd(side.cost_nano),
        latency_ms=_ms(side.latency_us),
        ttft_ms=_ms(side.ttft_us),
        status=cast(Literal["ok", "error"], side.status) if side.status else None,
        error_code=side.error_code or None,
        input_tokens=side.input_tokens,
        output_tokens=side.output_tokens,
        attempts=side.attempts,
    )


def _less(a: int | None, b: int | None) -> int | None:
    return None if a is None or b is None else a - b


def _usd(nano: int | None) -> float | None:
    return None if nano is None else usd(nano)


def _ms(microseconds: int | None) -> float | None:
    return None if microseconds is None else microseconds / 1000
