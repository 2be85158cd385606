"""Fold attempts into the health of each target, and say so when it changed for good.

Its clock is the events'; where there are none it is told the time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median_low
from typing import Literal

from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from routing_core.breaker import Verdict, verdict
from routing_core.types import Outcome, Target

State = Literal["healthy", "degraded", "down"]
_Key = tuple[str, str, str]
"""Model, provider, credential."""
_MOST_VERDICTS = 1000


@dataclass(frozen=True, slots=True)
class Thresholds:
    """When a target counts as what. Entering a worse state takes more than staying in it, so that nothing flaps."""

    window_us: int = 60_000_000
    most: int = 1000
    """Attempts of one target that are weighed: the latest."""
    pause_us: int = 500_000
    """Between two judgements."""
    minimum: int = 10
    """Attempts in the window below which its error rate says nothing."""
    degraded_from: float = 0.10
    healthy_below: float = 0.05
    down_from: float = 0.50
    degraded_below: float = 0.25
    drift: float = 0.30
    """A median latency that moved by this share is news."""
    quiet_us: int = 5_000_000
    """News of latency alone comes at most this often per target."""


THRESHOLDS = Thresholds()


@dataclass(slots=True)
class _Window:
    """The attempts of one target that ended within the window: when, whether well, latency, time to first content."""

    samples: deque[tuple[int, bool, int, int]]
    state: State = "healthy"
    """As judged last."""
    said: State = "healthy"
    said_p50_us: float = 0.0
    said_at_us: int = 0


class Signals:
    """One fold over all targets. Not shared between threads."""

    def __init__(self, thresholds: Thresholds = THRESHOLDS) -> None:
        self._thresholds = thresholds
        self._windows: dict[_Key, _Window] = {}
        self._verdicts: dict[tuple[str, int, str], Verdict] = {}
        self._now_us = 0
        self._judged_us = 0

    def observe(self, events: Iterable[RequestCompleted], since_us: int = 0) -> list[ProviderHealthChanged]:
        """Takes events in any order and answers what is news, at most one event per target.

        While the events are of `since_us` or before, nothing is news: it is told later, if it still holds then.
        """
        for event in events:
            for attempt in event.attempts:
                self._take(event.started_at_us, attempt)
        if self._now_us - self._judged_us < self._thresholds.pause_us:
            return []
        self._judged_us = self._now_us
        return list(self._news(since_us))

    def advance(self, now_us: int) -> list[ProviderHealthChanged]:
        """Answers what is news because time went by without events.

        Call it only when every event up to `now_us` was observed: what is merely late would look like silence.
        """
        self._now_us = max(self._now_us, now_us)
        return list(self._news())

    def _take(self, request_started_us: int, attempt: AttemptRecord) -> None:
        judged = self._verdict(attempt)
        if judged == "nothing":
            return
        ended_us = request_started_us + attempt.started_us + attempt.latency_us
        self._now_us = max(self._now_us, ended_us)
        if ended_us <= self._now_us - self._thresholds.window_us:
            return
        key = (attempt.model, attempt.provider, attempt.credential_id)
        window = self._windows.get(key)
        if window is None:
            window = self._windows[key] = _Window(deque(maxlen=self._thresholds.most))
        window.samples.append((ended_us, judged == "success", attempt.latency_us, attempt.ttft_us))

    def _verdict(self, attempt: AttemptRecord) -> Verdict:
        """The same few kinds, statuses and codes come again and again."""
        seen = (attempt.kind, attempt.status, attempt.error_code)
        known = self._verdicts.get(seen)
        if known is None:
            if len(self._verdicts) > _MOST_VERDICTS:
                self._verdicts.clear()
            known = self._verdicts[seen] = verdict(_outcome(attempt))
        return known

    def _news(self, since_us: int = 0) -> Iterator[ProviderHealthChanged]:
        for key, window in list(self._windows.items()):
            self._expire(window)
            window.state = self._judge(window)
            p50_us = _p50([latency for _, ok, latency, _ in window.samples if ok])
            if self._now_us > since_us and (window.state != window.said or self._drifted(window, p50_us)):
                window.said, window.said_p50_us, window.said_at_us = window.state, p50_us, self._now_us
                yield self._event(key, window, p50_us)
            if not window.samples and window.said == window.state:
                del self._windows[key]

    def _expire(self, window: _Window) -> None:
        """Samples come in nearly the order of their ends; one that is late stays a little longer."""
        oldest_us = self._now_us - self._thresholds.window_us
        while window.samples and window.samples[0][0] <= oldest_us:
            window.samples.popleft()

    def _judge(self, window: _Window) -> State:
        """Without a failure nothing speaks against a target; else a window that is too small keeps the last word."""
        if all(ok for _, ok, _, _ in window.samples):
            return "healthy"
        if len(window.samples) < self._thresholds.minimum:
            return window.state
        rate, limits = _error_rate(window), self._thresholds
        if rate >= limits.down_from or (window.state == "down" and rate >= limits.degraded_below):
            return "down"
        if rate >= limits.degraded_from or (window.state != "healthy" and rate >= limits.healthy_below):
            return "degraded"
        return "healthy"

    def _drifted(self, window: _Window, p50_us: float) -> bool:
        enough = len(window.samples) >= self._thresholds.minimum
        if not enough or self._now_us - window.said_at_us < self._thresholds.quiet_us:
            return False
        return abs(p50_us - window.said_p50_us) > self._thresholds.drift * max(window.said_p50_us, 1.0)

    def _event(self, key: _Key, window: _Window, p50_us: float) -> ProviderHealthChanged:
        model, provider, credential_id = key
        return ProviderHealthChanged(
            model=model,
            provider=provider,
            credential_id=credential_id,
            state=window.state,
            error_rate=_error_rate(window),
            p50_ms=p50_us / 1000,
            ttft_p50_ms=_p50([ttft for _, ok, _, ttft in window.samples if ok and ttft >= 0]) / 1000,
            samples=len(window.samples),
            window_start_us=self._now_us - self._thresholds.window_us,
            window_end_us=self._now_us,
        )


def _error_rate(window: _Window) -> float:
    return sum(not ok for _, ok, _, _ in window.samples) / len(window.samples) if window.samples else 0.0


def _p50(values: Sequence[int]) -> float:
    return float(median_low(values)) if values else 0.0


def _outcome(attempt: AttemptRecord) -> Outcome:
    return Outcome(
        Target(attempt.model, attempt.provider, attempt.credential_id),
        attempt.kind,  # type: ignore[arg-type]  # a closed set at the proxy; a word unknown here counts as a failure
        status=attempt.status or None,
        error_code=attempt.error_code or None,
    )
