"""How an import is reported."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from modelux_management.imports.presets import Preset
from modelux_management.imports.records import Flaw, Format
from modelux_management.imports.work import Found, Group
from modelux_management.wire import moment_or_none, usd


class RefusedRow(BaseModel):
    """A row that was not taken."""

    line: int = Field(description="Where it begins in what was sent, from 1.")
    field: str | None = Field(description="Null where the whole row is meant.")
    message: str
    hint: str | None


class ImportedModel(BaseModel):
    """The calls of one model at one provider."""

    provider: str
    model: str
    rows: int
    failed: int
    input_tokens: int
    output_tokens: int
    cost_usd: float = Field(description="Of those with a known price.")
    price_unknown: int = Field(description="Calls that nobody told the cost of and no price is known for.")


class Imported(BaseModel):
    """What a file held, and what was taken of it."""

    source: str = Field(description="The name that logs show the rows by.")
    format: Format
    preset: Preset
    dry_run: bool = Field(description="True: nothing was imported.")
    rows: int
    imported: int = Field(description="Calls. They stand in the log a few seconds later.")
    left_out: int = Field(description="Rows that tell of no call of ours: spans, pictures, answers of a cache.")
    refused: int
    refused_rows: list[RefusedRow] = Field(description="The first ten.")
    without_latency: int
    empty_fields: list[str] = Field(description="Fields of the map for which no row held anything.")
    first: datetime | None = Field(description="When the earliest call began.")
    last: datetime | None
    models: list[ImportedModel]


def imported(found: Found, *, dry_run: bool) -> Imported:
    """The report of one upload."""
    return Imported(
        source=found.source,
        format=found.format,
        preset=found.preset,
        dry_run=dry_run,
        rows=found.rows,
        imported=len(found.messages),
        left_out=found.left_out,
        refused=found.refused,
        refused_rows=[_refused(flaw) for flaw in found.flaws],
        without_latency=found.without_latency,
        empty_fields=list(found.empty),
        first=moment_or_none(found.first_us),
        last=moment_or_none(found.last_us),
        models=[_model(provider, model, group) for (provider, model), group in sorted(found.groups.items())],
    )


def _refused(flaw: Flaw) -> RefusedRow:
    return RefusedRow(line=flaw.line, field=flaw.field or None, message=flaw.message, hint=flaw.hint or None)


def _model(provider: str, model: str, group: Group) -> ImportedModel:
    return ImportedModel(
        provider=provider,
        model=model,
        rows=group.rows,
        failed=group.failed,
        input_tokens=group.input_tokens,
        output_tokens=group.output_tokens,
        cost_usd=usd(group.cost_nano),
        price_unknown=group.price_unknown,
    )
