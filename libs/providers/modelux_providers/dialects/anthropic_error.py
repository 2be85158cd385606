"""Anthropic's errors in OpenAI's terms."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelux_providers.dialects import fault
from modelux_providers.dialects.base import ProviderError
from modelux_providers.dialects.lenient import decode

_STATUS = {
    "invalid_request_error": 400,
    "authentication_error": 401,
    "billing_error": 402,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_CODES = {
    "authentication_error": "invalid_api_key",
    "billing_error": "insufficient_quota",
    "not_found_error": "model_not_found",
    "request_too_large": "request_too_large",
    "rate_limit_error": "rate_limit_exceeded",
    "overloaded_error": "server_is_overloaded",
}
_TOO_LONG = ("prompt is too long", "exceed context limit", "exceeds the maximum context")


class _Error(msgspec.Struct):
    type: str = ""
    message: str = ""


class _Envelope(msgspec.Struct):
    error: _Error


def read(status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
    """A non-2xx answer."""
    envelope = decode(body, _Envelope)
    if envelope is None or not 400 <= status <= 599:
        return fault.unreadable(status, headers, body)
    return _build(envelope.error, status, fault.retry_after_ms(headers))


def embedded(data: bytes) -> ProviderError:
    """An `event: error` in a stream, or an error in a 200: its type tells the status."""
    envelope = decode(data, _Envelope)
    if envelope is None:
        return fault.invalid("The provider's stream failed without a readable reason.")
    return _build(envelope.error, _STATUS.get(envelope.error.type, 502), None)


def _build(error: _Error, status: int, retry_after_ms: int | None) -> ProviderError:
    code = _CODES.get(error.type)
    lowered = error.message.lower()
    if status == 400 and any(phrase in lowered for phrase in _TOO_LONG):
        code = "context_length_exceeded"
    elif status == 400 and "credit balance is too low" in lowered:
        status, code = 429, "insufficient_quota"  # As OpenAI says it, so that another credential is tried.
    shown = fault.shown_status(status)
    message = fault.safe(error.message) or f"The provider answered {status}."
    return ProviderError(shown, message, type=fault.type_of(shown), code=code, retry_after_ms=retry_after_ms)
