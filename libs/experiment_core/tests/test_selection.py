"""Samples are stable, nested, and weigh up to the window."""

from __future__ import annotations

from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core import selection
from experiment_core.selection import Sample, keys, random, semantic, stratified


def order(rows: int, seed: str = "seed") -> selection.Keys:
    return keys([f"req_{number}" for number in range(rows)], seed)


strata = st.lists(st.integers(0, 6), min_size=1, max_size=200).map(np.array)


def weights(sample: Sample) -> float:
    return float((1 / sample.probability).sum())


def test_the_key_is_the_digest_of_seed_and_id() -> None:
    digest = sha256(b"4:seedreq_1").digest()
    assert int(keys(["req_1"], "seed")[0]) == int.from_bytes(digest[:8], "big")
    assert len(keys([], "seed")) == 0


def test_a_key_depends_on_seed_and_id_alone() -> None:
    assert order(10)[3] == keys(["other", "req_3"], "seed")[1]
    assert order(10, "other")[3] != order(10)[3]


@given(st.integers(1, 300), st.integers(1, 400), st.integers(1, 400))
def test_a_random_sample_is_the_start_of_a_larger_one(rows: int, first: int, second: int) -> None:
    small, large = sorted((first, second))
    chosen = random(order(rows), small)
    assert random(order(rows), large).rows[: len(chosen.rows)].tolist() == chosen.rows.tolist()
    assert len(set(chosen.rows.tolist())) == len(chosen.rows) == min(small, rows)
    assert weights(chosen) == pytest.approx(rows)


def test_new_rows_leave_the_order_of_the_old_ones() -> None:
    before, after = random(order(50), 50).rows, random(order(80), 80).rows
    assert [row for row in after if row < 50] == before.tolist()


def test_nothing_is_drawn_from_nothing() -> None:
    assert len(random(order(0), 10).rows) == 0
    assert len(stratified(order(0), np.zeros(0, dtype=np.int64), 10).rows) == 0


@given(strata, st.integers(1, 200), st.integers(1, 200), st.integers(0, 10), st.sampled_from([0.0, 0.5, 1.0]))
def test_a_stratified_sample_is_the_start_of_a_larger_one(
    codes: np.ndarray, first: int, second: int, floor: int, power: float
) -> None:
    small, large = sorted((first, second))
    chosen = stratified(order(len(codes)), codes, small, floor, power)
    assert stratified(order(len(codes)), codes, large, floor, power).rows[:small].tolist() == chosen.rows.tolist()
    assert len(set(chosen.rows.tolist())) == min(small, len(codes))


@given(strata, st.integers(7, 200), st.integers(1, 10))
def test_the_weights_of_a_sample_sum_to_the_window_and_to_each_stratum(
    codes: np.ndarray, size: int, floor: int
) -> None:
    chosen = stratified(order(len(codes)), codes, size, floor)
    assert weights(chosen) == pytest.approx(len(codes))
    for code in np.unique(codes):
        inside = codes[chosen.rows] == code
        assert (1 / chosen.probability[inside]).sum() == pytest.approx(np.count_nonzero(codes == code))


def test_shares_are_proportional_above_a_floor_that_small_strata_reach() -> None:
    codes = np.repeat([0, 1, 2], [8000, 1980, 20])
    counts = np.bincount(codes[stratified(order(10_000), codes, 1000, floor=15).rows])
    assert counts[2] == 15
    assert counts[0] == pytest.approx(985 * 0.8 / 0.998, abs=2)


def test_a_semantic_sample_gives_rare_topics_more_than_their_share() -> None:
    topics = np.repeat([0, 1], [9900, 100])
    even, lifted = (
        np.bincount(topics[draw.rows])
        for draw in (stratified(order(10_000), topics, 1000, 0), semantic(order(10_000), topics, 1000, 0))
    )
    assert even[1] == 10
    assert lifted[1] == pytest.approx(1000 * 10 / (10 + np.sqrt(9900)), abs=2)


def test_weighted_totals_are_those_of_the_window_in_expectation() -> None:
    codes = np.repeat([0, 1, 2], [700, 250, 50])
    values = np.random.default_rng(1).lognormal(size=1000) * (1 + 9 * codes)
    totals = []
    for seed in range(400):
        chosen = semantic(order(1000, str(seed)), codes, 120, 10)
        totals.append((values[chosen.rows] / chosen.probability).sum())
    error = np.std(totals) / np.sqrt(len(totals))
    assert abs(np.mean(totals) - values.sum()) < 3.3 * error


def test_a_random_sample_does_not_favour_any_place() -> None:
    chosen = random(order(20_000), 2000).rows
    counts = np.bincount(chosen // 2000, minlength=10)
    # chi-squared with 9 degrees of freedom: 27.9 is its 99.9 % point
    assert ((counts - 200) ** 2 / 200).sum() < 27.9
