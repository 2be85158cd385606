"""Open and close the circuit of one target: after failures in a row, a bad error rate, a 429, or a dead credential.

The numbers are Envoy's outlier detection (envoy.config.cluster.v3.OutlierDetection): five failures in a row, intervals
of ten seconds, thirty seconds of ejection times the number of ejections. Time is given, never read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routing_core.types import Outcome
from routing_core.world import BreakerState

Verdict = Literal["success", "failure", "throttled", "credential", "nothing"]

_CREDENTIAL_STATUSES = frozenset({401, 402, 403})
_QUOTA_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


@dataclass(frozen=True, slots=True)
class Limits:
    """When a circuit opens, and for how long. Durations in milliseconds."""

    consecutive: int = 5
    """Failures in a row."""
    interval_ms: int = 10_000
    """Length of the windows over which the error rate is taken."""
    minimum: int = 20
    """Calls in a window below which its error rate says nothing."""
    error_rate: float = 0.5
    """Share of failures in a window that opens the circuit."""
    ejection_ms: int = 30_000
    """Of the first ejection; the n-th lasts n times as long."""
    longest_ms: int = 300_000
    """No ejection, and no wait that a provider asks for, lasts longer."""
    credential_ms: int = 60_000
    """After our credential was refused."""
    probe_ms: int = 60_000
    """A probe that has not come back by then no longer holds the place."""


LIMITS = Limits()
RATE_LIMITED = "rate limited"
CREDENTIAL_REFUSED = "credential refused"
_NEVER_MS = -(1 << 62)


def verdict(outcome: Outcome) -> Verdict:
    """What an outcome says of its target.

    A client error (4xx but 408, 429 and those of the credential) shows a provider that works; a call that was not sent,
    or that we or the caller gave up, shows nothing. 429 with a Retry-After is a wait, without one a failure like 5xx.
    """
    if outcome.kind == "ok":
        return "success"
    if outcome.kind == "cancelled" or outcome.unsent:
        return "nothing"
    status = outcome.status
    if outcome.kind != "status" or status is None or status >= 500 or status == 408:
        return "failure"
    if status in _CREDENTIAL_STATUSES or (status == 429 and outcome.error_code in _QUOTA_CODES):
        return "credential"
    if status == 429:
        return "throttled" if outcome.retry_after_ms else "failure"
    return "success"


class Breaker:
    """The circuit of one target: closed -> open for a time -> half-open with one probe -> closed or open for longer."""

    __slots__ = (
        "_calls",
        "_closed_ms",
        "_ejections",
        "_failures",
        "_in_row",
        "_limits",
        "_needs_probe",
        "_open_until_ms",
        "_opened_ms",
        "_probe_until_ms",
        "_window_ms",
        "reason",
    )

    def __init__(self, now_ms: int, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._in_row = 0
        self._window_ms, self._calls, self._failures = now_ms, 0, 0
        self._ejections = 0
        self._closed_ms = _NEVER_MS
        self._opened_ms: int | None = None
        self._open_until_ms = 0
        self._needs_probe = False
        self._probe_until_ms = 0
        self.reason = ""
        """Why the circuit last opened."""

    @property
    def closed(self) -> bool:
        """Closed for certain, whatever the time: the quick answer for nearly all calls."""
        return self._opened_ms is None

    @property
    def open_until_ms(self) -> int:
        """When the current ejection ends; 0 while closed."""
        return 0 if self._opened_ms is None else self._open_until_ms

    def state(self, now_ms: int) -> BreakerState:
        """`probe` when the ejection is over and nobody's probe is out; a wait that a 429 asked for just ends."""
        if self._opened_ms is None:
            return "closed"
        if now_ms < self._open_until_ms:
            return "open"
        if not self._needs_probe:
            return "closed"
        return "open" if now_ms < self._probe_until_ms else "probe"

    def admit_probe(self, now_ms: int) -> bool:
        """Take the one place of the half-open circuit. True too where the circuit is closed and no probe is needed."""
        state = self.state(now_ms)
        if state == "probe":
            self._probe_until_ms = now_ms + self._limits.probe_ms
        return state != "open"

    def record(self, what: Verdict, started_ms: int, now_ms: int, retry_after_ms: int | None = None) -> None:
        """Count one ended call.

        Calls that began before the circuit opened cannot close it, nor keep it open (but for a 429, which says how
        long); failures of calls that began before it closed again cannot open it anew.
        """
        if self._opened_ms is not None and self.state(now_ms) == "closed":
            self._close(now_ms)
        if self._opened_ms is not None:
            self._record_open(what, started_ms, now_ms, retry_after_ms)
            return
        match what:
            case "nothing":
                return
            case "success":
                self._in_row = 0
                self._count(now_ms, failed=False)
            case "failure" if started_ms < self._closed_ms:
                return
            case "failure":
                self._in_row += 1
                self._count(now_ms, failed=True)
                self._judge(now_ms)
            case "throttled" | "credential":
                self._refuse(what, now_ms, retry_after_ms)

    def _record_open(self, what: Verdict, started_ms: int, now_ms: int, retry_after_ms: int | None) -> None:
        fresh = self._opened_ms is not None and started_ms >= self._opened_ms
        probing = now_ms >= self._open_until_ms
        if what == "nothing":
            if probing and fresh:
                self._probe_until_ms = 0
        elif what == "success":
            if fresh:
                self._close(now_ms)
        elif what == "failure":
            # in panic, calls go to an open target; their failures must not push its return away
            if fresh and probing:
                self._eject(now_ms, "the probe failed")
        elif fresh or what == "throttled":
            self._refuse(what, now_ms, retry_after_ms)

    def _count(self, now_ms: int, *, failed: bool) -> None:
        if now_ms - self._window_ms >= self._limits.interval_ms or now_ms < self._window_ms:
            self._window_ms, self._calls, self._failures = now_ms, 0, 0
        self._calls += 1
        self._failures += failed

    def _judge(self, now_ms: int) -> None:
        limits = self._limits
        if self._in_row >= limits.consecutive:
            self._eject(now_ms, f"{self._in_row} failures in a row")
        elif self._calls >= limits.minimum and self._failures >= limits.error_rate * self._calls:
            self._eject(now_ms, f"{self._failures} of {self._calls} calls failed")

    def _eject(self, now_ms: int, reason: str) -> None:
        if self._opened_ms is None:
            healthy_intervals = max(now_ms - self._closed_ms, 0) // self._limits.interval_ms
            self._ejections = max(self._ejections - healthy_intervals, 0)
        self._ejections += 1
        self._open(now_ms, min(self._limits.ejection_ms * self._ejections, self._limits.longest_ms), reason)
        self._needs_probe = True

    def _refuse(self, what: Verdict, now_ms: int, retry_after_ms: int | None) -> None:
        """Open for the time that the provider asked for, or that a refused key rests; no ejection is counted."""
        if what == "throttled":
            wait_ms, reason = min(retry_after_ms or 0, self._limits.longest_ms), RATE_LIMITED
            probe = self._needs_probe and self._opened_ms is not None
        else:
            wait_ms, reason, probe = self._limits.credential_ms, CREDENTIAL_REFUSED, True
        until_ms = max(now_ms + wait_ms, self._open_until_ms)
        self._open(now_ms, until_ms - now_ms, reason)
        self._needs_probe = probe

    def _open(self, now_ms: int, for_ms: int, reason: str) -> None:
        self._opened_ms = now_ms
        self._open_until_ms = now_ms + for_ms
        self._probe_until_ms = 0
        self._in_row = 0
        self.reason = reason

    def _close(self, now_ms: int) -> None:
        self._opened_ms = None
        self._open_until_ms = 0
        self._needs_probe = False
        self._closed_ms = now_ms
        self._in_row = 0
        self._window_ms, self._calls, self._failures = now_ms, 0, 0
