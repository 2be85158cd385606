"""What a summary says in words."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import replayed_tables as tables

from experiment_core.intervals import NOTHING, UNKNOWN, Estimate, Interval
from experiment_core.rows import NOT_EVALUABLE
from experiment_core.sentence import METRICS, amount, change_in_words, sentence
from experiment_core.summary import summarise


@pytest.mark.parametrize(
    ("metric", "change", "words"),
    [
        ("cost_nano", Estimate(-57.2, Interval(-59.1, -55.3)), "cheaper by 57 % [55, 59]"),
        ("cost_nano", Estimate(12.34, Interval(11.9, 12.7)), "dearer by 12.3 % [11.9, 12.7]"),
        ("latency_p95_ms", Estimate(-3.0, Interval(-9.0, 2.0)), "p95 change not distinguishable"),
        ("latency_p95_ms", Estimate(30.0, Interval(12.0, None)), "p95 slower by 30 % [12, unknown]"),
        ("latency_p95_ms", Estimate(-30.0, Interval(None, -12.0)), "p95 faster by 30 % [12, unknown]"),
        ("latency_p95_ms", Estimate(1.0, UNKNOWN), "too few rows to tell the p95 change"),
        ("latency_p50_ms", NOTHING, "p50 change unknown"),
        ("latency_p50_ms", Estimate(0.0, Interval(0.0, 0.0)), "p50 unchanged"),
        ("error_rate", Estimate(0.42, Interval(0.38, 0.46)), "error rate higher by 0.42 pp [0.38, 0.46]"),
    ],
)
def test_a_change_in_words(metric: str, change: Estimate, words: str) -> None:
    assert change_in_words(change, METRICS[metric]) == words


def test_an_exact_amount_has_no_decimals_to_spare() -> None:
    assert amount(Estimate(50.0, Interval(50.0, 50.0)), "%") == "50 % [50, 50]"
    assert amount(Estimate(0.00001, Interval(0.0, 0.00002)), "%") == "0.0000 % [0.0000, 0.0000]"


def test_an_unchanged_policy_reads_unchanged() -> None:
    found = sentence(summarise(tables.unchanged(tables.side(1, 500)), seed=1))
    assert (
        found
        == "cost unchanged; p50 unchanged; p95 unchanged; error rate unchanged; 100.0 % [99.2, 100.0] agree at 0.85"
    )


def test_a_cheaper_slower_candidate_reads_so() -> None:
    base = tables.side(1, 2000)
    other = replace(tables.side(1, 2000, speed=1.5), cost_nano=base.cost_nano // 2)
    found = sentence(summarise(tables.table(base, other), seed=1))
    assert found.startswith("cheaper by 50 % [50, 50]; p50 slower by 50 %")
    assert "agree" not in found


def test_nothing_evaluable_is_said_to_be_nothing() -> None:
    rows = tables.table(tables.side(1, 3), tables.side(2, 3))
    rows = replace(rows, evidence=np.full(3, NOT_EVALUABLE, dtype=np.int8))
    assert sentence(summarise(rows, seed=1)).startswith("nothing to compare")
