"""How an outbound call fails below HTTP's status codes."""

from __future__ import annotations

from typing import Literal

Phase = Literal["connect", "first_byte", "idle", "total"]


class CallFailed(Exception):
    """Base of what can go wrong between us and a provider. Messages name no secret and no body."""


class ConnectFailed(CallFailed):
    """No connection (DNS, TCP, TLS, a blocked address, a full pool): no byte of the request was sent."""

    def __init__(self, message: str, code: str = "connect_failed") -> None:
        super().__init__(message)
        self.code = code


class Timeout(CallFailed):
    """A deadline passed; `phase` names it. In phase `connect` no byte was sent."""

    def __init__(self, phase: Phase) -> None:
        super().__init__(f"{phase} timeout")
        self.phase = phase


class Cut(CallFailed):
    """The connection ended after the request was sent and before its answer was whole."""


class TooLarge(CallFailed):
    """The answer exceeds what may be buffered."""


class InvalidResponse(CallFailed):
    """What came back is not HTTP we accept (broken framing, a flood of 1xx, an upgrade, a compressed body)."""
