"""The head of an answer, and of an error."""

from __future__ import annotations

from functools import lru_cache

from modelux_calling.failures import HOPELESS
from modelux_calling.purse import Purse
from modelux_contracts.errors import OpenAIError
from modelux_providers.call import ProviderCall
from modelux_providers.dialects.base import ProviderError
from modelux_proxy.call_context import Context
from modelux_proxy.exchange import header

JSON = b"content-type: application/json\r\n"
STREAM = b"content-type: text/event-stream; charset=utf-8\r\ncache-control: no-cache\r\nx-accel-buffering: no\r\n"
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


def error_lines(error: ProviderError, call: ProviderCall | None) -> bytes:
    """Whether and when to come back: `x-should-retry`, and `retry-after` in both its forms, as the provider said."""
    lines = b""
    verdict = b"false" if error.code in HOPELESS else call.headers.get(b"x-should-retry") if call is not None else None
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
