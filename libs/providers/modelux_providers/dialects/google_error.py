"""Google's errors in OpenAI's terms."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

import msgspec

from modelux_providers.dialects import fault
from modelux_providers.dialects.base import ProviderError
from modelux_providers.dialects.lenient import decode

_CODES = {
    "RESOURCE_EXHAUSTED": "rate_limit_exceeded",
    "UNAUTHENTICATED": "invalid_api_key",
    "NOT_FOUND": "model_not_found",
    "UNAVAILABLE": "server_is_overloaded",
}
_DELAY = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s", re.ASCII)
_TOO_LONG = re.compile(r"token count .*exceeds|exceeds the maximum number of tokens", re.IGNORECASE)


class _Detail(msgspec.Struct, rename="camel"):
    retry_delay: object = None
    reason: object = None


class _Error(msgspec.Struct):
    code: int | None = None
    message: str = ""
    status: str = ""
    details: list[_Detail] = []


class _Envelope(msgspec.Struct):
    error: _Error


def read(status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
    """A non-2xx answer. RetryInfo in the body stands in for a missing Retry-After."""
    envelope = _envelope(body)
    if envelope is None or not 400 <= status <= 599:
        return fault.unreadable(status, headers, body)
    error = _build(envelope.error, status)
    from_headers = fault.retry_after_ms(headers)
    return error if from_headers is None else replace(error, retry_after_ms=from_headers)


def embedded(data: bytes) -> ProviderError:
    """An error in a stream or in a 200: its own code is the status."""
    envelope = _envelope(data)
    if envelope is None:
        return fault.invalid("The provider's stream failed without a readable reason.")
    return _build(envelope.error, envelope.error.code or 502)


def _envelope(body: bytes) -> _Envelope | None:
    listed = decode(body, list[_Envelope]) if body.lstrip()[:1] == b"[" else None
    return listed[0] if listed else decode(body, _Envelope)


def _build(error: _Error, status: int) -> ProviderError:
    code = _CODES.get(error.status)
    if any(detail.reason == "API_KEY_INVALID" for detail in error.details):
        status, code = 401, "invalid_api_key"  # Google says 400, but it is the key that is wrong, not the request.
    elif status == 400 and _TOO_LONG.search(error.message):
        code = "context_length_exceeded"
    shown = fault.shown_status(status)
    message = fault.safe(error.message) or f"The provider answered {status}."
    return ProviderError(shown, message, type=fault.type_of(shown), code=code, retry_after_ms=_delay(error.details))


def _delay(details: list[_Detail]) -> int | None:
    for detail in details:
        found = _DELAY.fullmatch(detail.retry_delay) if isinstance(detail.retry_delay, str) else None
        if found:
            return round(float(found[1]) * 1000)
    return None
