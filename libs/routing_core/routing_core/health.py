"""Fold the outcomes of calls into the health of each target, for policies to see and the proxy to obey.

One `Registry` per process. All methods take the time and none reads it, so a test drives it as live traffic does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from routing_core.breaker import LIMITS, Breaker, Limits, verdict
from routing_core.latency import ErrorRate, MovingMedian
from routing_core.retries import RetryBudget
from routing_core.types import Outcome, Target
from routing_core.world import UNMEASURED, BreakerState, Health

MAX_TARGETS = 10_000
"""Targets remembered. Past it the longest unused tenth is forgotten."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A circuit that changed its state with an outcome."""

    target: Target
    state: BreakerState
    reason: str


class Registry:
    """The health of every target that was called of late.

    The proxy's order per attempt: `admit_probe`, `begin`, then exactly one `observe`. `view` once per request.
    """

    def __init__(self, limits: Limits = LIMITS, max_targets: int = MAX_TARGETS) -> None:
        self._limits = limits
        self._max_targets = max_targets
        self._targets: dict[Target, _Record] = {}
        self._retries: dict[str, RetryBudget] = {}

    def view(self, now_ms: int) -> Mapping[Target, Health]:
        """A live mapping for one request: a health is computed when it is looked at. Holds only targets ever called."""
        return _View(self._targets, now_ms)

    def admit_probe(self, target: Target, now_ms: int) -> bool:
        """Whether a call to `target` may go out now. In a half-open circuit the first to ask is its probe.

        False for an open circuit: only a policy in panic calls it nevertheless, and then without asking.
        """
        record = self._targets.get(target)
        return record is None or record.breaker.closed or record.breaker.admit_probe(now_ms)

    def begin(self, target: Target, now_ms: int, *, retry: bool = False) -> None:
        """Count a call as in flight. `retry` marks another attempt at a provider that this request already tried."""
        record = self._record(target, now_ms)
        record.inflight += 1
        if not retry:
            self._budget(target.provider, now_ms).deposit()

    def observe_head(self, target: Target, started_ms: int, now_ms: int) -> Transition | None:
        """The first content of a stream came: enough to close a half-open circuit, long before the stream ends."""
        record = self._targets.get(target)
        if record is None or record.breaker.closed:
            return None
        breaker = record.breaker
        breaker.record("success", started_ms, now_ms)
        return Transition(target, "closed", "answered again") if breaker.closed else None

    def observe(self, outcome: Outcome, now_ms: int) -> Transition | None:
        """Count an ended call (about 2 µs). The transition of its circuit, if there was one."""
        target = outcome.target
        record = self._record(target, now_ms)
        record.used_ms = now_ms
        if record.inflight:
            record.inflight -= 1
        what = verdict(outcome)
        if outcome.kind == "ok":
            record.latency.add(outcome.latency_ms, now_ms)
            if outcome.ttft_ms is not None:
                record.ttft.add(outcome.ttft_ms, now_ms)
        if what != "nothing":
            record.errors.add(what != "success", now_ms)
        breaker = record.breaker
        opened_until_ms = breaker.open_until_ms
        breaker.record(what, now_ms - int(outcome.latency_ms), now_ms, outcome.retry_after_ms)
        if breaker.open_until_ms == opened_until_ms:
            return None
        if breaker.closed:
            return Transition(target, "closed", "answered again")
        return Transition(target, "open", breaker.reason)

    def hear(self, target: Target, p50_ms: float | None, ttft_ms: float | None, now_ms: int) -> None:
        """Take over what others measured where nothing was measured here lately, so that a cold proxy is not blind.

        Circuits open on what this process saw itself: hearsay alone ejects nobody.
        """
        record = self._record(target, now_ms)
        for heard, median in ((p50_ms, record.latency), (ttft_ms, record.ttft)):
            if heard is not None and median.value(now_ms) is None:
                median.add(heard, now_ms)

    def retry(self, provider: str, now_ms: int) -> bool:
        """Take one retry at a provider from its budget; False when it is spent. A fallback to another needs none."""
        return self._budget(provider, now_ms).withdraw(now_ms)

    def reason(self, target: Target) -> str:
        """Why the target's circuit last opened; empty if it never did."""
        record = self._targets.get(target)
        return "" if record is None else record.breaker.reason

    def _record(self, target: Target, now_ms: int) -> _Record:
        record = self._targets.get(target)
        if record is None:
            if len(self._targets) >= self._max_targets:
                self._forget()
            record = self._targets[target] = _Record(now_ms, self._limits)
        return record

    def _budget(self, provider: str, now_ms: int) -> RetryBudget:
        budget = self._retries.get(provider)
        if budget is None:
            if len(self._retries) >= self._max_targets:
                self._retries.clear()
            budget = self._retries[provider] = RetryBudget(now_ms)
        return budget

    def _forget(self) -> None:
        idle_first = sorted(self._targets, key=lambda t: (self._targets[t].inflight > 0, self._targets[t].used_ms))
        for target in idle_first[: max(len(idle_first) // 10, 1)]:
            del self._targets[target]


def panic(candidates: Sequence[Target], healths: Mapping[Target, Health]) -> Target:
    """The least bad of targets that are all open: lowest error rate, then latency, then order.

    Raises ValueError for none.
    """
    if not candidates:
        raise ValueError("no candidates to choose from")

    def badness(target: Target) -> tuple[float, float]:
        health = healths.get(target, UNMEASURED)
        return health.error_rate, float("inf") if health.p50_ms is None else health.p50_ms

    return min(candidates, key=badness)


class _Record:
    __slots__ = ("breaker", "errors", "inflight", "latency", "ttft", "used_ms")

    def __init__(self, now_ms: int, limits: Limits) -> None:
        self.breaker = Breaker(now_ms, limits)
        self.errors = ErrorRate(now_ms)
        self.latency = MovingMedian()
        self.ttft = MovingMedian()
        self.inflight = 0
        self.used_ms = now_ms

    def health(self, now_ms: int) -> Health:
        state = "closed" if self.breaker.closed else self.breaker.state(now_ms)
        return Health(
            state,
            self.latency.value(now_ms),
            self.ttft.value(now_ms),
            self.errors.rate(),
            self.errors.samples(now_ms),
            self.inflight,
            self.breaker.reason if state == "open" else "",
        )


class _View(Mapping[Target, Health]):
    __slots__ = ("_now_ms", "_targets")

    def __init__(self, targets: Mapping[Target, _Record], now_ms: int) -> None:
        self._targets = targets
        self._now_ms = now_ms

    def __getitem__(self, target: Target) -> Health:
        return self._targets[target].health(self._now_ms)

    def get(self, target: Target, default: Health | None = None) -> Health | None:  # type: ignore[override]  # no TypeVar
        record = self._targets.get(target)
        return default if record is None else record.health(self._now_ms)

    def __iter__(self) -> Iterator[Target]:
        return iter(self._targets)

    def __len__(self) -> int:
        return len(self._targets)
