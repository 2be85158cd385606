"""Import history: calls that were made elsewhere, from a file of rows."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from typing import Annotated

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_bus.base import Bus, BusUnavailable
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_contracts.sources import MADE
from modelux_management.authorized import Authorized, Caller, Routes
from modelux_management.imported_views import Imported, imported
from modelux_management.imports.columns import ColumnMap, parse_map
from modelux_management.imports.entries import Spread
from modelux_management.imports.events import Importer
from modelux_management.imports.presets import Preset
from modelux_management.imports.records import Unreadable
from modelux_management.imports.work import Found, Plan, read_upload
from modelux_management.operator_prices import operator_prices
from modelux_management.wire import Data, Moment, Query, micros
from modelux_providers.catalog import Catalog
from routing_core.errors import ModeluxError

routes = Routes("logs")

UPLOAD_BYTES = 16 * 1024 * 1024
_TOGETHER = 500
"""Messages published at once."""
_PAGE = 200
_DAY_US = 86_400_000_000
_UNITS_US = {"d": _DAY_US, "h": 3_600_000_000, "m": 60_000_000}


class ImportQuery(Query):
    """Into which project, and how to read the file."""

    project_id: str = Field(max_length=200)
    preset: Preset | None = Field(None, description="Whose export it is. Left out: told by the first row.")
    map: str = Field("", max_length=8_000, description="`field=column,…`, over the preset; see docs/import.md.")
    source: str = Field(
        "", pattern=r"^[A-Za-z0-9._-]{0,64}$", description="Names the history. Left out: the preset's name."
    )
    start: Moment | None = Field(None, description="Gives times to rows without: from this moment on,")
    spread: str = Field("7d", pattern=r"^[1-9]\d{0,3}[dhm]$", description="spread over this span, such as 7d or 24h.")
    first_row: int = Field(0, ge=0, le=10**12, description="The place of the first row, where a file comes in pieces.")
    strict: bool = Field(False, description="Import nothing if one row is refused.")
    dry_run: bool = Field(False, description="Read and report, import nothing.")


@routes.endpoint(
    "POST", "/logs/import", "Import calls that were made elsewhere", role="editor", upload_bytes=UPLOAD_BYTES
)
async def import_logs(
    caller: Authorized, query: Annotated[ImportQuery, QueryParameters()], request: Request
) -> Data[Imported]:
    """JSONL or CSV with a header, at most 16 MiB; send longer files in pieces, as `modelux import` does. The same rows
    sent again are there once. Imported calls count against no budget and say nothing of health.
    """
    if query.source in MADE:
        raise invalid(FieldError("source", f"{query.source!r} names the calls of runs of ours", "Choose another name."))
    plan = Plan(query.preset, _map(query.map), _spread(query), query.first_row, time.time_ns() // 1000)
    importer = await _importer(caller, query, request.app.state.catalog)
    content = await request.body()
    async with request.app.state.importing:
        try:
            found = await asyncio.to_thread(read_upload, content, plan, importer)
        except Unreadable as error:
            raise invalid(FieldError("file", error.message, error.hint), code=error.code) from error
        if query.strict and found.refused:
            raise _rows_refused(found)
        if not query.dry_run:
            await _publish(request.app.state.bus, found)
    return Data(data=imported(found, dry_run=query.dry_run))


def _map(text: str) -> ColumnMap:
    try:
        return parse_map(text)
    except ModeluxError as error:
        raise invalid(FieldError("map", error.message, error.hint)) from error


def _spread(query: ImportQuery) -> Spread | None:
    if query.start is None:
        if "spread" in query.model_fields_set:
            raise invalid(FieldError("start", "is missing beside spread", "Give the moment that the span begins at."))
        return None
    found = Spread(micros(query.start), int(query.spread[:-1]) * _UNITS_US[query.spread[-1]])
    if found.start_us + found.span_us > time.time_ns() // 1000:
        raise invalid(
            FieldError("spread", "reaches into the future from start", "Take an earlier start or a shorter span.")
        )
    return found


async def _importer(caller: Caller, query: ImportQuery, catalog: Catalog) -> Importer:
    answer = await caller.call(pb.GetProjectRequest(id=query.project_id), pb.GetProjectResponse)
    return Importer(
        caller.organization_id,
        query.project_id,
        query.source,
        answer.project.logging_mode == "full",
        catalog,
        await operator_prices(caller),
        await _credentials(caller, query.project_id),
    )


async def _credentials(caller: Caller, project_id: str) -> dict[str, str]:
    """The credential of each provider for which the project has just one."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    cursor = ""
    while True:
        page = pb.Page(limit=_PAGE, cursor=cursor)
        answer = await caller.call(pb.ListCredentialsRequest(page=page), pb.ListCredentialsResponse)
        for record in answer.credentials:
            if not record.project_ids or project_id in record.project_ids:
                found[record.provider].append(record.id)
        cursor = answer.next_cursor
        if not cursor:
            return {provider: ids[0] for provider, ids in found.items() if len(ids) == 1}


async def _publish(bus: Bus | None, found: Found) -> None:
    if bus is None:
        raise BusUnavailable("there is none")
    for start in range(0, len(found.messages), _TOGETHER):
        await bus.publish(found.messages[start : start + _TOGETHER])


def _rows_refused(found: Found) -> ProblemError:
    errors = tuple(
        {"field": f"line {flaw.line}" + f": {flaw.field}" * bool(flaw.field), "message": flaw.message}
        | ({"hint": flaw.hint} if flaw.hint else {})
        for flaw in found.flaws
    )
    first = errors[0]
    detail = (
        f"{found.refused} of {found.rows} rows are refused, and none was imported. {first['field']} {first['message']}"
    )
    hint = first.get("hint") or "Mend the rows, or import the others without strict."
    return ProblemError(Problem(422, "rows_refused", "Rows refused", detail, hint, errors))
