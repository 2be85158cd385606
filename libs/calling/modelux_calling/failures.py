"""The error that a request ends with when no attempt answered it."""

from __future__ import annotations

from collections.abc import Sequence

from modelux_calling import blocked
from modelux_calling.blocked import Blocked
from modelux_providers.call import ProviderCall
from modelux_providers.dialects.base import ProviderError
from routing_core.flow import Decision

_CREDENTIAL = frozenset({401, 402, 403})
_NO_ADVICE = _CREDENTIAL | {408, 429}
"""Client errors that, without a `retry-after`, do not tell the caller what to do."""
HOPELESS = frozenset({"insufficient_quota", "upstream_credentials_exhausted"}) | blocked.HOPELESS
"""Codes of failures that a repetition cannot mend, whatever their status suggests."""


def failure(calls: Sequence[ProviderCall], decision: Decision) -> ProviderError:
    """The error of a request that no attempt answered: that of the attempt that tells the caller most (`told_by`)."""
    told = told_by(calls)
    if told is not None and told.error is not None:
        return _shown(told.error)
    for call in reversed(calls):
        if call.final().kind == "timeout":
            return ProviderError(504, "the providers did not answer in time", "api_error", "upstream_timeout")
    if decision.code == "no_candidates":
        return _no_candidates(decision)
    if decision.code in (None, "attempts_failed", "cancelled"):
        return ProviderError(502, "no provider gave a usable answer", "api_error", "upstream_invalid")
    return ProviderError(503, decision.reason, "api_error", decision.code)


def told_by(calls: Sequence[ProviderCall]) -> ProviderCall | None:
    """The failed call that the caller hears of: the last, unless it does not say what to do and another says when to
    come back; of several such the one with the shortest wait. None where there was no call.

    So a last resort that cannot be reached does not hide the 429 with its retry-after that came before it.
    """
    failed = [(call, call.error) for call in calls if call.error is not None]
    if not failed:
        return calls[-1] if calls else None
    last, error = failed[-1]
    if isinstance(error, Blocked):
        return last
    if error.retry_after_ms is not None or (400 <= error.status < 500 and error.status not in _NO_ADVICE):
        return last
    waits = [
        (other.retry_after_ms, at)
        for at, (_, other) in enumerate(failed)
        if other.retry_after_ms is not None and other.code not in HOPELESS
    ]
    return failed[min(waits)[1]][0] if waits else last


def _shown(error: ProviderError) -> ProviderError:
    """A provider that refuses our stored key must not look as if the caller's key were bad."""
    if error.status in _CREDENTIAL and error.kind == "status":
        message = "the provider refused the credential that this project stored for it"
        return ProviderError(502, message, "api_error", "upstream_credentials_exhausted")
    return error


def _no_candidates(decision: Decision) -> ProviderError:
    reasons = "; ".join(f"{each.model}: {each.reason}" for each in decision.excluded[:5])
    message = f"no model of this routing config can serve the request ({reasons or 'it names none'})"
    if any("circuit" in each.reason for each in decision.excluded):
        return ProviderError(503, message, "api_error", "no_candidates", retry_after_ms=5000)
    return ProviderError(400, message, "invalid_request_error", "no_candidates", "model")
