"""Circuits open on trouble, let one probe through, close on success; and no history of calls breaks their rules."""

from __future__ import annotations

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from routing_core.breaker import Breaker, Limits, verdict
from routing_core.health import Registry, Transition, panic
from routing_core.types import Outcome, OutcomeKind, Target
from routing_core.world import Health

A, B, C = (Target(f"model-{name}", "openai", "pc_1") for name in "abc")


OK = Outcome(A, "ok", 200, latency_ms=100.0, ttft_ms=40.0)


E500 = Outcome(A, "status", 500, latency_ms=10.0)


def failing(registry: Registry, times: int, now_ms: int, outcome: Outcome = E500) -> Transition | None:
    last = None
    for _ in range(times):
        last = registry.observe(outcome, now_ms)
    return last


def state(registry: Registry, now_ms: int, target: Target = A) -> str:
    return registry.view(now_ms)[target].state


@pytest.mark.parametrize(
    ("kind", "status", "code", "retry_after_ms", "expected"),
    [
        ("ok", 200, None, None, "success"),
        ("cancelled", None, None, None, "nothing"),
        ("timeout", None, "attempt_timeout", None, "failure"),
        ("connect", None, "connect_failed", None, "failure"),
        ("invalid", 200, None, None, "failure"),
        ("cut", 200, None, None, "failure"),
        ("status", 500, None, None, "failure"),
        ("status", 503, None, 5000, "failure"),
        ("status", 529, None, None, "failure"),
        ("status", 408, None, None, "failure"),
        ("status", 429, None, None, "failure"),
        ("status", 429, "rate_limit_exceeded", 2000, "throttled"),
        ("status", 429, "insufficient_quota", 2000, "credential"),
        ("status", 401, None, None, "credential"),
        ("status", 402, None, None, "credential"),
        ("status", 403, None, None, "credential"),
        ("status", 400, "context_length_exceeded", None, "success"),
        ("status", 404, None, None, "success"),
        ("status", 422, None, None, "success"),
    ],
)
def test_what_an_outcome_says(
    kind: OutcomeKind, status: int | None, code: str | None, retry_after_ms: int | None, expected: str
) -> None:
    assert verdict(Outcome(A, kind, status, error_code=code, retry_after_ms=retry_after_ms)) == expected


def test_five_failures_in_a_row_open_a_circuit_for_thirty_seconds() -> None:
    registry = Registry()
    assert failing(registry, 4, 1000) is None
    assert state(registry, 1000) == "closed"
    assert registry.observe(E500, 1000) == Transition(A, "open", "5 failures in a row")
    assert state(registry, 30_999) == "open"
    assert not registry.admit_probe(A, 30_999)
    assert state(registry, 31_000) == "probe"
    assert registry.reason(A) == "5 failures in a row"
    assert registry.reason(B) == ""


def test_a_success_between_starts_the_count_anew() -> None:
    registry = Registry()
    failing(registry, 4, 1000)
    registry.observe(OK, 1000)
    failing(registry, 4, 1000)
    assert state(registry, 1000) == "closed"


def test_client_errors_never_open_a_circuit() -> None:
    registry = Registry()
    for status in (400, 404, 413, 422):
        failing(registry, 100, 1000, Outcome(A, "status", status))
    failing(registry, 100, 1000, Outcome(A, "cancelled"))
    assert registry.view(1000)[A] == Health(error_rate=0.0, samples=400)


def test_half_of_the_calls_of_an_interval_failing_open_a_circuit() -> None:
    registry = Registry()
    transitions = [registry.observe(E500 if n % 2 else OK, 1000 + n) for n in range(20)]
    assert transitions[:19] == [None] * 19
    assert transitions[19] == Transition(A, "open", "10 of 20 calls failed")


def test_each_interval_is_judged_alone() -> None:
    registry = Registry()
    for n in range(200):
        registry.observe(E500 if n % 2 else OK, n * 600)
    assert state(registry, 200 * 600) == "closed"


def test_exactly_one_probe_goes_through_and_its_success_closes() -> None:
    registry = Registry()
    failing(registry, 5, 0)
    assert [registry.admit_probe(A, 30_000) for _ in range(4)] == [True, False, False, False]
    assert state(registry, 30_001) == "open"
    assert registry.observe(OK, 30_200) == Transition(A, "closed", "answered again")
    assert state(registry, 30_200) == "closed"
    assert [registry.admit_probe(A, 30_200) for _ in range(3)] == [True, True, True]


def test_a_failed_probe_opens_for_longer_each_time_up_to_five_minutes() -> None:
    registry = Registry()
    failing(registry, 5, 0)
    now, lengths = 0, []
    for _ in range(12):
        start = now
        while state(registry, now) != "probe":
            now += 1000
        lengths.append((now - start) // 1000)
        assert registry.admit_probe(A, now)
        now += 10
        assert registry.observe(Outcome(A, "timeout", latency_ms=10), now) == Transition(A, "open", "the probe failed")
    assert lengths == [30, 60, 90, 120, 150, 180, 210, 240, 270, 300, 300, 300]


def test_time_in_health_wears_old_ejections_off() -> None:
    registry = Registry()
    failing(registry, 5, 0)
    registry.observe(Outcome(A, "timeout", latency_ms=10), 40_000)  # the probe fails: 60 s
    registry.observe(OK, 110_000)
    failing(registry, 5, 115_000)  # ejected again before one healthy interval: the third time, 90 s
    assert state(registry, 115_000 + 89_999) == "open"
    registry.observe(OK, 210_000)
    failing(registry, 5, 250_000)  # four healthy intervals wear the three off
    assert state(registry, 250_000 + 30_000) == "probe"


def test_a_probe_that_is_given_up_or_lost_leaves_its_place() -> None:
    registry = Registry()
    failing(registry, 5, 0)
    assert registry.admit_probe(A, 30_000)
    registry.observe(Outcome(A, "cancelled", latency_ms=5), 30_010)
    assert registry.admit_probe(A, 30_010)
    assert not registry.admit_probe(A, 90_000)
    assert registry.admit_probe(A, 90_010)


def test_calls_from_before_the_ejection_say_nothing_of_the_time_after() -> None:
    registry = Registry()
    failing(registry, 5, 10_000)
    assert registry.observe(Outcome(A, "ok", 200, latency_ms=9000), 12_000) is None
    assert state(registry, 12_000) == "open"
    assert registry.observe(Outcome(A, "timeout", latency_ms=60_000), 41_000) is None
    assert state(registry, 41_000) == "probe"


def test_late_failures_do_not_reopen_a_circuit_that_closed() -> None:
    registry = Registry()
    failing(registry, 5, 10_000)
    registry.observe(OK, 41_000)
    failing(registry, 9, 42_000, Outcome(A, "timeout", latency_ms=35_000))
    assert state(registry, 42_000) == "closed"


def test_success_in_panic_closes_and_failure_in_panic_keeps_the_term() -> None:
    registry = Registry()
    failing(registry, 5, 0)
    failing(registry, 9, 5000)
    assert state(registry, 30_000) == "probe"
    failing(registry, 5, 31_000)
    assert registry.observe(OK, 32_000) == Transition(A, "closed", "answered again")


def test_a_rate_limit_opens_until_its_retry_after_and_then_needs_no_probe() -> None:
    registry = Registry()
    slow_down = Outcome(A, "status", 429, latency_ms=5, retry_after_ms=2000)
    assert registry.observe(slow_down, 1000) == Transition(A, "open", "rate limited")
    assert state(registry, 2999) == "open"
    assert state(registry, 3000) == "closed"
    assert all(registry.admit_probe(A, 3000) for _ in range(5))
    registry.observe(Outcome(A, "status", 429, latency_ms=5, retry_after_ms=10**9), 4000)
    assert state(registry, 4000 + 299_999) == "open"
    assert state(registry, 4000 + 300_000) == "closed"


def test_the_longest_wait_of_concurrent_rate_limits_holds() -> None:
    registry = Registry()
    registry.observe(Outcome(A, "status", 429, latency_ms=50, retry_after_ms=1000), 1000)
    registry.observe(Outcome(A, "status", 429, latency_ms=90, retry_after_ms=5000), 1010)
    registry.observe(Outcome(A, "status", 429, latency_ms=90, retry_after_ms=10), 1020)
    assert state(registry, 6009) == "open"
    assert state(registry, 6010) == "closed"


def test_a_refused_credential_rests_a_minute_and_leaves_others_alone() -> None:
    registry = Registry()
    other = Target(A.model, A.provider, "pc_2")
    registry.observe(Outcome(other, "ok", 200, latency_ms=5), 1000)
    assert registry.observe(Outcome(A, "status", 401), 1000) == Transition(A, "open", "credential refused")
    assert state(registry, 60_999) == "open"
    assert state(registry, 61_000) == "probe"
    assert state(registry, 1000, other) == "closed"


def test_the_first_content_of_a_stream_closes_a_half_open_circuit() -> None:
    registry = Registry()
    assert registry.observe_head(A, 0, 100) is None
    failing(registry, 5, 0)
    assert registry.observe_head(A, started_ms=-5, now_ms=10) is None
    assert registry.admit_probe(A, 30_000)
    assert registry.observe_head(A, 30_000, 30_100) == Transition(A, "closed", "answered again")
    assert registry.observe_head(A, 30_000, 30_200) is None


def test_health_tells_latency_errors_samples_and_load() -> None:
    registry = Registry()
    for n in range(10):
        registry.begin(A, 1000)
        registry.observe(Outcome(A, "ok", 200, latency_ms=100 + n, ttft_ms=40 + n), 1000)
    registry.observe(E500, 1000)
    registry.begin(A, 1000)
    registry.begin(A, 1000)
    view = registry.view(1000)
    assert view[A] == Health("closed", 104.0, 44.0, 0.0909, 11, 2)
    assert list(view) == [A]
    assert len(view) == 1
    assert view.get(B) is None
    with pytest.raises(KeyError):
        view[B]


def test_a_view_is_live() -> None:
    registry = Registry()
    view = registry.view(1000)
    assert A not in view
    registry.observe(OK, 1000)
    assert view[A].samples == 1


def test_memory_is_bounded_and_targets_in_use_stay() -> None:
    registry = Registry(max_targets=100)
    registry.begin(A, 0)
    for n in range(1000):
        registry.observe(Outcome(Target(f"m{n}", "p", "c"), "ok", 200), n)
    view = registry.view(1000)
    assert len(view) <= 100
    assert A in view
    assert Target("m999", "p", "c") in view
    assert Target("m0", "p", "c") not in view


def test_panic_takes_the_least_bad() -> None:
    healths = {
        A: Health("open", 50, error_rate=0.9),
        B: Health("open", 90, error_rate=0.5),
        C: Health("open", 80, error_rate=0.5),
    }
    assert panic([A, B, C], healths) == C
    assert panic([A, B], {}) == A
    with pytest.raises(ValueError, match="no candidates"):
        panic([], {})


class CircuitMachine(RuleBasedStateMachine):
    """Any history of calls, with a model that knows which calls are out and when the circuit last opened."""

    calls = Bundle("calls")

    @initialize()
    def start(self) -> None:
        self.limits = Limits(probe_ms=20_000)
        self.breaker = Breaker(0, self.limits)
        self.now = 0
        self.probes: list[int] = []
        self.opened_at: int | None = None
        self.term_ms = 0

    @rule(passed=st.sampled_from([0, 1, 50, 999, 5000, 29_999, 30_000, 60_000, 300_000]))
    def time_passes(self, passed: int) -> None:
        self.now += passed

    @rule(target=calls)
    def call_if_admitted(self) -> int:
        before = self.breaker.state(self.now)
        admitted = self.breaker.admit_probe(self.now)
        assert admitted == (before != "open")
        if before == "probe":
            assert self.breaker.state(self.now) == "open"
            assert all(self.now - at >= self.limits.probe_ms for at in self.probes)
            self.probes.append(self.now)
        return self.now

    @rule(target=calls)
    def call_in_panic(self) -> int:
        return self.now

    @rule(
        began=calls,
        what=st.sampled_from(["success", "failure", "failure", "nothing", "credential", "throttled"]),
        wait=st.sampled_from([1, 5000, 10**7]),
    )
    def call_ends(self, began: int, what: str, wait: int) -> None:
        before = self.breaker.state(self.now)
        until = self.breaker.open_until_ms
        self.breaker.record(what, began, self.now, wait)  # type: ignore[arg-type]
        after = self.breaker.state(self.now)
        if before == "open" and after == "closed":
            assert what == "success"
        if before == "closed" and after != "closed":
            assert what in ("failure", "credential", "throttled")
        if what in ("success", "nothing"):
            assert self.breaker.open_until_ms in (0, until)
        if self.breaker.open_until_ms != until or after == "closed":
            self.probes.clear()
        if what == "nothing":
            self.probes.clear()

    @invariant()
    def a_term_is_bounded_and_told(self) -> None:
        assert self.breaker.open_until_ms - self.now <= self.limits.longest_ms
        if self.breaker.state(self.now) == "open":
            assert self.breaker.reason

    @invariant()
    def every_circuit_recovers(self) -> None:
        later = self.now + self.limits.longest_ms + self.limits.probe_ms
        assert self.breaker.state(later) in ("closed", "probe")


TestCircuitMachine = CircuitMachine.TestCase


TestCircuitMachine.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)
