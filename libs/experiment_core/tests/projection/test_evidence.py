"""Past calls: which of them speak for an hour, and what a call then meets."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.arrays import Ints
from experiment_core.projection import evidence
from experiment_core.projection.calls import KINDS, Calls, Draws
from experiment_core.projection.draws import row_keys
from experiment_core.projection.evidence import ENOUGH, Evidence

STATUS, TIMEOUT = KINDS.index("status"), KINDS.index("timeout")


def calls(seed: int, count: int, hours: int = 24, targets: int = 1, failing: float = 0.1) -> Calls:
    """100 ms and 10 ms per token, give or take; some fail fast with 429, some time out."""
    rng = np.random.default_rng(seed)
    tokens = rng.lognormal(4, 0.8, count).round()
    kind = np.where(rng.random(count) < failing, rng.choice([STATUS, TIMEOUT], count), 0)
    latency = np.select(
        [kind == STATUS, kind == TIMEOUT], [20.0, 30_000.0], (100 + 10 * tokens) * rng.lognormal(0, 0.1, count)
    )
    ttft = np.where((kind == 0) & (rng.random(count) < 0.8), 90.0, np.nan)
    status = np.select([kind == STATUS, kind == 0], [429, 200], 0)
    return Calls(rng.integers(0, targets, count), rng.integers(0, hours, count), tokens, latency, ttft, kind, status)


def at(hour: Ints, kind: int = 0, latency_ms: float = 100.0) -> Calls:
    count = len(hour)
    one = np.ones(count, np.int64)
    return Calls(one * 0, hour, one * 10.0, one * latency_ms, one * np.nan, one * kind, one * 0)


def joined(*parts: Calls) -> Calls:
    names = ("target", "hour", "output_tokens", "latency_ms", "ttft_ms", "kind", "status")
    return Calls(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


def met(of: Evidence, hour: int, count: int = 2000, target: int = 0, tokens: float = 60.0) -> Draws:
    keys = row_keys(1, [f"req_{row}" for row in range(count)])
    zeros = np.zeros(count, np.int64)
    return of.draws(zeros + target, zeros + hour, keys, 1, np.full(count, tokens))


@given(st.integers(0, 300), st.integers(1, 150), st.sampled_from([0.0, 0.1, 0.9, 1.0]), st.integers(1, 3))
def test_columns_meet_what_each_row_meets_alone(seed: int, count: int, failing: float, attempt: int) -> None:
    of = Evidence(calls(seed, count, hours=6, targets=3, failing=failing))
    rng = np.random.default_rng(seed)
    keys = row_keys(seed, [f"req_{row}" for row in range(40)])
    targets, hours, tokens = rng.integers(0, 4, 40), rng.integers(0, 8, 40), rng.lognormal(4, 1, 40).round()
    together = of.draws(targets, hours, keys, attempt, tokens)
    for row in range(40):
        alone = of.draw(int(targets[row]), int(hours[row]), int(keys[row]), attempt, float(tokens[row]))
        if alone is None:
            assert np.isnan(together.latency_ms[row])
            assert together.window_hours[row] == -1
            continue
        assert KINDS[together.kind[row]] == alone.kind
        assert together.status[row] == alone.status
        assert together.latency_ms[row] == alone.latency_ms
        assert together.window_hours[row] == alone.window_hours
        assert together.ttft_ms[row] == alone.ttft_ms or (np.isnan(together.ttft_ms[row]) and alone.ttft_ms is None)


@given(st.integers(0, 300), st.integers(1, 150))
def test_the_order_of_calls_does_not_matter(seed: int, count: int) -> None:
    of = calls(seed, count)
    shuffled = of.take(np.random.default_rng(seed).permutation(count))
    straight, other = met(Evidence(of), 3, 50), met(Evidence(shuffled), 3, 50)
    assert straight.kind.tolist() == other.kind.tolist()
    assert np.array_equal(straight.latency_ms, other.latency_ms, equal_nan=True)


def test_latencies_are_spread_as_the_calls_of_that_length_were() -> None:
    past = calls(1, 4000, hours=1, failing=0.0)
    lengths = range(20, 200, 10)
    drawn = [met(Evidence(past), 0, 300, tokens=tokens).latency_ms / (100 + 10 * tokens) for tokens in lengths]
    assert np.mean([np.median(each) for each in drawn]) == pytest.approx(1.0, abs=0.02)
    assert np.mean([each.std() for each in drawn]) == pytest.approx(0.1, abs=0.02)


def test_an_answer_longer_than_any_is_moved_along_the_slope_and_none_is_faster_than_the_fastest() -> None:
    of = Evidence(calls(1, 400, hours=1, failing=0.0))
    longest = float(of.lengths(0).max())
    assert met(of, 0, tokens=longest + 1000).latency_ms.mean() > met(of, 0, tokens=longest).latency_ms.mean() + 8000
    assert met(of, 0, tokens=0.0).latency_ms.min() >= calls(1, 400, hours=1, failing=0.0).latency_ms.min()


def test_answers_of_one_length_all_lend_their_latency() -> None:
    past = joined(*(at(np.zeros(50, np.int64), latency_ms=each) for each in (100.0, 200.0, 900.0)))
    drawn = met(Evidence(past), 0, tokens=10.0).latency_ms
    assert [float(np.mean(drawn == each)) for each in (100.0, 200.0, 900.0)] == pytest.approx([1 / 3] * 3, abs=0.05)


def test_an_hour_of_outage_fails_and_its_neighbours_do_not() -> None:
    hours = [np.full(ENOUGH, hour) for hour in (10, 11, 12)]
    past = joined(at(hours[0]), at(hours[1], kind=STATUS), at(hours[2]))
    assert [float(np.mean(met(Evidence(past), hour).kind == STATUS)) for hour in (10, 11, 12)] == [0.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("hours", "asked", "reach"),
    [
        pytest.param([5] * ENOUGH, 5, 0, id="the hour itself has enough"),
        pytest.param([4] * ENOUGH + [5], 5, 1, id="an hour to either side"),
        pytest.param([1] * ENOUGH, 5, 4, id="four hours back"),
        pytest.param([900] * ENOUGH, 5, 895, id="all there is, far off"),
        pytest.param([3, 5, 7], 5, 2, id="all there is, too few"),
    ],
)
def test_a_window_is_widened_until_it_holds_enough(hours: list[int], asked: int, reach: int) -> None:
    found = met(Evidence(at(np.array(hours))), asked, 3)
    assert found.window_hours.tolist() == [reach] * 3
    assert found.latency_ms.tolist() == [100.0] * 3


def test_failures_keep_their_own_latency_and_status() -> None:
    found = met(Evidence(calls(5, 5000, hours=1, failing=0.4)), 0)
    assert float(np.mean(found.kind != 0)) == pytest.approx(0.4, abs=0.03)
    assert set(found.latency_ms[found.kind == STATUS].tolist()) == {20.0}
    assert set(found.status[found.kind == STATUS].tolist()) == {429}
    assert set(found.latency_ms[found.kind == TIMEOUT].tolist()) == {30_000.0}
    assert np.all(np.isnan(found.ttft_ms[found.kind != 0]))


def test_the_first_token_comes_before_the_last() -> None:
    past = at(np.zeros(40, np.int64), latency_ms=100.0)
    past = Calls(
        past.target, past.hour, past.output_tokens, past.latency_ms, past.latency_ms + 50, past.kind, past.status
    )
    assert set(met(Evidence(past), 0, 20).ttft_ms.tolist()) == {100.0}


def test_a_target_that_only_failed_fails_and_has_no_lengths() -> None:
    of = Evidence(at(np.zeros(5, np.int64), kind=TIMEOUT, latency_ms=9000.0))
    assert set(met(of, 0).latency_ms.tolist()) == {9000.0}
    assert len(of.lengths(0)) == len(of.lengths(77)) == 0


def test_nothing_is_known_of_a_target_without_calls() -> None:
    of = Evidence(calls(1, 0))
    assert of.draw(0, 0, 1, 1, 10.0) is None
    assert np.all(np.isnan(met(of, 0, 5).latency_ms))
    assert met(of, 0, 0).latency_ms.tolist() == []


def test_windows_that_are_forgotten_come_out_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    past = calls(6, 500)
    straight = [met(Evidence(past), hour, 5).latency_ms.tolist() for hour in range(24)]
    monkeypatch.setattr(evidence, "KEPT_WINDOWS", 2)
    of = Evidence(past)
    assert [met(of, hour, 5).latency_ms.tolist() for hour in range(24)] == straight
