"""Projecting rows: what is reused, observed and projected, and that a row does not hang on its neighbours."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from experiment_core.arrays import Ints
from experiment_core.projection.calls import Calls, Draws
from experiment_core.projection.draws import row_keys
from experiment_core.projection.evidence import Evidence
from experiment_core.projection.pairs import Pairs
from experiment_core.projection.project import Knowledge, Logged, Projection, project
from experiment_core.projection.tokens import TokenModel
from experiment_core.projection.totals import total_cost
from experiment_core.rows import OBSERVED, PROJECTED, REUSED
from routing_core.pricing import Price

ROWS, PILOT = 120, 20
PRICES = {target: Price((target + 1) * 10**9, (target + 1) * 4 * 10**9, 10**8) for target in range(3)}
BENCH = Path(__file__).parents[4] / "bench" / "projection.py"
_rng = np.random.default_rng(11)
_zeros = np.zeros(ROWS, np.int64)
LOG = Logged(
    np.array([f"req_{row:04d}" for row in range(ROWS)]),
    _rng.integers(0, 48, ROWS),
    _rng.integers(0, 2, ROWS),
    _rng.integers(0, 3, ROWS),
    _rng.lognormal(6, 0.5, ROWS).round(),
    _rng.lognormal(4, 0.8, ROWS).round(),
    np.full(ROWS, 50.0),
    Draws(_zeros, _zeros + 200, _rng.random(ROWS) * 1000, np.full(ROWS, 30.0), _zeros),
)
TARGETS = _rng.integers(0, 3, ROWS)
COLUMNS = ("keys", "evidence", "input_tokens", "output_tokens", "cost_nano", "length")
CALLED = np.flatnonzero(LOG.baseline == 0)[:PILOT]


def known(seed: int = 5) -> Knowledge:
    """Calls of targets 0 and 1, and a pilot of 1 on rows that 0 answered."""
    rng = np.random.default_rng(12)
    tokens = rng.lognormal(4, 0.8, 2000).round()
    kind = (rng.random(2000) < 0.2).astype(np.int64)
    calls = Calls(
        rng.integers(0, 2, 2000), rng.integers(0, 48, 2000), tokens, 100 + 9 * tokens, tokens * np.nan, kind, kind
    )
    keys = row_keys(seed, LOG.ids)[CALLED]
    base_in, base_out, stratum = LOG.input_tokens[CALLED], LOG.output_tokens[CALLED], LOG.stratum[CALLED]
    model = TokenModel.learn(
        Pairs(
            keys, stratum, base_in, base_out, base_in + 40, base_out * 2, np.full(PILOT, 777.0), np.full(PILOT, 7.0),
            np.full(PILOT, 0.3),
        )
    )  # fmt: skip
    assert model is not None
    return Knowledge(Evidence(calls), {(0, 1): model}, PRICES)


KNOWN = known()


def taken(rows: Ints) -> Logged:
    columns = {each.name: getattr(LOG, each.name)[rows] for each in fields(Logged) if each.name != "answered"}
    return Logged(**columns, answered=LOG.answered.take(rows))


def table(of: Projection) -> list[list[float]]:
    """Every column, NaN as -1."""
    columns = [getattr(of, name) for name in COLUMNS]
    columns += [of.met.kind, of.met.status, of.met.latency_ms, of.met.ttft_ms, of.met.window_hours]
    return np.nan_to_num(np.array([column.astype(np.float64) for column in columns]), nan=-1).tolist()


def part(rows: Ints) -> Projection:
    return project(TARGETS[rows], taken(rows), KNOWN, 5)


WHOLE = project(TARGETS, LOG, KNOWN, 5)


def test_two_runs_are_the_same_to_the_last_bit_and_another_seed_is_not() -> None:
    assert table(project(TARGETS, LOG, known(), 5)) == table(WHOLE)
    assert table(project(TARGETS, LOG, known(6), 6)) != table(WHOLE)
    again = project(TARGETS, LOG, KNOWN, 5, attempt=2)
    assert again.cost_nano.tolist() == WHOLE.cost_nano.tolist()
    assert table(again) != table(WHOLE)


@settings(max_examples=30)
@given(st.permutations(range(ROWS)), st.integers(0, ROWS))
def test_a_row_comes_out_the_same_in_any_order_and_with_any_neighbours(order: list[int], count: int) -> None:
    rows = np.array(order[:count], np.int64)
    assert table(part(rows)) == np.array(table(WHOLE))[:, rows].tolist()


@given(st.integers(0, ROWS))
def test_batches_add_up_to_the_total_of_the_window(cut: int) -> None:
    shares = [share for rows in np.split(np.arange(ROWS), [cut]) for share in part(rows).shares]
    total = total_cost(shares, KNOWN.models, PRICES)
    assert total.nano.value == pytest.approx(WHOLE.total.nano.value)
    assert total.nano.interval.lower == pytest.approx(WHOLE.total.nano.interval.lower)
    assert total.naive_rows == WHOLE.total.naive_rows


def test_the_total_is_the_sum_of_the_rows_and_lies_in_its_interval() -> None:
    assert WHOLE.total.nano.value == pytest.approx(WHOLE.cost_nano.sum())
    assert not WHOLE.total.nano.interval.excludes(WHOLE.total.nano.value)
    assert WHOLE.total.naive_rows == np.count_nonzero(
        (LOG.baseline != TARGETS) & ~((LOG.baseline == 0) & (TARGETS == 1))
    )


def test_rows_that_their_target_answered_keep_what_was_logged() -> None:
    same = LOG.baseline == TARGETS
    assert np.array_equal(WHOLE.evidence == REUSED, same)
    assert WHOLE.met.latency_ms[same].tolist() == LOG.answered.latency_ms[same].tolist()
    assert WHOLE.length[same].tolist() == LOG.output_tokens[same].tolist()
    row = int(np.flatnonzero(same & (TARGETS == 1))[0])
    price = PRICES[1]
    plain = (LOG.input_tokens[row] - 50) * price.input + 50 * 10**8 + LOG.output_tokens[row] * price.output
    assert WHOLE.cost_nano[row] == pytest.approx(plain / 1e6)


def test_rows_that_were_called_keep_what_the_call_met() -> None:
    observed = np.isin(np.arange(ROWS), CALLED) & (TARGETS == 1)
    assert np.array_equal(WHOLE.evidence == OBSERVED, observed)
    assert set(WHOLE.met.latency_ms[observed].tolist()) == {777.0}
    assert set(WHOLE.met.status[observed].tolist()) == {200}
    assert WHOLE.output_tokens[observed].tolist() == (2 * LOG.output_tokens[observed]).tolist()
    assert WHOLE.length[observed].tolist() == (2 * LOG.output_tokens[observed]).tolist()


def test_rows_without_pairs_have_the_logged_tokens_uncached_and_without_calls_no_latency() -> None:
    bare = TARGETS == 2
    assert set(WHOLE.evidence[bare].tolist()) == {PROJECTED}
    assert WHOLE.output_tokens[bare].tolist() == LOG.output_tokens[bare].tolist()
    price = PRICES[2]
    full = (LOG.input_tokens[bare] * price.input + LOG.output_tokens[bare] * price.output) / 1e6
    assert WHOLE.cost_nano[bare] == pytest.approx(full)
    assert np.all(np.isnan(WHOLE.met.latency_ms[bare]))


def test_corrected_rows_are_about_twice_as_long_and_fail_as_their_target_does() -> None:
    everywhere = project(np.ones(ROWS, np.int64), LOG, KNOWN, 5)
    corrected = (LOG.baseline == 0) & (everywhere.evidence == PROJECTED)
    assert everywhere.output_tokens[corrected] / LOG.output_tokens[corrected] == pytest.approx(2.0, rel=0.2)
    assert everywhere.input_tokens[corrected] / (LOG.input_tokens[corrected] + 40) == pytest.approx(1.0, rel=0.1)
    assert 0.05 < float(np.mean(everywhere.met.kind[corrected] != 0)) < 0.4


def test_a_target_without_a_price_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="target 9 has no price"):
        project(np.full(ROWS, 9), LOG, KNOWN, 5)


def test_no_rows_cost_nothing() -> None:
    assert part(np.zeros(0, np.int64)).total.nano.value == 0


def test_the_benchmark_runs_on_a_folder_with_other_models(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    with (tmp_path / "requests.csv").open("w", newline="") as lines:
        write = csv.writer(lines)
        write.writerow(["model", "category", "id", "input_tokens", "output_tokens", "latency_s", "valid", "error_type"])
        base = rng.lognormal(4, 0.5, 400)
        for number, model in enumerate(["one", "two-FC", "three"]):
            for row, length in enumerate(base * (1 + number) * rng.lognormal(0, 0.2, 400)):
                write.writerow(
                    [model, f"kind_{row % 4}", f"id_{row}", 100 + row, int(length), 0.1 + length / 50, 1, ""]
                )
        write.writerow(["four", "kind_0", "id_0", "", "", "", "", "failed"])
    command = [sys.executable, str(BENCH), str(tmp_path), "--pairs", "3", "--repeats", "3"]
    told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    figures = json.loads(told.stdout)
    assert figures["pairs"] == 3
    assert figures["cost_pilot_worst_error"] < 0.1 < figures["cost_naive_worst_error"]
    assert figures["latency_p50_median_error"] < 0.1
