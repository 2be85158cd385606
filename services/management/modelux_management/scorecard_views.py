"""The scorecard of projections as the API shows it."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field

from modelux.replay.v1 import replay_pb2 as pb
from modelux_management.wire import moment

Metric = Literal["mean_cost_usd", "p50_latency_ms", "p95_latency_ms", "error_rate"]


class Figure(BaseModel):
    """A value with its 95 % interval; null where it is not known."""

    value: float | None
    lower: float | None
    upper: float | None


class ScorecardMetric(BaseModel):
    """How well one metric was projected."""

    metric: Metric
    entries: int
    coverage: Figure = Field(description="Share of the projected intervals that held; 0.95 is wanted.")
    median_error: float | None = Field(description="Of |projected - measured| over the measured value.")
    too_high: Figure = Field(description="Share that was projected too high; 0.5 leans to no side.")
    widen_by: float | None = Field(
        description="What to multiply projected intervals by so that 95 % would have held; null below 20 entries."
    )


class ScorecardEntry(BaseModel):
    """What one experiment projected, and what was measured."""

    experiment_id: str
    source: Literal["promotion", "with_responses"]
    slug: str | None
    version: int | None
    metric: Metric
    projected: Figure
    measured: Figure
    held: bool
    requests: int = Field(description="That were measured.")
    measured_at: datetime


class Scorecard(BaseModel):
    """Of one project."""

    metrics: list[ScorecardMetric]
    entries: list[ScorecardEntry] = Field(description="Newest first, at most 200.")
    waiting: int = Field(description="Promotions that have served fewer than 200 requests yet.")


def scorecard(found: pb.ScorecardResponse) -> Scorecard:
    return Scorecard(
        metrics=[_metric(each) for each in found.metrics],
        entries=[_entry(each) for each in found.entries],
        waiting=found.waiting,
    )


def _metric(found: pb.ScorecardMetric) -> ScorecardMetric:
    return ScorecardMetric(
        metric=cast(Metric, found.metric),
        entries=found.entries,
        coverage=_figure(found.coverage),
        median_error=found.median_error if found.HasField("median_error") else None,
        too_high=_figure(found.too_high),
        widen_by=found.widen_by if found.HasField("widen_by") else None,
    )


def _entry(found: pb.ScorecardEntry) -> ScorecardEntry:
    return ScorecardEntry(
        experiment_id=found.experiment_id,
        source=cast(Literal["promotion", "with_responses"], found.source),
        slug=found.slug or None,
        version=found.version or None,
        metric=cast(Metric, found.metric),
        projected=_figure(found.projected),
        measured=_figure(found.measured),
        held=found.held,
        requests=found.requests,
        measured_at=moment(found.measured_at_us),
    )


def _figure(found: pb.Estimate) -> Figure:
    known = {name: getattr(found, name) if found.HasField(name) else None for name in ("value", "lower", "upper")}
    return Figure(**known)
