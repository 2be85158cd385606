"""Sample sizes against the reference's values."""

from __future__ import annotations

import math

import numpy as np
import pytest

from experiment_core.power import detectable_change, detectable_rate_change, rows_for_change


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
