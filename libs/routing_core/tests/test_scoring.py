"""Power of two choices finds the fast target, spreads load, and keeps measuring the cold ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.draws import draw
from routing_core.scoring import choose, score
from routing_core.types import Target
from routing_core.world import Health

A, B, C = (Target(f"model-{name}", "openai", "pc_1") for name in "abc")
WARM = {
    A: Health(p50_ms=100, ttft_ms=50, samples=50),
    B: Health(p50_ms=200, ttft_ms=20, samples=50),
    C: Health(p50_ms=300, ttft_ms=30, samples=50),
}


@pytest.mark.parametrize(
    ("health", "expected"),
    [
        pytest.param(Health(), None, id="nothing measured"),
        pytest.param(Health(p50_ms=100, samples=9), 100.0, id="idle and healthy: the latency itself"),
        pytest.param(Health(p50_ms=100, samples=9, inflight=3), 400.0, id="load multiplies"),
        pytest.param(Health(p50_ms=100, samples=9, error_rate=0.5), 200.0, id="failures divide"),
        pytest.param(Health(p50_ms=100, samples=9, error_rate=1.0), 2000.0, id="a dead target is not infinitely slow"),
    ],
)
def test_score(health: Health, expected: float | None) -> None:
    assert score(health, "p50") == expected


def test_the_faster_of_the_two_drawn_leads_and_the_rest_follow_by_score() -> None:
    ranking, reason = choose([C, B, A], WARM, draw_a=0.0, draw_b=0.0, explore_draw=0.9, floor=0.05)
    assert ranking == (B, A, C)
    assert reason == "faster of two drawn: p50 200 ms against 300 ms of model-c:openai"


def test_ttft_is_a_metric_of_its_own() -> None:
    ranking, _ = choose([A, B], WARM, 0.0, 0.0, 0.9, 0.05, metric="ttft")
    assert ranking == (B, A)


def test_a_cold_target_gets_exactly_its_floor() -> None:
    healths = {A: WARM[A], B: WARM[B]}
    led = [
        choose([A, B, C], healths, draw("a", str(n)), draw("b", str(n)), draw("x", str(n)), 0.05)[0][0]
        for n in range(4000)
    ]
    assert 0.035 < led.count(C) / len(led) < 0.065
    assert led.count(B) == 0
    assert choose([A, B, C], healths, 0, 0, 0.0, 0.05)[1] == "exploration: model-c:openai has 0 recent samples"


def test_without_measurements_the_draw_is_even() -> None:
    led = [choose([A, B, C], {}, draw(str(n)), 0.0, 0.9, 0.05)[0][0] for n in range(3000)]
    assert all(850 < led.count(target) < 1150 for target in (A, B, C))


def test_one_candidate_needs_no_draw_and_none_is_a_bug() -> None:
    assert choose([A], {}, 0.5, 0.5, 0.0, 1.0) == ((A,), "only candidate")
    assert choose([C, A], {A: WARM[A]}, 0.5, 0.5, 0.9, 0.0)[1] == "only candidate with a measured p50"
    with pytest.raises(ValueError, match="no candidates"):
        choose([], {}, 0, 0, 0, 0)


def test_two_choices_spread_what_a_greedy_choice_would_heap_on_one() -> None:
    counts = dict.fromkeys((A, B, C), 0)
    for n in range(3000):
        ranking, _ = choose([A, B, C], WARM, draw("a", str(n)), draw("b", str(n)), 0.9, 0.0)
        counts[ranking[0]] += 1
    assert 0.6 < counts[A] / 3000 < 0.73
    assert counts[C] == 0


UNIT = st.floats(0, 1, exclude_max=True)


@given(st.permutations([A, B, C]), UNIT, UNIT, UNIT, UNIT, st.sets(st.sampled_from([A, B, C])))
def test_every_candidate_is_ranked_exactly_once(
    order: list[Target], a: float, b: float, x: float, floor: float, known: set[Target]
) -> None:
    ranking, reason = choose(order, {t: WARM[t] for t in known}, a, b, x, floor)
    assert sorted(ranking, key=repr) == sorted(order, key=repr)
    assert reason
