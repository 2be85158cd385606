"""The health fold: what is news, what is not, and that it does not flap."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from modelux.events.v1.health_pb2 import ProviderHealthChanged
from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux_ingest.signals import Signals

START_US = 1_770_000_000_000_000
SECOND = 1_000_000


def event(
    second: float, kind: str = "ok", status: int = 200, latency_ms: int = 100, model: str = "m"
) -> RequestCompleted:
    """One attempt that ends at `second`."""
    latency_us = latency_ms * 1000
    attempt = AttemptRecord(
        number=1, model=model, provider="p", kind=kind, status=status, latency_us=latency_us, ttft_us=latency_us // 2
    )
    return RequestCompleted(started_at_us=START_US + int(second * SECOND) - latency_us, attempts=[attempt])


def run(signals: Signals, pattern: str, start: float, step: float = 0.5) -> list[ProviderHealthChanged]:
    """One event per letter: `.` ok, `x` 503, `t` timeout, `c` cancelled, `4` 404."""
    kinds = {".": ("ok", 200), "x": ("status", 503), "t": ("timeout", 0), "c": ("cancelled", 0), "4": ("status", 404)}
    news: list[ProviderHealthChanged] = []
    for index, letter in enumerate(pattern):
        news += signals.observe([event(start + index * step, *kinds[letter])])
    return news


def states(news: Sequence[ProviderHealthChanged]) -> list[str]:
    return [each.state for each in news]


def test_the_first_news_is_the_latency_of_a_healthy_target() -> None:
    (news,) = run(Signals(), "." * 40, 0)
    assert (news.state, news.p50_ms, news.ttft_p50_ms, news.error_rate, news.samples) == ("healthy", 100, 50, 0, 10)
    assert news.window_end_us - news.window_start_us == 60 * SECOND


@pytest.mark.parametrize("letter", ["x", "t"])
def test_a_provider_that_fails_goes_down_and_comes_back_by_way_of_degraded(letter: str) -> None:
    signals = Signals()
    run(signals, "." * 20, 0)
    assert states(run(signals, letter * 40, 10)) == ["degraded", "down"]
    assert states(run(signals, "." * 200, 30)) == ["degraded", "healthy"]


def test_an_error_rate_at_the_border_does_not_flap() -> None:
    signals = Signals()
    run(signals, "." * 90, 0)
    news = states(run(signals, ("x" + "." * 9) * 60, 45))
    assert news == ["degraded"]


@pytest.mark.parametrize("letter", ["c", "4"])
def test_what_says_nothing_against_a_provider_is_no_failure(letter: str) -> None:
    signals = Signals()
    run(signals, "." * 20, 0)
    assert run(signals, letter * 100, 10) == []


def test_few_failures_are_not_a_rate() -> None:
    assert run(Signals(), "x" * 9, 0) == []


def test_a_latency_that_moved_is_news_but_not_at_every_step() -> None:
    signals = Signals()
    run(signals, "." * 40, 0)
    slow = [signals.observe([event(20 + n * 0.5, latency_ms=500)]) for n in range(80)]
    assert [round(each.p50_ms) for batch in slow for each in batch] == [500]


def test_targets_are_judged_apart_and_a_silent_one_is_forgiven() -> None:
    signals = Signals()
    for n in range(40):
        signals.observe([event(n * 0.5, "connect", 0, model="bad"), event(n * 0.5, model="good")])
    news = []
    for n in range(300):
        news += signals.observe([event(20 + n * 0.5, model="good")])
    assert [(each.model, each.state, each.samples) for each in news] == [("bad", "healthy", 0)]


def at(second: float) -> int:
    return START_US + int(second * SECOND)


def test_without_traffic_a_target_is_forgiven_when_its_failures_are_a_window_old() -> None:
    signals = Signals()
    assert states(run(signals, "x" * 40, 0)) == ["down"]
    assert [signals.advance(at(second)) for second in (20, 40, 79)] == [[], [], []]
    (news,) = signals.advance(at(79.5))
    assert (news.state, news.samples, news.error_rate, news.window_end_us) == ("healthy", 0, 0, at(79.5))
    assert signals.advance(at(1000)) == []


def test_a_few_calls_that_all_succeed_are_a_recovery() -> None:
    """As the probes of a half-open circuit are: too few for a rate, and nothing left that speaks against the target."""
    signals = Signals()
    assert states(run(signals, "x" * 40, 0)) == ["down"]
    assert states(run(signals, "." * 20, 25, step=10)) == ["down", "healthy"], "first the news of a latency"


def test_a_few_calls_of_which_some_fail_are_none() -> None:
    signals = Signals()
    run(signals, "x" * 40, 0)
    assert set(states(run(signals, "x..." * 20, 25, step=15))) == {"down"}


def test_time_that_went_by_does_not_hide_what_comes_then() -> None:
    signals = Signals()
    run(signals, "." * 40, 0)
    signals.advance(at(300))
    together = signals.observe([event(299 + n / 30, "timeout") for n in range(30)])
    assert states(together) == ["down"]


def test_a_clock_that_is_behind_the_events_changes_nothing() -> None:
    signals = Signals()
    run(signals, "x" * 40, 100)
    assert signals.advance(at(0)) == []


def test_a_recovery_read_too_late_to_be_news_is_told_when_the_reader_caught_up() -> None:
    signals = Signals()
    assert states(run(signals, "x" * 40, 0)) == ["down"]
    late = [event(200 + n, latency_ms=100) for n in range(30)]
    assert signals.observe(late, since_us=at(500)) == []
    (news,) = signals.advance(at(620))
    assert (news.state, news.window_end_us) == ("healthy", at(620))


def test_the_same_events_give_the_same_news() -> None:
    pattern = "...xx.t.." * 50
    assert run(Signals(), pattern, 0) == run(Signals(), pattern, 0)
    together = Signals().observe(event(n, "timeout") for n in range(30))
    assert states(together) == ["down"]
