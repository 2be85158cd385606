"""What every dialect's errors share: types by status, Retry-After, and messages without HTML or secrets."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from email.utils import parsedate_to_datetime

from modelux_providers.dialects.base import ProviderError

_MESSAGE_LIMIT = 2_000
_WORD_LIMIT = 200
_INNER_LIMIT = 4_000
_SHORTEST_SECRET = 8
_MAX_RETRY_AFTER_S = 24 * 3600
_SECRET = re.compile(
    r"(?:\b(?:sk|pk|rk|mlx|gsk|xai|hf|pplx|fw|tgp|csk|nvapi)[-_][A-Za-z0-9_\-*]{6,}|\bAIza[\w\-*]{6,}|\beyJ[\w\-.]{20,}"
    r"|(?<=Bearer )\S{6,}|(?<=key=)[^\s&\"']{6,})"
)
_HTML = re.compile(r"<\s*(?:!doctype|html|head|body|script|title|h1)\b", re.IGNORECASE)


def invalid(message: str) -> ProviderError:
    """A 200 that is not an answer, or an answer that cannot be read."""
    return ProviderError(502, message, type="api_error", code="upstream_invalid", kind="invalid")


def cut() -> ProviderError:
    """A stream that ended before its end."""
    return ProviderError(
        502,
        "The provider's stream ended before the answer was complete.",
        type="api_error",
        code="upstream_cut",
        kind="cut",
    )


def refused(message: str, param: str | None, code: str = "unsupported_parameter") -> ProviderError:
    """A request that this provider cannot carry out; nothing was sent."""
    return ProviderError(400, message, type="invalid_request_error", code=code, param=param)


def shown_status(status: int) -> int:
    """The status a caller may be shown: 529 (Anthropic: overloaded) is 503; what is no client or server error is
    502."""
    if status == 529:
        return 503
    return status if 400 <= status <= 599 else 502


def type_of(status: int) -> str:
    """OpenAI's error type for a status, where the provider named none."""
    if status == 429:
        return "rate_limit_error"
    if status in (401, 403):
        return "authentication_error" if status == 401 else "permission_error"
    if status == 503:
        return "service_unavailable_error"
    return "invalid_request_error" if status < 500 else "server_error"


def unreadable(status: int, headers: Mapping[bytes, bytes], body: bytes) -> ProviderError:
    """An error whose body is no JSON: plain text is kept, a page is described, never forwarded."""
    shown = shown_status(status)
    if not 400 <= status <= 599:
        return invalid(f"The provider answered with status {status}, which is no answer to a model call.")
    text = body[: 4 * _MESSAGE_LIMIT].decode("utf-8", "replace").strip()
    html = b"html" in headers.get(b"content-type", b"").lower() or _HTML.search(text) is not None
    if not text or html:
        what = "an HTML page" if html else "an empty body"
        message = f"The provider answered {status} with {what}."
    else:
        message = safe(text)
    return ProviderError(shown, message, type=type_of(shown), retry_after_ms=retry_after_ms(headers))


def safe(message: str) -> str:
    """A provider's message without markup, secrets or excess length."""
    if _HTML.search(message):
        return "The provider answered with an HTML page."
    masked = _SECRET.sub("***", message)
    return masked if len(masked) <= _MESSAGE_LIMIT else masked[:_MESSAGE_LIMIT] + "…"


def without_secrets(error: ProviderError, secrets: Sequence[str]) -> ProviderError:
    """The error with these secrets, and all that look like one, masked in every field; words of absurd length are cut.

    A provider may well repeat the key it was sent, which is the project's and not the caller's.
    """
    known = [secret for secret in secrets if len(secret) >= _SHORTEST_SECRET]

    def clean(text: str) -> str:
        for secret in known:
            text = text.replace(secret, "***")
        return _SECRET.sub("***", text)

    inner = clean(error.innererror.decode("utf-8", "replace")).encode()
    return replace(
        error,
        message=clean(error.message),
        type=clean(error.type)[:_WORD_LIMIT],
        code=None if error.code is None else clean(error.code)[:_WORD_LIMIT],
        param=None if error.param is None else clean(error.param)[:_WORD_LIMIT],
        innererror=inner if len(inner) <= _INNER_LIMIT else b"",
    )


def retry_after_ms(headers: Mapping[bytes, bytes]) -> int | None:
    """`retry-after-ms`, else `retry-after` in seconds or as a date (read against the answer's own `date`). None
    where absent or absurd."""
    exact = _number(headers.get(b"retry-after-ms"))
    if exact is not None:
        return _bounded(exact)
    value = headers.get(b"retry-after")
    seconds = _number(value)
    if seconds is not None:
        return _bounded(seconds * 1000)
    until, now = _date(value), _date(headers.get(b"date"))
    if until is None or now is None:
        return None
    return _bounded(max(0.0, (until - now).total_seconds() * 1000))


def _bounded(ms: float) -> int | None:
    return round(ms) if 0 <= ms <= _MAX_RETRY_AFTER_S * 1000 else None


def _number(value: bytes | None) -> float | None:
    if value is None or not re.fullmatch(rb"\s*\d{1,12}(?:\.\d{1,9})?\s*", value):
        return None
    return float(value)


def _date(value: bytes | None) -> datetime | None:
    if value is None:
        return None
    try:
        parsed = parsedate_to_datetime(value.decode("latin-1"))
    except ValueError:
        return None
    return parsed if parsed.tzinfo is not None else None
