"""Why budgets blocked or downgraded a call, and whether ledger and log agree."""

from __future__ import annotations

from typing import Annotated

from fastapi import Query as QueryParameters
from fastapi import Request
from pydantic import Field, model_validator

from modelux.config.v1 import admin_pb2 as pb
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.authorized import Authorized, Caller, Routes
from modelux_management.budget_explained import Explanation, explanation, facts
from modelux_management.budget_reconciled import Reconciliation, logged_value, reconciliation, windows
from modelux_management.wire import Body, Data, Listing, Moment, NanoUsd, PageQuery, listing, micros
from modelux_store.log_rows import LogRecord
from modelux_store.logs import Logs
from modelux_store.spending import Logged

routes = Routes("budgets")

_Text = Annotated[str, Field(max_length=1_000)]


class ExplainBudget(Body):
    """A logged request by its id, or one budget, or the facts of a request. With none of them: every budget that is
    not `each`.
    """

    request_id: _Text = Field("", description="The x-request-id of the answer.")
    budget_id: _Text = ""
    value: _Text = Field("", description="A value of an `each` budget.")
    project_id: _Text = ""
    key_id: _Text = ""
    tags: dict[str, str] = Field({}, max_length=64)
    end_user_id: _Text = ""
    model: _Text = ""
    provider: _Text = ""
    experiment_id: _Text = ""
    judge_run_id: _Text = ""
    needed_usd: NanoUsd = Field(0, description="What one attempt costs at most.")

    @model_validator(mode="after")
    def _one_question(self) -> ExplainBudget:
        if self.request_id and self.model_fields_set != {"request_id"}:
            raise ValueError("a requestId stands alone: the request's own facts are taken")
        return self


class ReconcileQuery(PageQuery):
    """Which windows and values."""

    value: str = Field("", max_length=1_000, description="One value of an `each` budget; left out: all.")
    start: Moment | None = Field(None, description="Windows that began at this moment or later.")
    end: Moment | None = Field(None, description="Windows that began before this moment.")


@routes.endpoint("POST", "/budgets/explain", "Tell why a call was blocked or downgraded, or would be", role="viewer")
async def explain_budget(caller: Authorized, body: ExplainBudget, request: Request) -> Data[Explanation]:
    """Reads and changes nothing."""
    record = await _logged_request(caller, request, body.request_id) if body.request_id else None
    asked = facts(record) if record else _facts(body)
    found = await caller.call(asked, pb.ExplainBudgetResponse)
    return Data(data=explanation(found, record))


@routes.endpoint("GET", "/budgets/{budget_id}/reconcile", "Hold the ledger against the request log", role="viewer")
async def reconcile_budget(
    caller: Authorized, budget_id: str, query: Annotated[ReconcileQuery, QueryParameters()], request: Request
) -> Listing[Reconciliation]:
    """A row per window and value, newest window first. Only money is reconciled, not counts of calls."""
    record = (await caller.call(pb.GetBudgetRequest(id=budget_id), pb.GetBudgetResponse)).budget
    found = await caller.call(_windows_of(budget_id, query), pb.ReconcileBudgetResponse)
    accounts = [each for each in found.accounts if each.unit == "usd"]
    spent: dict[tuple[int, str], Logged] = {}
    for wanted in windows(record, accounts):
        logged = await _logs(request).spent(wanted)
        spent |= {(wanted.end_us, value): each for value, each in logged.items()}
    rows = [reconciliation(a, spent.get((a.resets_at_us, logged_value(record, a)), Logged())) for a in accounts]
    return listing(rows, found.next_cursor)


async def _logged_request(caller: Caller, request: Request, request_id: str) -> LogRecord:
    record = await _logs(request).get(caller.organization_id, request_id)
    if record is None:
        detail = f"There is no request {request_id[:80]!r} in the logs."
        hint = "A request can be explained a few seconds after its answer; see x-request-id of the answer."
        raise ProblemError(Problem(404, "not_found", "Not found", detail, hint))
    return record


def _facts(body: ExplainBudget) -> pb.ExplainBudgetRequest:
    return pb.ExplainBudgetRequest(
        budget_id=body.budget_id,
        value=body.value,
        project_id=body.project_id,
        key_id=body.key_id,
        tags=body.tags,
        end_user=body.end_user_id,
        model=body.model,
        provider=body.provider,
        experiment_id=body.experiment_id,
        judge_run_id=body.judge_run_id,
        needed_nano=body.needed_usd,
    )


def _windows_of(budget_id: str, query: ReconcileQuery) -> pb.ReconcileBudgetRequest:
    if query.start and query.end and query.end <= query.start:
        raise invalid(FieldError("end", "is not after start", "Exchange them."))
    return pb.ReconcileBudgetRequest(
        id=budget_id,
        start_us=micros(query.start) if query.start else 0,
        end_us=micros(query.end) if query.end else 0,
        value=query.value,
        page=pb.Page(limit=query.limit, cursor=query.cursor),
    )


def _logs(request: Request) -> Logs:
    logs: Logs = request.app.state.logs
    return logs
