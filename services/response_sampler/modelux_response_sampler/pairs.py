"""Say what became of a sampled row."""

from __future__ import annotations

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentSamples, SampledRow
from modelux.events.v1.request_pb2 import RequestCompleted, Usage
from modelux_calling.answers import text_of
from modelux_calling.blocked import STORE_UNAVAILABLE
from modelux_calling.caller import OWN_REFUSALS, Called
from modelux_response_sampler.logged import Logged
from routing_core.types import BUDGET_EXCEEDED

NO_LOGGED_REQUEST = "no_logged_request"
STOPPED = "stopped"
DEADLINE = "deadline"
LOST = "lost"
"""The unit is another process's, or is left to one; never told."""
_PROJECT_BUDGET = "project_budget_exceeded"


def not_called(samples: ExperimentSamples, row: SampledRow, code: str, logged: Logged | None = None) -> ExperimentPair:
    """The row was not called; `code` says why."""
    pair = _pair(samples, row, logged)
    pair.outcome, pair.error_code, pair.ttft_us = "not_called", code, -1
    return pair


def interrupted(
    samples: ExperimentSamples, row: SampledRow, call_id: str, logged: Logged | None, now_us: int
) -> tuple[ExperimentPair, bytes]:
    """A process died under the call: the pair, and the record of a call of which nobody knows the end."""
    pair = _pair(samples, row, logged)
    pair.outcome, pair.call_id, pair.ttft_us = "interrupted", call_id, -1
    record = RequestCompleted(
        request_id=call_id,
        organization_id=samples.organization_id,
        project_id=samples.project_id,
        started_at_us=now_us,
        endpoint="chat",
        outcome="unknown",
        error_code="sampler_died",
        ttft_us=-1,
        source="experiment",
        tags={"experiment_id": samples.experiment_id},
    )
    return pair, record.SerializeToString()


def of_call(samples: ExperimentSamples, row: SampledRow, logged: Logged, called: Called) -> ExperimentPair:
    """How the call went. What we refused ourselves was not called, whatever earlier attempts cost; nor was what broke
    off because the cap had no room for the whole answer: it tells nothing of the candidate.
    """
    pair = _pair(samples, row, logged)
    error = called.error
    code = "" if error is None else error.code or error.type
    if called.cut:
        pair.outcome, pair.error_code = "not_called", BUDGET_EXCEEDED
    elif error is None:
        pair.outcome = "ok"
    elif called.halted is not None or code in OWN_REFUSALS:
        pair.outcome = "not_called"
        pair.error_code = called.halted or _own(code, called.refused_by, samples.budget_id)
    else:
        pair.outcome, pair.error_code = "error", code
    if called.sent:
        pair.call_id = called.call_id
    pair.status = 200 if error is None else error.status
    if called.target is not None:
        pair.model, pair.provider = called.target.model, called.target.provider
        pair.credential_id = called.target.credential_id
    pair.usage.CopyFrom(RequestCompleted.FromString(called.event).usage if called.sent else Usage())
    pair.cost_nano, pair.charged_nano = called.cost_nano, called.charged_nano
    pair.latency_us, pair.ttft_us = called.latency_us, called.ttft_us
    pair.attempts = len(called.outcomes)
    pair.trace_json = called.trace_json
    pair.answer = text_of(called.answer) if pair.outcome == "ok" else ""
    return pair


def may_be_called_later(called: Called) -> bool:
    """Nothing was bought, and the refusal is one that passes or is not this process's to tell."""
    if called.cost_nano or called.charged_nano or called.error is None:
        return False
    return called.halted == LOST or (called.halted is None and called.error.code == STORE_UNAVAILABLE)


def _own(code: str, refused_by: str | None, budget_id: str) -> str:
    """Only what the experiment's own cap refuses goes by the name of a spent budget: that ends the experiment."""
    return _PROJECT_BUDGET if code == BUDGET_EXCEEDED and refused_by != budget_id else code


def _pair(samples: ExperimentSamples, row: SampledRow, logged: Logged | None) -> ExperimentPair:
    return ExperimentPair(
        experiment_id=samples.experiment_id,
        organization_id=samples.organization_id,
        project_id=samples.project_id,
        row=row.row,
        side=row.side,
        request_id=row.request_id,
        logged_answer=logged.answer if logged is not None else "",
    )
