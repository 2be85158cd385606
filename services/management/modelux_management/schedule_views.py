"""Schedules of experiments as the API shows them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field, JsonValue

from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_management.experiment_views import Filter, Verdict
from modelux_management.wire import from_json, moment, moment_or_none, usd


class Alarm(BaseModel):
    """When a regression is told: so many of so many runs in a row must fail, the last among them."""

    failures: int
    of: int


class Judge(BaseModel):
    """The judge run that follows each run."""

    judge_model: str
    rubric: str
    spend_cap_usd: float | None


class Scheduled(BaseModel):
    """The experiment that is made each time."""

    candidate_policy: str
    candidate_config: JsonValue
    mode: str
    hypothesis: str
    filter: Filter
    sample: JsonValue
    pilot_size: int | None
    spend_cap_usd: float | None
    run_tag: str


class Schedule(BaseModel):
    """An experiment that repeats itself."""

    id: str
    project_id: str
    name: str
    cron: str
    time_zone: str
    window: str = Field(description="Length of the window, which ends at the due moment.")
    experiment: Scheduled
    success_criteria: JsonValue
    alarm: Alarm
    judge: Judge | None
    paused: bool
    next_at: datetime | None = Field(description="When it is due; null while it is paused.")
    last_at: datetime | None = Field(description="The due moment that was fired last.")
    last_experiment_id: str | None = Field(description="Its last run that has ended.")
    last_verdict: Verdict | None
    last_error: str = Field(description="Why the last due moment made no experiment; empty: it did.")
    runs: int
    created_by: str
    created_at: datetime
    updated_at: datetime


def schedule(record: pb.ScheduleRecord) -> Schedule:
    spec = record.spec
    cap = usd(spec.judge_spend_cap_nano) if spec.HasField("judge_spend_cap_nano") else None
    judge = Judge(judge_model=spec.judge_model, rubric=spec.judge_rubric, spend_cap_usd=cap)
    return Schedule(
        id=record.id,
        project_id=spec.project_id,
        name=spec.name,
        cron=spec.cron,
        time_zone=spec.time_zone,
        window=span_text(spec.window_s),
        experiment=_scheduled(spec.experiment),
        success_criteria=from_json(spec.criteria_json),
        alarm=Alarm(failures=max(spec.alarm_needed, 1), of=max(spec.alarm_window, 1)),
        judge=judge if spec.judge_model else None,
        paused=spec.paused,
        next_at=moment_or_none(record.next_at_us),
        last_at=moment_or_none(record.last_at_us),
        last_experiment_id=record.last_experiment_id or None,
        last_verdict=record.last_verdict or None,  # type: ignore[arg-type]  # one of the three, or empty
        last_error=record.last_error,
        runs=record.runs,
        created_by=record.created_by,
        created_at=moment(record.created_at_us),
        updated_at=moment(record.updated_at_us),
    )


def span_text(seconds: int) -> str:
    """The longest unit that goes in evenly: 7d, 36h, 90m."""
    unit, length = next((u, s) for u, s in SPANS.items() if seconds % s == 0)
    return f"{seconds // length}{unit}"


SPANS = {"w": 604_800, "d": 86_400, "h": 3_600, "m": 60, "s": 1}
"""Seconds of each unit of a stretch of time, the longest first."""


def _scheduled(spec: replay.ExperimentSpec) -> Scheduled:
    wanted, sample = spec.filter, spec.sample
    called: JsonValue = {
        "size": sample.size,
        "method": sample.method,
        "tag": sample.tag or None,
        "call_unchanged": sample.call_unchanged,
        "aa_share": sample.aa_share,
    }
    return Scheduled(
        candidate_policy=spec.candidate_policy,
        candidate_config=from_json(spec.candidate_config_json),
        mode=spec.mode,
        hypothesis=spec.hypothesis,
        filter=Filter(
            model=wanted.model or None,
            provider=wanted.provider or None,
            end_user_id=wanted.end_user_id or None,
            tags=dict(wanted.tags),
            status=wanted.status or None,
            config=wanted.config or None,
        ),
        sample=called if spec.HasField("sample") else None,
        pilot_size=spec.pilot.size if spec.HasField("pilot") else None,
        spend_cap_usd=usd(spec.spend_cap_nano) if spec.HasField("spend_cap_nano") else None,
        run_tag=spec.run_tag or "run_id",
    )
