"""Verdicts of experiments: what each metric is read from, and that a loss beyond the margin is not passed."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.resampling import Units, paired_share
from modelux_contracts.errors import ProblemError
from modelux_replay.summary.criteria import Ended, conclude, read_criteria, thresholds
from modelux_replay.summary.shapes import estimate

NO_LOSS = {"metric": "error_rate_delta_pct", "op": "<=", "value": 1}


def told(value: float | None, lower: float | None, upper: float | None) -> dict[str, float | None]:
    return {"value": value, "lower": lower, "upper": upper}


SUMMARY: dict[str, Any] = {
    "coverage": {"evaluable": 2_000},
    "deltas": {
        "cost_usd": {"percent": told(-40, -44, -36)},
        "p50_latency_ms": {"percent": told(-10, -12, -8)},
        "p95_latency_ms": {"percent": told(5, None, 9)},
        "error_rate": {"percentage_points": told(0.1, -0.3, 0.5)},
    },
    "projection": {"cost_percent": told(-40, -43, -37)},
    "similarity": {"agreement_at": [{"threshold": 0.9, "scored": 800, **told(0.9, 0.88, 0.92)}]},
    "runs": {"count": 150, "metrics": {"success": {"percentage_points": told(-1, -3, 1)}}},
}
JUDGED = {"judged_count": 300, "traffic": {"worse": told(0.05, 0.03, 0.08)}}


def criteria(*predicates: dict[str, object], **fields: object) -> bytes:
    return json.dumps({"predicates": list(predicates), **fields}).encode()


def verdict(document: bytes, summary: dict[str, Any] | None = None, look: int = 0, **ended: Any) -> dict[str, Any]:
    text = json.dumps(SUMMARY if summary is None else summary)
    found = conclude(document, look, Ended("completed", summary=text, **ended))
    facts: dict[str, Any] = json.loads(found.facts_json)
    assert (facts["verdict"], facts["sentence"]) == (found.verdict, found.sentence)
    return facts


METRICS = [
    ("cost_delta_pct", "<=", -30, {}, "pass", (-40, -45, -35), 2_000),
    ("cost_delta_pct", "<=", -36, {}, "inconclusive", (-40, -45, -35), 2_000),
    ("p50_latency_delta_pct", "<", 0, {}, "pass", (-10, -12, -8), 2_000),
    ("p95_latency_delta_pct", "<", 10, {}, "pass", (5, None, 9), 2_000),
    ("p95_latency_delta_pct", "<", 0, {}, "inconclusive", (5, None, 9), 2_000),
    ("error_rate_delta_pct", "<=", 1, {}, "pass", (0.1, -0.3, 0.5), 2_000),
    ("similarity_pct_above_threshold", ">=", 80, {"threshold": 0.9}, "pass", (90, 88, 92), 800),
    ("similarity_pct_above_threshold", ">=", 95, {"threshold": 0.9}, "fail", (90, 88, 92), 800),
    ("run_success_delta_pct", ">=", -2, {}, "inconclusive", (-1, -3, 1), 150),
    ("judge_worse_pct_upper_ci", "<=", 10, {}, "pass", (5, 3, 8), 300),
]


@pytest.mark.parametrize(("metric", "op", "value", "params", "outcome", "interval", "n"), METRICS)
def test_each_metric_is_read_from_the_summary(
    metric: str, op: str, value: float, params: object, outcome: str, interval: tuple[float | None, ...], n: int
) -> None:
    facts = verdict(criteria({"metric": metric, "op": op, "value": value, "params": params}), judged=JUDGED)
    (found,) = facts["predicates"]
    assert facts["verdict"] == outcome
    assert (found["observed"], found["lower"], found["upper"]) == pytest.approx(interval)
    assert found["n"] == n


def test_an_unknown_error_of_the_projection_proves_nothing() -> None:
    summary = SUMMARY | {"projection": {"cost_percent": told(-40, None, None)}}
    assert verdict(criteria({"metric": "cost_delta_pct", "op": "<", "value": 0}), summary)["verdict"] == "inconclusive"


@pytest.mark.parametrize("metric", [row[0] for row in METRICS])
def test_what_was_not_measured_is_inconclusive(metric: str) -> None:
    facts = verdict(criteria({"metric": metric, "op": "<", "value": 50}), {})
    assert facts["verdict"] == "inconclusive"
    assert "was not measured" in facts["sentence"]


def test_too_few_rows_are_inconclusive() -> None:
    facts = verdict(criteria(NO_LOSS, min_sample_size=2_001))
    assert facts["sentence"] == (
        "Inconclusive: error_rate_delta_pct rests on 2,000 rows, fewer than the 2,001 required."
    )


def test_the_sentence_tells_what_decided() -> None:
    document = criteria(NO_LOSS, {"metric": "cost_delta_pct", "op": "<", "value": -60})
    assert verdict(document)["sentence"].startswith("Fail: cost_delta_pct < -60 is broken: -40 [")


@pytest.mark.parametrize(
    ("ended", "sentence"),
    [
        (Ended("failed", "It took longer than 30 minutes."), "the experiment failed: It took longer than 30 minutes."),
        (Ended("cancelled", "Cancelled by a caller."), "the experiment was cancelled: Cancelled by a caller."),
        (Ended("failed"), "the experiment failed."),
    ],
)
def test_a_run_without_a_summary_is_inconclusive(ended: Ended, sentence: str) -> None:
    found = conclude(criteria(NO_LOSS), 0, ended)
    assert (found.verdict, found.sentence) == ("inconclusive", f"Inconclusive: {sentence}")


def test_without_criteria_there_is_no_verdict() -> None:
    assert conclude(b"", 3, Ended("completed", summary="{}")).verdict == ""


def test_later_looks_need_stronger_evidence() -> None:
    wide = [
        facts["predicates"][0]["upper"] - facts["predicates"][0]["lower"]
        for facts in (verdict(criteria(NO_LOSS), look=look) for look in (0, 1, 2, 30))
    ]
    assert wide == sorted(wide)
    assert len(set(wide)) == 4


@pytest.mark.parametrize(
    ("document", "mode", "field"),
    [
        (b"{", "routing_only", "successCriteria"),
        (b"[" * 100_000, "routing_only", "successCriteria"),
        (b"{}", "routing_only", "successCriteria.predicates"),
        (criteria({**NO_LOSS, "op": "="}), "routing_only", "successCriteria.predicates[0].op"),
        (
            criteria(NO_LOSS, {"metric": "similarity_pct_above_threshold", "op": ">", "value": 1}),
            "routing_only",
            "successCriteria.predicates[1].metric",
        ),
        (
            criteria({"metric": "judge_worse_pct_upper_ci", "op": "<", "value": 1}),
            "routing_only",
            "successCriteria.predicates[0].metric",
        ),
    ],
)
def test_refusals_name_the_field(document: bytes, mode: str, field: str) -> None:
    with pytest.raises(ProblemError) as refused:
        read_criteria(document, mode)
    assert refused.value.problem.errors[0]["field"] == field


def test_thresholds_are_those_of_the_criteria() -> None:
    near = {"metric": "similarity_pct_above_threshold", "op": ">", "value": 1}
    document = criteria(NO_LOSS, near, {**near, "params": {"threshold": 0.6}})
    assert thresholds(document) == (0.85, 0.6)
    assert thresholds(b"") == ()


def of_changes(gained: int, lost: int, rows: int, look: int = 0) -> str:
    """The verdict on rows of which so many fail under the candidate alone, and under the baseline alone."""
    before, after = np.zeros(rows, np.bool_), np.zeros(rows, np.bool_)
    after[:gained] = True
    before[gained : gained + lost] = True
    change = paired_share(before, after, Units.of(rows), 0.95).scaled(100)
    summary = {"coverage": {"evaluable": rows}, "deltas": {"error_rate": {"percentage_points": estimate(change)}}}
    found: str = verdict(criteria(NO_LOSS), summary, look)["verdict"]
    return found


@given(st.data())
def test_a_sample_that_shows_a_loss_of_the_margin_or_more_never_passes(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 5_000))
    lost = data.draw(st.integers(0, rows // 4))
    least = lost + -(-rows // 100)
    gained = data.draw(st.integers(min(least, rows - lost), rows - lost))
    look = data.draw(st.integers(0, 50))
    if gained - lost >= rows / 100:
        assert of_changes(gained, lost, rows, look) != "pass"


def drawn(rng: np.random.Generator, rows: int, loss: float) -> tuple[int, int]:
    """Failures of either side alone: 2 % of rows fail under the baseline alone, `loss` more under the candidate."""
    gained, lost, _ = rng.multinomial(rows, [0.02 + loss, 0.02, 0.96 - loss])
    return int(gained), int(lost)


@pytest.mark.parametrize("rows", [100, 300, 1_000, 3_000, 10_000])
def test_a_loss_beyond_the_margin_passes_in_no_more_than_the_nominal_share_of_samples(rows: int) -> None:
    rng = np.random.default_rng(rows)
    found = [of_changes(*drawn(rng, rows, 0.015), rows) for _ in range(600)]
    assert found.count("pass") <= 0.05 * 600
    if rows == 10_000:
        assert found.count("fail") >= 0.5 * 600, "a verdict that is always open would pass this test too"


def test_over_all_looks_of_a_schedule_a_loss_beyond_the_margin_rarely_ever_passes() -> None:
    rng = np.random.default_rng(5)
    passed = sum(
        any(of_changes(*drawn(rng, 1_000, 0.015), 1_000, look) == "pass" for look in range(1, 15)) for _ in range(200)
    )
    assert passed <= 0.05 * 200


def test_at_the_margin_itself_all_looks_together_pass_in_no_more_than_the_nominal_share() -> None:
    rng = np.random.default_rng(6)
    passed = sum(
        any(of_changes(*drawn(rng, 2_000, 0.0100001), 2_000, look) == "pass" for look in range(1, 15))
        for _ in range(300)
    )
    assert passed <= 0.05 * 300
