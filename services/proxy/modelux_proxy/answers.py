"""The head of an answer, and the errors a caller sees when no attempt brought one."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

from modelux_contracts.errors import OpenAIError
from modelux_providers.call import ProviderCall
from modelux_providers.dialects.base import ProviderError
from modelux_proxy.blocked import HOPELESS, Blocked
from modelux_proxy.call_context import Context
from modelux_proxy.exchange import header
from modelux_proxy.purse import Purse
from routing_core.flow import Decision

JSON = b"content-type: application/json\r\n"
STREAM = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
_CREDENTIAL = frozenset({401, 402, 403})
_NO_ADVICE = _CREDENTIAL | {408, 429}
"""Client errors that, without a `retry-after`, do not tell the caller what to do."""
_HOPELESS = frozenset({"insufficient_quota", "upstream_credentials_exhausted"}) | HOPELESS
"""Codes of failures that a repetition cannot mend, whatever their status suggests."""
_RATE_LIMITS = tuple(
    b"x-ratelimit-%b-%b" % (what, unit)
    for what in (b"limit", b"remaining", b"reset")
    for unit in (b"requests", b"tokens")
)
_LIMIT_NAMES = frozenset(_RATE_LIMITS)


def head(context: Context, call: ProviderCall | None, *, cost_nano: int | None = None) -> bytes:
    """The header lines that tell what served the request."""
    request = context.request
    lines = b"x-request-id: %b\r\nx-modelux-attempts: %d\r\n%b" % (
        request.request_id.encode(),
        len(context.driven.trials),
        _policy_lines(context.policy.name, context.policy.version),
    )
    if call is not None:
        lines += _target_lines(call.target.model, call.target.provider)
        if call.provider_request_id:
            lines += header("x-modelux-provider-request-id", call.provider_request_id)
        if call.dropped:
            lines += header("x-modelux-dropped-fields", ", ".join(call.dropped))
        if call.emulated:
            lines += header("x-modelux-emulated-fields", ", ".join(call.emulated))
        if not _LIMIT_NAMES.isdisjoint(call.headers) and len(context.driven.trials) == 1:
            lines += _rate_limits(context, call)
    if cost_nano is not None:
        lines += b"x-modelux-cost-usd: %d.%09d\r\n" % divmod(cost_nano, 1_000_000_000)
    if context.purse is not None:
        lines += _budget_lines(context.purse, call)
    client_id = context.exchange.headers.get(b"x-client-request-id")
    if client_id is not None:
        lines += header("x-client-request-id", client_id[:256].decode("latin-1"))
    return lines + context.limit_lines


def _budget_lines(purse: Purse, call: ProviderCall | None) -> bytes:
    """What is left of the tightest budget without what this call holds, what it holds, and the limit it was given."""
    charge = call.charge if call is not None else None
    lines = b""
    reserved = charge.bound_nano if charge is not None else 0
    if (left := purse.remaining_nano) is not None:
        lines += b"x-modelux-budget-remaining-usd: %d.%09d\r\n" % divmod(max(left - reserved, 0), 1_000_000_000)
    if charge is not None:
        lines += b"x-modelux-reserved-usd: %d.%09d\r\n" % divmod(reserved, 1_000_000_000)
        if charge.clamped:
            lines += b"x-modelux-max-tokens-clamped: %d\r\n" % charge.limit
    return lines


def _rate_limits(context: Context, call: ProviderCall) -> bytes:
    """The provider's own limits, which mean something to the caller only where it alone was asked and we set none."""
    if b"x-ratelimit-" in context.limit_lines:
        return b""
    given = call.headers
    return b"".join(
        [header(name.decode(), value.decode("latin-1")) for name in _RATE_LIMITS if (value := given.get(name))]
    )


@lru_cache(maxsize=4096)
def _policy_lines(name: str, version: int) -> bytes:
    if not name:
        return b""
    return header("x-modelux-config", f"@{name}") + b"x-modelux-config-version: %d\r\n" % version


@lru_cache(maxsize=4096)
def _target_lines(model: str, provider: str) -> bytes:
    return header("x-modelux-model", model) + header("x-modelux-provider", provider)


def failure(context: Context, decision: Decision) -> ProviderError:
    """The error of a request that no attempt answered: that of the attempt that tells the caller most (`told_by`)."""
    told = told_by(context.driven.trials)
    if told is not None and told.error is not None:
        return _shown(told.error)
    for call in reversed(context.driven.trials):
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
        if other.retry_after_ms is not None and other.code not in _HOPELESS
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


def error_lines(error: ProviderError, call: ProviderCall | None) -> bytes:
    """Whether and when to come back: `x-should-retry`, and `retry-after` in both its forms, as the provider said."""
    lines = b""
    verdict = b"false" if error.code in _HOPELESS else call.headers.get(b"x-should-retry") if call is not None else None
    if verdict in (b"true", b"false"):
        lines += b"x-should-retry: %b\r\n" % verdict
    if error.retry_after_ms is None:
        return lines
    seconds = -(-error.retry_after_ms // 1000)
    return lines + b"retry-after: %d\r\nretry-after-ms: %d\r\n" % (seconds, error.retry_after_ms)


def own_error(error: OpenAIError, request_id: str) -> bytes:
    """Header lines of an error of ours."""
    lines = b"".join(header(name, value) for name, value in error.headers)
    return b"x-request-id: %b\r\n" % request_id.encode() + lines
