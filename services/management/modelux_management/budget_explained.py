"""Why a logged request was blocked or downgraded, or what budgets would do to a request that is only thought of."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field, JsonValue

from modelux.config.v1 import admin_pb2 as pb
from modelux_management import budget_words as words
from modelux_management.budget_views import Budget, Spend, Unit, budget, spends
from modelux_management.wire import moment, moment_or_none, usd
from modelux_store.log_rows import LogRecord

Verdict = Literal["blocked", "downgraded", "passed", "would_block", "would_downgrade", "would_pass"]

_BLOCKED = frozenset({"budget_exceeded", "run_aborted", "budget_store_unavailable", "price_unknown"})


class Denial(BaseModel):
    """A call that was denied, with what was weighed: dollars or calls, as `unit` says."""

    at: datetime
    reason: str = Field(description="exceeded, run_aborted, too_long, gone or fenced.")
    unit: Unit
    cap: float
    spent: float
    reserved: float
    needed: float
    resets_at: datetime | None
    request_id: str | None


class Standing(BaseModel):
    """Where one budget stands for the request."""

    budget: Budget
    value: str | None
    spend: Spend | None = Field(description="Now; null where nothing was spent yet.")
    would_pass: bool
    reason: str | None
    text: str
    denials: list[Denial] = Field(description="The newest, newest first.")


class ExplainedRequest(BaseModel):
    """The logged request that was asked about."""

    request_id: str
    started_at: datetime
    requested_model: str
    model: str | None
    status: int
    error_code: str | None
    downgrades: list[str] = Field(description="Each `from -> to (why)`.")
    refusal: JsonValue = Field(description="The error that the caller got, where bodies are kept; else null.")


class Explanation(BaseModel):
    """Why, in plain sentences and in numbers."""

    verdict: Verdict
    text: list[str] = Field(description="Plain English, one sentence an entry.")
    request: ExplainedRequest | None
    would_pass: bool = Field(description="Whether the same request would pass now.")
    standings: list[Standing]
    at: datetime


def facts(record: LogRecord) -> pb.ExplainBudgetRequest:
    """What budgets look at in a logged request."""
    row, last = record.row, record.attempts[-1] if record.attempts else None
    plain = "" if row.requested_model.startswith("@") else row.requested_model.partition(":")[0]
    return pb.ExplainBudgetRequest(
        project_id=row.project_id,
        key_id=row.key_id,
        tags=row.tags,
        end_user=row.end_user_id,
        model=row.model or (last.model if last else plain),
        provider=row.provider or (last.provider if last else ""),
    )


def explanation(found: pb.ExplainBudgetResponse, record: LogRecord | None) -> Explanation:
    """The answer in numbers and words. Without a record it is about a request that is only thought of."""
    request = None if record is None else _request(record)
    verdict = _past(request) if request else _thought(found)
    text = list(_told(verdict, found, request)) if request else []
    text += [line for each in found.standings for line in words.standing(each)]
    if not found.standings:
        text.append("No budget holds for this request.")
    return Explanation(
        verdict=verdict,
        text=text,
        request=request,
        would_pass=found.would_pass,
        standings=[_standing(each) for each in found.standings],
        at=moment(found.at_us),
    )


def _past(request: ExplainedRequest) -> Verdict:
    if request.error_code in _BLOCKED:
        return "blocked"
    return "downgraded" if request.downgrades else "passed"


def _thought(found: pb.ExplainBudgetResponse) -> Verdict:
    if not found.would_pass:
        return "would_block"
    return "would_downgrade" if any(each.reason == "downgraded" for each in found.standings) else "would_pass"


def _told(verdict: Verdict, found: pb.ExplainBudgetResponse, request: ExplainedRequest) -> Iterator[str]:
    yield f"{request.request_id} asked for {request.requested_model} and was {_outcome(verdict, request)}."
    for hop in request.downgrades:
        yield f"Downgraded: {hop}."
    if verdict == "blocked":
        yield from _cause(found, request)
    yield "Where the budgets stand now:"


def _cause(found: pb.ExplainBudgetResponse, request: ExplainedRequest) -> Iterator[str]:
    """What was weighed at that time: as the caller was told, or as the ledger wrote it down."""
    denials = [(each, denial) for each in found.standings for denial in each.denials]
    own = next(((each, d) for each, d in denials if d.request_id == request.request_id), None)
    error = request.refusal if isinstance(request.refusal, dict) else {}
    details = error.get("budget")
    if isinstance(details, dict):
        yield from words.refused(request.error_code or "", str(error.get("message")), details)
    elif own is not None:
        yield from words.blocked(own[0].budget, own[1])
    elif request.error_code == "budget_store_unavailable":
        yield "The ledger could not be reached, and no slice of the budget was left here: hard caps then refuse."
    elif request.error_code == "price_unknown":
        yield "No price is known for the model, so its worst case is not known either. Set one under /prices."


def _outcome(verdict: Verdict, request: ExplainedRequest) -> str:
    if verdict == "blocked":
        return f"blocked with {request.status} {request.error_code}"
    answered = f"answered by {request.model}" if request.model else f"not answered ({request.status})"
    return f"downgraded and {answered}" if verdict == "downgraded" else f"{answered}; no budget changed its way"


def _request(record: LogRecord) -> ExplainedRequest:
    row = record.row
    return ExplainedRequest(
        request_id=row.request_id,
        started_at=moment(row.started_at_us),
        requested_model=row.requested_model,
        model=row.model or None,
        status=row.status,
        error_code=row.error_code or None,
        downgrades=list(_downgrades(record)),
        refusal=_refusal(record),
    )


def _refusal(record: LogRecord) -> JsonValue:
    if record.row.error_code not in _BLOCKED:
        return None
    try:
        body: JsonValue = json.loads(record.response_body)
    except ValueError:
        return None
    return body.get("error") if isinstance(body, dict) else None


def _downgrades(record: LogRecord) -> Iterator[str]:
    """The hops that budgets caused, from the decision trace."""
    trace = json.loads(record.trace) if record.trace else {}
    for hop in trace.get("path", []):
        if hop["policy_type"] == "budget":
            yield f"{hop['policy_name'] or record.row.requested_model} -> {hop['chose']} ({hop['reason']})"


def _standing(each: pb.BudgetStanding) -> Standing:
    found: Sequence[Spend] = spends(each.accounts)
    return Standing(
        budget=budget(each.budget),
        value=each.value or None,
        spend=found[0] if found else None,
        would_pass=each.would_pass,
        reason=each.reason or None,
        text=each.text,
        denials=[_denial(denial) for denial in each.denials],
    )


def _denial(denial: pb.BudgetDenial) -> Denial:
    amount = usd if denial.unit == "usd" else float
    return Denial(
        at=moment(denial.at_us),
        reason=denial.reason,
        unit=cast(Unit, denial.unit),
        cap=amount(denial.cap),
        spent=amount(denial.settled),
        reserved=amount(denial.leased),
        needed=amount(denial.needed),
        resets_at=moment_or_none(denial.resets_at_us),
        request_id=denial.request_id or None,
    )
