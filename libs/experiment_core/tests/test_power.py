"""Sample sizes against the reference's values."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.intervals import wilson
from experiment_core.power import (
    detectable_change,
    detectable_rate_change,
    equivalent_rows,
    rows_for_change,
    rows_for_percentile,
    smallest_sample,
)


@pytest.mark.parametrize(("rate", "threshold", "rows"), [(0.05, 0.10, 139), (0.08, 0.10, 865), (0.02, 0.05, 203)])
def test_the_smallest_sample_whose_bound_holds_the_threshold(rate: float, threshold: float, rows: int) -> None:
    assert smallest_sample(rate, threshold) == rows


@given(st.floats(0.0, 0.5), st.floats(0.01, 0.4))
def test_one_row_less_is_too_few(rate: float, gap: float) -> None:
    rows = smallest_sample(rate, rate + gap)
    assert (wilson(rate * rows, rows).upper or 0.0) <= rate + gap
    assert rows == 1 or (wilson(rate * (rows - 1), rows - 1).upper or 0.0) > rate + gap


def test_a_rate_at_its_threshold_is_never_shown() -> None:
    with pytest.raises(ValueError, match="no sample shows"):
        smallest_sample(0.1, 0.1)


def test_the_detectable_change_is_found_four_times_in_five() -> None:
    rng, rows = np.random.default_rng(1), 400
    change = detectable_change(2.0, rows)
    means = rng.normal(change, 2.0 / math.sqrt(rows), 20_000)
    assert np.mean(means > 1.959964 * 2.0 / math.sqrt(rows)) == pytest.approx(0.8, abs=0.01)


def test_what_a_sample_detects_is_what_it_is_sized_for() -> None:
    assert rows_for_change(2.0, detectable_change(2.0, 400)) in (400, 401)
    assert detectable_change(1.0, 0) == math.inf
    assert detectable_rate_change(0.1, 1000) == pytest.approx(2.801585 * math.sqrt(0.1 / 1000), abs=1e-6)
    assert detectable_rate_change(1.0, 1) == 1.0


@pytest.mark.parametrize(("q", "rows"), [(0.95, 72), (0.99, 368), (0.5, 6), (0.05, 72)])
def test_how_many_rows_bound_a_percentile(q: float, rows: int) -> None:
    assert rows_for_percentile(q) == rows


def test_one_sided_bounds_need_fewer_rows() -> None:
    assert rows_for_percentile(0.95, 0.90) == 59


def test_calls_spent_on_rerouted_rows_alone_count_for_more() -> None:
    assert equivalent_rows(1000, 0.28) == pytest.approx(3571.43, abs=0.01)
    assert equivalent_rows(0, 0.0) == math.inf
