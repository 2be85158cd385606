"""Chance by hash: the same for columns and single rows, and even."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.projection.draws import DONOR, FAILURE, LENGTH, PILOT, row_keys, uniform, uniforms

TEXT = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=40)
SEEDS = st.integers(-(2**70), 2**70)


@given(st.lists(TEXT, max_size=8), SEEDS, st.sampled_from([PILOT, LENGTH, FAILURE, DONOR]), st.integers(0, 9))
def test_a_column_draws_what_each_row_draws_alone(ids: list[str], seed: int, purpose: int, attempt: int) -> None:
    keys = row_keys(seed, ids)
    together = uniforms(keys, purpose, attempt).tolist()
    assert together == [uniform(int(row_keys(seed, [each])[0]), purpose, attempt) for each in ids]
    assert all(0 <= drawn < 1 for drawn in together)


@given(st.lists(TEXT, min_size=2, max_size=2, unique=True), SEEDS)
def test_other_ids_and_other_seeds_have_other_keys(ids: list[str], seed: int) -> None:
    first, second = row_keys(seed, ids).tolist()
    assert first != second
    assert row_keys(seed + 1, ids).tolist() != [first, second]


def test_draws_are_even_and_those_of_two_purposes_or_attempts_unrelated() -> None:
    keys = row_keys(7, [f"req_{number}" for number in range(20_000)])
    columns = [uniforms(keys, purpose, attempt) for purpose in (LENGTH, DONOR) for attempt in (0, 1)]
    for column in columns:
        counts = np.histogram(column, bins=20, range=(0, 1))[0]
        # chi-square with 19 degrees of freedom: above 45 once in a thousand
        assert float(np.sum((counts - 1000) ** 2 / 1000)) < 45
    related = np.corrcoef(columns) - np.eye(len(columns))
    assert float(np.abs(related).max()) < 0.03


def test_no_ids_have_no_keys() -> None:
    assert len(row_keys(1, [])) == 0
