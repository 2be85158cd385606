"""The statistics on real API calls and real agent steps, where the recorded data are present."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from experiment_core.distributions import exact_sign_p
from experiment_core.percentiles import Column, change
from experiment_core.resampling import Resampler, Units, paired_share

BASELINE, CANDIDATE = "gpt-4o-2024-05-13-FC", "gpt-4o-mini-2024-07-18-FC"


@pytest.fixture(scope="module")
def calls(recorded: Callable[[str], Path]) -> np.ndarray:
    """Latency and validity of the same 1,700 prompts under both models: latency, latency, valid, valid."""
    found: dict[str, dict[tuple[str, str], tuple[float, float]]] = {BASELINE: {}, CANDIDATE: {}}
    with recorded("bfcl/requests.csv").open() as lines:
        for row in csv.DictReader(lines):
            if row["model"] in found:
                found[row["model"]][row["category"], row["id"]] = (float(row["latency_s"]), float(row["valid"]))
    before, after = found[BASELINE], found[CANDIDATE]
    pairs = [(before[key][0], after[key][0], before[key][1], after[key][1]) for key in before if key in after]
    return np.array(pairs).T


def widths(table: np.ndarray, q: float, seed: int) -> tuple[tuple[float, float], float]:
    """The interval of the change of a percentile, and its width."""
    units = Units.of(table.shape[1])
    interval = change(Column(table[0], units), Column(table[1], units), units, q, seed).absolute.interval
    assert interval.lower is not None
    assert interval.upper is not None
    return (interval.lower, interval.upper), interval.upper - interval.lower


def test_the_quality_of_a_smaller_model_is_the_references(calls: np.ndarray) -> None:
    _, _, before, after = calls
    assert len(before) == 1700
    assert (np.count_nonzero(after > before), np.count_nonzero(before > after)) == (80, 105)
    found = paired_share(before > 0, after > 0, Units.of(1700))
    assert found.value == pytest.approx(-0.01471, abs=1e-5)
    assert found.interval.lower == pytest.approx(-0.0304, abs=2e-4)
    assert found.interval.upper == pytest.approx(0.0010, abs=2e-4)
    assert exact_sign_p(80, 105) == pytest.approx(0.0774, abs=5e-5)


def test_agent_steps_are_known_three_and_a_half_times_worse_than_as_many_calls(recorded: Callable[[str], Path]) -> None:
    with recorded("sweagent_runs/steps.csv").open() as lines:
        steps = [row for row in csv.DictReader(lines) if row["model"] == "gpt-4o-2024-05-13"]
    latency = np.array([float(row["latency_s"]) for row in steps])
    _, run = np.unique([row["run_id"] for row in steps], return_inverse=True)
    units, single = Units.of(len(steps), run), Units.of(len(steps))
    assert (units.count, len(steps)) == (86, 1292)
    residuals = latency - latency.mean()
    ratio = np.sqrt(units.variance_of_sum(residuals) / single.variance_of_sum(residuals))
    assert ratio == pytest.approx(3.49, abs=0.03)
    interval = Resampler(units, 1).mean(latency).interval
    plain = Resampler(single, 1).mean(latency).interval
    assert (interval.upper or 0.0) - (interval.lower or 0.0) > 2.5 * ((plain.upper or 0.0) - (plain.lower or 0.0))


@pytest.mark.nightly
@pytest.mark.parametrize("rows", [100, 400, 1000])
def test_paired_changes_of_real_latencies_cover_and_are_a_fifth_narrower(calls: np.ndarray, rows: int) -> None:
    rng, q, held, paired, unpaired = np.random.default_rng(rows), 0.95, 0, 0.0, 0.0
    truth = float(np.quantile(calls[1], q) - np.quantile(calls[0], q))
    for trial in range(300):
        picked = rng.integers(calls.shape[1], size=rows)
        (low, high), width = widths(calls[:2, picked], q, trial)
        held += low <= truth <= high
        paired += width
        unpaired += widths(np.stack([calls[0, picked], calls[1, rng.permutation(picked)]]), q, trial)[1]
    assert 0.93 <= held / 300 <= 0.99
    assert unpaired > 1.2 * paired
