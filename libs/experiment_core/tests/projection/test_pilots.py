"""Pilots: which rows are called, and with what chance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.draws import Keys, row_keys
from experiment_core.projection.pilots import choose


def window(seed: int, rows: int) -> tuple[Keys, Ints, Floats]:
    rng = np.random.default_rng(seed)
    keys = row_keys(0, [f"req_{seed}_{row}" for row in range(rows)])
    return keys, rng.integers(0, 4, rows), rng.lognormal(0, 1.5, rows)


@given(st.integers(0, 1000), st.integers(1, 80), st.integers(0, 100))
def test_a_pilot_is_of_different_rows_as_many_as_asked_for(seed: int, rows: int, size: int) -> None:
    pilot = choose(size, *window(seed, rows), seed)
    assert len(set(pilot.rows.tolist())) == len(pilot.rows) == min(size, rows)
    assert np.all((pilot.chance > 0) & (pilot.chance <= 1))
    if size >= rows:
        assert np.all(pilot.chance == 1)


@given(st.integers(0, 1000), st.integers(2, 60))
def test_a_pilot_does_not_hang_on_the_order_of_rows(seed: int, rows: int) -> None:
    keys, stratum, cost = window(seed, rows)
    order = np.random.default_rng(seed).permutation(rows)
    straight = choose(rows // 2, keys, stratum, cost, seed)
    shuffled = choose(rows // 2, keys[order], stratum[order], cost[order], seed)
    assert keys[straight.rows].tolist() == keys[order][shuffled.rows].tolist()
    assert np.allclose(straight.chance, shuffled.chance)


@given(st.integers(0, 1000), st.integers(1, 60), st.integers(0, 20))
def test_a_longer_pilot_starts_with_the_shorter(seed: int, size: int, more: int) -> None:
    columns = window(seed, 100)
    short, long = choose(size, *columns, seed), choose(size + more, *columns, seed)
    assert long.rows[:size].tolist() == short.rows.tolist()


@pytest.mark.parametrize("size", [10, 40, 70])
def test_weighing_by_chance_gives_the_total_on_average(size: int) -> None:
    keys, stratum, cost = window(1, 80)
    value = cost + np.random.default_rng(2).random(80)
    totals = []
    for seed in range(600):
        pilot = choose(size, keys, stratum, cost, seed)
        totals.append(float(np.sum(value[pilot.rows] / pilot.chance)))
    assert np.mean(totals) == pytest.approx(value.sum(), rel=0.03)


def test_costly_rows_are_likelier_and_free_ones_equally_likely() -> None:
    keys, stratum, cost = window(3, 400)
    dear = [cost[choose(40, keys, stratum, cost, seed).rows].mean() for seed in range(50)]
    assert np.mean(dear) > 1.3 * cost.mean()
    free = choose(40, keys, stratum, np.zeros(400), 1)
    assert np.allclose(free.chance, 0.1)
