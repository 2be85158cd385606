"""How a failed attempt is called: exceptions and provider errors to outcome kinds and stable codes."""

from __future__ import annotations

from modelux_providers.client_errors import CallFailed, ConnectFailed, Cut, InvalidResponse, Timeout, TooLarge
from modelux_providers.dialects.base import ProviderError
from routing_core.types import OutcomeKind


def classify(failure: CallFailed | ProviderError) -> tuple[OutcomeKind, str | None]:
    """The kind and the error code of an outcome. The code is the provider's own where it gave one, else ours:

    `connect_failed` (or what ConnectFailed names), `attempt_timeout`, `upstream_cut`, `response_too_large`,
    `upstream_invalid`; None for a
    provider's error that carries no code. A timeout while connecting is `connect`: no byte was sent, so nothing was
    billed.
    """
    match failure:
        case ProviderError():
            return failure.kind, failure.code
        case ConnectFailed():
            return "connect", failure.code
        case Timeout(phase="connect"):
            return "connect", "connect_timeout"
        case Timeout():
            return "timeout", "attempt_timeout"
        case Cut():
            return "cut", "upstream_cut"
        case TooLarge():
            return "invalid", "response_too_large"
        case InvalidResponse():
            return "invalid", "upstream_invalid"
        case _:
            raise TypeError(f"unknown failure {failure!r}")


def told(failure: CallFailed) -> ProviderError:
    """A failure below HTTP as the error a caller may see."""
    kind, code = classify(failure)
    if kind == "connect":
        return ProviderError(503, "the provider could not be reached", "api_error", "upstream_unreachable", kind=kind)
    if kind == "timeout":
        return ProviderError(504, "the provider did not answer in time", "api_error", "upstream_timeout", kind=kind)
    if kind == "cut":
        return ProviderError(502, "the provider closed the connection early", "api_error", "upstream_cut", kind=kind)
    return ProviderError(502, "the provider's answer is not valid", "api_error", code or "upstream_invalid", kind=kind)
