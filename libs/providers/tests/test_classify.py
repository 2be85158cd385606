"""Every failure of an attempt has a kind and a code."""

from __future__ import annotations

import pytest

from modelux_providers.classify import classify
from modelux_providers.client_errors import CallFailed, ConnectFailed, Cut, InvalidResponse, Timeout, TooLarge
from modelux_providers.dialects.base import ProviderError


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (ConnectFailed("refused"), ("connect", "connect_failed")),
        (ConnectFailed("private", "blocked_address"), ("connect", "blocked_address")),
        (Timeout("connect"), ("connect", "connect_timeout")),
        (Timeout("first_byte"), ("timeout", "attempt_timeout")),
        (Timeout("idle"), ("timeout", "attempt_timeout")),
        (Timeout("total"), ("timeout", "attempt_timeout")),
        (Cut("early"), ("cut", "upstream_cut")),
        (TooLarge("64 MiB"), ("invalid", "response_too_large")),
        (InvalidResponse("framing"), ("invalid", "upstream_invalid")),
        (ProviderError(429, "slow", code="rate_limit_exceeded"), ("status", "rate_limit_exceeded")),
        (ProviderError(500, "oh"), ("status", None)),
        (ProviderError(502, "html", code="upstream_invalid", kind="invalid"), ("invalid", "upstream_invalid")),
    ],
)
def test_kind_and_code(failure: CallFailed | ProviderError, expected: tuple[str, str | None]) -> None:
    assert classify(failure) == expected


def test_every_failure_is_known() -> None:
    with pytest.raises(TypeError):
        classify(CallFailed("new"))
