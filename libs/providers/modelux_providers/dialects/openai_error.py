"""Errors as OpenAI and its many imitators write them, read into one shape."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from modelux_providers.dialects import fault
from modelux_providers.dialects.base import ProviderError
from modelux_providers.dialects.lenient import decode

_STATUS_BY_CODE = {
    "rate_limit_exceeded": 429,
    "rate_limit_error": 429,
    "insufficient_quota": 429,
    "slow_down": 503,
    "server_is_overloaded": 503,
    "overloaded_error": 503,
    "service_unavailable_error": 503,
    "invalid_api_key": 401,
    "authentication_error": 401,
    "permission_error": 403,
    "model_not_found": 404,
    "not_found_error": 404,
    "context_length_exceeded": 400,
    "content_filter": 400,
    "invalid_request_error": 400,
    "invalid_prompt": 400,
    "server_error": 500,
    "internal_error": 500,
}


class _Error(msgspec.Struct):
    message: object = None
    type: object = None
    code: object = None
    param: object = None
    detail: object = None
    innererror: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class _Envelope(msgspec.Struct):
    error: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def read(status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
    """A non-2xx answer. The provider's status class, code, type and param are kept."""
    envelope = decode(body, _Envelope)
    if envelope is None or not 400 <= status <= 599:
        return fault.unreadable(status, headers, body)
    # {"error": {…}} is OpenAI's; Mistral, vLLM and FastAPI put the members at the top.
    error = _members(bytes(envelope.error) if isinstance(envelope.error, msgspec.Raw) else body)
    return _build(error, fault.shown_status(status), fault.retry_after_ms(headers))


def embedded(raw: bytes | msgspec.Raw) -> ProviderError:
    """An error object inside a 200, or inside a stream: its own code tells the status, else it is a 502."""
    error = _members(bytes(raw))
    status = _status(error.code) or _status(error.type) or 502
    return _build(error, fault.shown_status(status), None)


def _members(raw: bytes) -> _Error:
    error = decode(raw, _Error)
    if error is not None:
        return error
    return _Error(message=decode(raw, str) or "The provider gave no reason.")


def _build(error: _Error, status: int, retry_after_ms: int | None) -> ProviderError:
    message = _text(error.message) or _text(error.detail) or f"The provider answered {status}."
    inner = bytes(error.innererror) if isinstance(error.innererror, msgspec.Raw) else b""
    return ProviderError(
        status,
        fault.safe(message),
        type=_text(error.type) or fault.type_of(status),
        code=error.code if isinstance(error.code, str) else None,
        param=error.param if isinstance(error.param, str) else None,
        retry_after_ms=retry_after_ms,
        innererror=b"" if inner == b"null" else inner,
    )


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return msgspec.json.encode(value).decode() if isinstance(value, (list, dict)) else ""


def _status(code: object) -> int | None:
    if type(code) is int and 400 <= code <= 599:
        return code
    if isinstance(code, str):
        return int(code) if code.isascii() and code.isdigit() and len(code) == 3 else _STATUS_BY_CODE.get(code)
    return None
