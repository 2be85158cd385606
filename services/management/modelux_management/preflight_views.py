"""The estimate of an experiment as the API shows it."""

from __future__ import annotations

from pydantic import BaseModel, Field

from modelux.replay.v1 import replay_pb2 as pb
from modelux_management.wire import usd


class Estimate(BaseModel):
    """What an experiment would replay and cost."""

    estimatedCostUsd: float
    effectiveSampleSize: int
    rowCountInWindow: int
    perCallEstimateUsd: float
    embeddingCostUsd: float = Field(description="Of comparing the answers; not under the spend cap.")
    calls: int = Field(description="Requests whose candidate would be called; the others keep the logged choice.")
    detectableRatePoints: float | None = Field(
        description="The smallest change of a rate that so many requests are likely (80 %) to show, percentage points."
    )
    detectableCostPercent: float | None = Field(description="The same for the mean cost, percent.")
    notes: list[str]


class Preflight(BaseModel):
    """An estimate, and the caps that apply."""

    estimate: Estimate
    spendCapUsd: float
    suggestedSpendCapUsd: float
    requiresConfirmation: bool
    autoCancelRatio: float


def preflight(found: pb.PreflightResponse) -> Preflight:
    estimate = Estimate(
        estimatedCostUsd=usd(found.estimated_cost_nano),
        effectiveSampleSize=found.effective_sample_size,
        rowCountInWindow=found.rows_in_window,
        perCallEstimateUsd=usd(found.per_call_nano),
        embeddingCostUsd=usd(found.embedding_cost_nano),
        calls=found.calls,
        detectableRatePoints=found.detectable_rate_points or None,
        detectableCostPercent=found.detectable_cost_percent or None,
        notes=list(found.notes),
    )
    return Preflight(
        estimate=estimate,
        spendCapUsd=usd(found.spend_cap_nano),
        suggestedSpendCapUsd=usd(found.suggested_spend_cap_nano),
        requiresConfirmation=found.requires_confirmation,
        autoCancelRatio=found.auto_cancel_ratio,
    )
