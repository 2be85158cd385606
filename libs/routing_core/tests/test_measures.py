"""Medians follow latencies, error rates fade, and retries stay a fifth of the traffic."""

from __future__ import annotations

import statistics

from hypothesis import given
from hypothesis import strategies as st

from routing_core.health import Registry
from routing_core.latency import KEPT, STALE_MS, ErrorRate, MovingMedian
from routing_core.retries import RetryBudget
from routing_core.types import Target

A, B, C = (Target(f"model-{name}", "openai", "pc_1") for name in "abc")


def test_retries_are_a_fifth_of_the_traffic_and_three_for_the_quiet() -> None:
    registry = Registry()
    allowed = 0
    for n in range(1000):
        registry.begin(A, n)
        allowed += registry.retry("openai", n)
    assert 200 <= allowed <= 204
    quiet = Registry()
    assert [quiet.retry("openai", 0) for _ in range(5)] == [True, True, True, False, False]
    assert quiet.retry("anthropic", 0)
    assert [quiet.retry("openai", 10_000) for _ in range(5)] == [True, True, True, False, False]
    quiet.begin(A, 10_000, retry=True)
    assert not quiet.retry("openai", 10_000)


@given(st.lists(st.tuples(st.sampled_from(["first", "retry"]), st.integers(0, 2000)), max_size=300))
def test_no_history_grants_more_than_a_fifth_and_the_refills(steps: list[tuple[str, int]]) -> None:
    budget, now, firsts, granted = RetryBudget(0), 0, 0, 0
    for what, passed in steps:
        now += passed
        if what == "first":
            budget.deposit()
            firsts += 1
        else:
            granted += budget.withdraw(now)
    assert granted <= 3 + firsts / 5 + 3 * now / 10_000 + 1e-9


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=KEPT))
def test_samples_of_one_moment_give_their_median(values: list[float]) -> None:
    median = MovingMedian()
    for value in values:
        median.add(value, 1000)
    found = median.value(1000)
    assert found == round(statistics.median_low(values), 1)


@given(st.lists(st.tuples(st.integers(0, 40_000), st.floats(0, 1e6)), min_size=1, max_size=60))
def test_the_median_is_within_the_samples_and_fades(samples: list[tuple[int, float]]) -> None:
    median, now = MovingMedian(), 0
    for passed, value in samples:
        now += passed
        median.add(value, now)
    found = median.value(now)
    assert found is not None
    assert min(v for _, v in samples) - 0.05 <= found <= max(v for _, v in samples) + 0.05
    assert median.value(now + STALE_MS) == found
    assert median.value(now + STALE_MS + 1) is None


def test_the_median_follows_a_shift_and_ignores_an_outlier() -> None:
    median = MovingMedian()
    for n in range(30):
        median.add(100, n * 100)
    median.add(60_000, 3000)
    assert median.value(3000) == 100
    for n in range(3):
        median.add(900, 153_000 + n)  # five half-lives later, three samples outweigh thirty
    assert median.value(154_000) == 900


def test_a_busy_median_is_not_sorted_for_every_look() -> None:
    median = MovingMedian()
    for n in range(40):
        median.add(n, 1000 + n)
    first = median.value(1040)
    for _ in range(40):
        median.add(5000, 1041)
    assert median.value(1100) == first
    assert median.value(1300) == 5000


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 120_000)), min_size=1, max_size=100))
def test_an_error_rate_is_a_fraction_and_fades(calls: list[tuple[bool, int]]) -> None:
    errors, now = ErrorRate(0), 0
    for failed, passed in calls:
        now += passed
        errors.add(failed, now)
    assert 0.0 <= errors.rate() <= 1.0
    assert 1 <= errors.samples(now) <= len(calls)
    assert errors.samples(now + 10**7) == 0
    if len({failed for failed, _ in calls}) == 1:
        assert errors.rate() == float(calls[0][0])
