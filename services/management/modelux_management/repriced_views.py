"""How history priced again is shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pydantic import BaseModel, Field

from modelux_management.repricing import Charged, Line, Report, Tally
from modelux_management.wire import usd
from modelux_providers.catalog import PriceOverride


class RepricedSum(BaseModel):
    """Attempts added up. Those without a price now are in no amount but `logged_usd` and `unpriced_logged_usd`."""

    attempts: int = Field(description="That used or cost something; a request may have several.")
    logged_usd: float = Field(description="By the log, with the ceilings charged where no price was known.")
    logged_unknown_attempts: int = Field(description="Attempts whose price was not known when they were made.")
    repriced_usd: float | None = Field(description="At the prices asked for; null where none is known.")
    difference_usd: float | None = Field(description="Repriced less logged, of the attempts that have a price.")
    unpriced_attempts: int = Field(description="Attempts that no price is known for now either.")
    unpriced_logged_usd: float


class ChargedAt(BaseModel):
    """What was charged at one version of a price."""

    price_version: str | None = Field(description="Null where the log names none.")
    attempts: int
    cost_usd: float


class RepricedModel(RepricedSum):
    """One model at one provider."""

    provider: str
    model: str = Field(description="As the provider calls it.")
    logged_at: list[ChargedAt]
    repriced_at: list[ChargedAt]


class Unused(BaseModel):
    """A supposed price without attempts."""

    provider: str
    model: str


class Repriced(BaseModel):
    """What logged usage cost, and what it would have cost. Models in the order of what they cost."""

    project_id: str | None
    start: datetime
    end: datetime
    as_of: datetime | None = Field(description="Prices in force then; null: each call at those of its own time.")
    total: RepricedSum
    models: list[RepricedModel]
    unused: list[Unused] = Field(description="Supposed prices that changed nothing, as no attempt was at their model.")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the report is of."""

    project_id: str
    start: datetime
    end: datetime
    as_of: datetime | None
    supposed: Sequence[PriceOverride]


def repriced(report: Report, asked: Asked) -> Repriced:
    """The report as the API tells it."""
    lines = sorted(report.lines.items(), key=lambda each: (-max(each[1].logged, each[1].repriced), each[0]))
    models = [_model(provider, model, line) for (provider, model), line in lines]
    total = RepricedSum.model_validate(_sum(report.total))
    unused = [Unused(provider=p.provider, model=p.model) for p in asked.supposed if not _found(report, p)]
    return Repriced(
        project_id=asked.project_id or None,
        start=asked.start,
        end=asked.end,
        as_of=asked.as_of,
        total=total,
        models=models,
        unused=unused,
    )


def _found(report: Report, price: PriceOverride) -> bool:
    return (price.provider, price.model) in report.lines


def _model(provider: str, model: str, line: Line) -> RepricedModel:
    return RepricedModel.model_validate(
        _sum(line)
        | {
            "provider": provider,
            "model": model,
            "logged_at": _charged(line.logged_at),
            "repriced_at": _charged(line.repriced_at),
        }
    )


def _sum(tally: Tally) -> dict[str, object]:
    known = tally.unpriced < tally.attempts or not tally.attempts
    return {
        "attempts": tally.attempts,
        "logged_usd": usd(tally.logged),
        "logged_unknown_attempts": tally.unknown,
        "repriced_usd": usd(tally.repriced) if known else None,
        "difference_usd": usd(tally.difference) if known else None,
        "unpriced_attempts": tally.unpriced,
        "unpriced_logged_usd": usd(tally.unpriced_logged),
    }


def _charged(at: Mapping[str, Charged]) -> list[ChargedAt]:
    return [
        ChargedAt(price_version=version or None, attempts=each.attempts, cost_usd=usd(each.cost))
        for version, each in sorted(at.items())
    ]
