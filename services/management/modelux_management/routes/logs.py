"""Request logs: what was asked, where it went and why."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.authorized import Authorized, Caller, Routes
from modelux_management.log_views import Log, LogDetail, Outcome, log, log_detail
from modelux_management.wire import Data, Listing, Moment, NanoUsd, PageQuery, listing, micros
from modelux_store.log_filter import LogFilter
from modelux_store.logs import InvalidCursor, Logs

routes = Routes("logs")

_Text = Annotated[str | None, Field(max_length=200)]


class LogsQuery(PageQuery):
    """Which requests. Conditions are joined by AND."""

    project_id: _Text = None
    tag: list[str] = Field([], max_length=20, description="`key:value`; may be repeated, and all must hold.")
    model: _Text = Field(None, description="The model that answered.")
    provider: _Text = None
    requested_model: _Text = Field(None, description="As the caller wrote it, e.g. @production.")
    config: _Text = Field(None, description="Slug of the routing config.")
    config_version: int | None = Field(None, ge=1, le=2**31 - 1)
    end_user_id: _Text = None
    key_id: _Text = None
    endpoint: Literal["chat", "embeddings"] | None = None
    status: str | None = Field(
        None, pattern=r"^([1-5]\d\d|[1-5]xx)$", description="A status such as 429, or a class: 5xx."
    )
    outcome: Outcome | None = None
    source: _Text = Field(
        None,
        description="`experiment` or `judge`: calls that such runs made, which are left out else; another name: rows "
        "that were imported under it; empty: only what proxies served.",
    )
    error_code: _Text = None
    start: Moment | None = Field(None, description="From this moment on.")
    end: Moment | None = Field(None, description="Before this moment.")
    min_cost_usd: NanoUsd | None = None
    max_cost_usd: NanoUsd | None = None
    min_latency_ms: int | None = Field(None, ge=0, le=10**9)
    max_latency_ms: int | None = Field(None, ge=0, le=10**9)


@routes.endpoint("GET", "/logs", "Search the request logs, newest first", role="viewer")
async def list_logs(
    caller: Authorized, query: Annotated[LogsQuery, QueryParameters()], request: Request
) -> Listing[Log]:
    if query.project_id:
        await caller.call(pb.GetProjectRequest(id=query.project_id), pb.GetProjectResponse)
    wanted = _filter(caller, query)
    try:
        page = await _logs(request).page(wanted, limit=query.limit, cursor=query.cursor or None)
    except InvalidCursor as error:
        raise invalid(FieldError("cursor", error.message, error.hint), code="invalid_cursor") from error
    return listing([log(row) for row in page.rows], page.next_cursor or "")


@routes.endpoint("GET", "/logs/{request_id}", "Show one request with its decision trace", role="viewer")
async def get_log(caller: Authorized, request_id: str, request: Request) -> Data[LogDetail]:
    record = await _logs(request).get(caller.organization_id, request_id)
    if record is None:
        detail = f"There is no request {request_id[:80]!r} in the logs."
        hint = "A request can be read a few seconds after its answer; see x-request-id of the answer."
        raise ProblemError(Problem(404, "not_found", "Not found", detail, hint))
    return Data(data=log_detail(record))


def _logs(request: Request) -> Logs:
    logs: Logs = request.app.state.logs
    return logs


def _filter(caller: Caller, query: LogsQuery) -> LogFilter:
    if query.start and query.end and query.end <= query.start:
        raise invalid(FieldError("end", "is not after start", "Exchange them."))
    status, least, most = _statuses(query.status)
    return LogFilter(
        organization_id=caller.organization_id,
        project_id=query.project_id or None,
        start_us=micros(query.start) if query.start else None,
        end_us=micros(query.end) if query.end else None,
        model=query.model,
        provider=query.provider,
        requested_model=query.requested_model,
        config=query.config.removeprefix("@") if query.config else None,
        config_version=query.config_version,
        endpoint=query.endpoint,
        end_user_id=query.end_user_id,
        key_id=query.key_id,
        tags=_tags(query.tag),
        status=status,
        min_status=least,
        max_status=most,
        outcome=query.outcome,
        source=query.source,
        error_code=query.error_code,
        min_cost_nano=query.min_cost_usd,
        max_cost_nano=query.max_cost_usd,
        min_latency_us=None if query.min_latency_ms is None else query.min_latency_ms * 1000,
        max_latency_us=None if query.max_latency_ms is None else query.max_latency_ms * 1000,
    )


def _statuses(text: str | None) -> tuple[int | None, int | None, int | None]:
    """The exact status, or the bounds of a class."""
    if text is None:
        return None, None, None
    if text.endswith("xx"):
        return None, int(text[0]) * 100, int(text[0]) * 100 + 99
    return int(text), None, None


def _tags(pairs: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for index, pair in enumerate(pairs):
        name, colon, value = pair.partition(":")
        if not colon or not name or len(pair) > 1_000:
            raise invalid(FieldError(f"tag[{index}]", "is not key:value", "Write it as tag=team:search."))
        if found.setdefault(name, value) != value:
            raise invalid(
                FieldError(f"tag[{index}]", f"asks for two values of {name[:80]!r}", "A request has one value per tag.")
            )
    return found
