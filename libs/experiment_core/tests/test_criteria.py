"""Success criteria: what is refused, and verdicts that rest on interval bounds."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from experiment_core.criteria import (
    METRICS,
    Criteria,
    Measured,
    Outcome,
    Predicate,
    at_confidence,
    evaluate,
    parse_criteria,
)
from experiment_core.intervals import NOTHING, UNKNOWN, Estimate, Interval, multinomial_difference
from routing_core.errors import InvalidConfig

CHEAPER = {"metric": "cost_delta_pct", "op": "<=", "value": -20}
SAFE = {"metric": "judge_worse_pct_upper_ci", "op": "<", "value": 10}
COST = Predicate("cost_delta_pct", "<=", -20.0)
WORSE = Predicate("judge_worse_pct_upper_ci", "<=", 10.0)


def test_documented_criteria_are_read() -> None:
    similar = {"metric": "similarity_pct_above_threshold", "op": ">=", "value": 80, "params": {"threshold": 0.9}}
    doc = {"logic": "or", "min_sample_size": 500, "predicates": [CHEAPER, SAFE, similar]}
    found = parse_criteria(doc)
    assert (found.logic, found.min_sample_size) == ("or", 500)
    assert found.predicates[0] == COST
    assert found.predicates[2].words() == "similarity_pct_above_threshold at threshold 0.9 >= 80"


def test_defaults_and_other_spellings_of_an_operator() -> None:
    found = parse_criteria({"predicates": [{**CHEAPER, "op": "lte"}]})
    assert found == Criteria("and", 100, (COST,))
    near = parse_criteria({"predicates": [{"metric": "similarity_pct_above_threshold", "op": "gt", "value": 80}]})
    assert near.predicates[0].params == (("threshold", 0.85),)


@pytest.mark.parametrize(
    ("doc", "where", "words"),
    [
        pytest.param(None, "", "expected an object", id="null"),
        pytest.param([], "", "expected an object", id="a list"),
        pytest.param({}, ".predicates", "missing", id="nothing"),
        pytest.param({"predicates": []}, ".predicates", "at least 1", id="no predicate"),
        pytest.param({"predicates": [CHEAPER] * 21}, ".predicates", "at most 20", id="too many"),
        pytest.param({"predicates": [CHEAPER, CHEAPER]}, ".predicates[1]", "same", id="twice"),
        pytest.param({"predicates": [CHEAPER], "logic": "xor"}, ".logic", "none of and, or", id="logic"),
        pytest.param({"predicates": [CHEAPER], "min_sample_size": 0}, ".min_sample_size", "between", id="sample 0"),
        pytest.param({"predicates": [CHEAPER], "min_sample_size": 1.5}, ".min_sample_size", "whole", id="sample 1.5"),
        pytest.param({"predicates": [CHEAPER], "minSampleSize": 9}, ".minSampleSize", "unknown", id="unknown field"),
        pytest.param({"predicates": ["cost"]}, ".predicates[0]", "expected an object", id="text"),
        pytest.param({"predicates": [{**CHEAPER, "metric": "cost"}]}, ".predicates[0].metric", "none of", id="metric"),
        pytest.param({"predicates": [{**CHEAPER, "op": "=="}]}, ".predicates[0].op", "none of", id="operator"),
        pytest.param({"predicates": [{**CHEAPER, "value": "5"}]}, ".predicates[0].value", "number", id="text value"),
        pytest.param({"predicates": [{**CHEAPER, "value": True}]}, ".predicates[0].value", "number", id="a flag"),
        pytest.param({"predicates": [{**CHEAPER, "value": 10**400}]}, ".predicates[0].value", "between", id="huge"),
        pytest.param(
            {"predicates": [{**CHEAPER, "value": float("nan")}]}, ".predicates[0].value", "between", id="not a number"
        ),
        pytest.param({"predicates": [{**SAFE, "value": 101}]}, ".predicates[0].value", "between", id="above 100 %"),
        pytest.param(
            {"predicates": [{**CHEAPER, "params": {"threshold": 0.9}}]},
            ".predicates[0].params.threshold",
            "unknown",
            id="a parameter of another metric",
        ),
        pytest.param(
            {
                "predicates": [
                    {"metric": "similarity_pct_above_threshold", "op": ">", "value": 1, "params": {"threshold": 2}}
                ]
            },
            ".predicates[0].params.threshold",
            "between",
            id="threshold 2",
        ),
    ],
)
def test_refusals_name_the_field(doc: object, where: str, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words) as refused:
        parse_criteria(doc)
    assert refused.value.where == f"successCriteria{where}"


def test_a_near_miss_is_suggested() -> None:
    with pytest.raises(InvalidConfig) as refused:
        parse_criteria({"predicates": [{**CHEAPER, "metric": "cost_delta"}]})
    assert refused.value.hint == "Did you mean 'cost_delta_pct'?"


KEYS = ("logic", "predicates", "metric", "op", "value", "params", "min_sample_size")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | st.sampled_from(sorted(METRICS)),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["logic", "predicates", "metric", "op", "value", "params", "min_sample_size"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(json_values)
def test_any_document_is_read_or_refused_with_a_path(doc: object) -> None:
    try:
        found = parse_criteria(doc)
    except InvalidConfig as refused:
        assert refused.where.startswith("successCriteria")  # noqa: PT017
    else:
        assert found.predicates


def measured(lower: float | None, value: float | None, upper: float | None, n: int = 1000) -> Measured:
    return Measured(Estimate(value, Interval(lower, upper)), n)


MET, BROKEN, OPEN = measured(-40, -30, -25), measured(-5, 0, 5), measured(-30, -22, -15)
FINE, BAD, UNSURE = measured(4, 6, 8), measured(15, 20, 25), measured(8, 9, 12)
AND: list[tuple[Measured, Measured, Outcome, Outcome]] = [
    (MET, FINE, "pass", "pass"),
    (MET, BAD, "fail", "pass"),
    (BROKEN, BAD, "fail", "fail"),
    (OPEN, FINE, "inconclusive", "pass"),
    (OPEN, BAD, "fail", "inconclusive"),
    (OPEN, UNSURE, "inconclusive", "inconclusive"),
]


@pytest.mark.parametrize(("cost", "worse", "both", "either"), AND)
def test_logic_has_three_values(cost: Measured, worse: Measured, both: Outcome, either: Outcome) -> None:
    given = {COST: cost, WORSE: worse}
    assert evaluate(Criteria("and", 100, (COST, WORSE)), given).verdict == both
    assert evaluate(Criteria("or", 100, (COST, WORSE)), given).verdict == either
    assert evaluate(Criteria("and", 100, (WORSE, COST)), given).verdict == both


def test_the_upper_bound_decides_not_the_value_between() -> None:
    found = evaluate(Criteria("and", 100, (WORSE,)), {WORSE: UNSURE})
    assert found.verdict == "inconclusive"
    assert found.findings[0].reason == "judge_worse_pct_upper_ci <= 10 is open: 9 [8, 12]"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        pytest.param({}, "was not measured", id="not measured"),
        pytest.param({WORSE: Measured(NOTHING, 1000)}, "was not measured", id="nothing to measure"),
        pytest.param({WORSE: measured(4, 6, 8, 99)}, "99 rows, fewer than the 100", id="too small a sample"),
        pytest.param({WORSE: Measured(Estimate(5.0, UNKNOWN), 1000)}, "is open", id="no interval"),
    ],
)
def test_what_is_not_known_is_inconclusive(given: dict[Predicate, Measured], words: str) -> None:
    found = evaluate(Criteria("and", 100, (WORSE,)), given)
    assert found.verdict == "inconclusive"
    assert words in found.findings[0].reason


@pytest.mark.parametrize(("margin", "verdict"), [(1.0, "inconclusive"), (2.0, "inconclusive"), (5.0, "pass")])
def test_a_loss_of_a_point_and_a_half_never_passes_a_margin_of_one(margin: float, verdict: Outcome) -> None:
    """Real upgrade: of 1,700 requests 80 better, 105 worse; the bound of the loss is 3.04 points."""
    kept = Predicate("run_success_delta_pct", ">", -margin)
    real = Measured(multinomial_difference(80, 105, 1700).scaled(100), 1700)
    assert evaluate(Criteria("and", 100, (kept,)), {kept: real}).verdict == verdict
    assert evaluate(Criteria("and", 100, (kept,)), {kept: real}, look=3, planned=None).verdict in (
        verdict,
        "inconclusive",
    )


def test_more_looks_need_stronger_evidence() -> None:
    just = {COST: measured(-30, -25, -19.9999 - 0.0002)}
    alone = Criteria("and", 100, (COST,))
    assert evaluate(alone, just).verdict == "pass"
    assert evaluate(alone, just, look=1, planned=10).verdict == "inconclusive"
    assert evaluate(alone, just, look=5, planned=None).verdict == "inconclusive"
    assert evaluate(alone, just, look=10, planned=10).confidence == pytest.approx(0.995)
    with pytest.raises(ValueError, match="plan more"):
        evaluate(alone, just, look=11, planned=10)


def test_one_broken_predicate_of_many_is_held_to_the_number_of_them() -> None:
    barely = measured(10.01, 13, 16)
    assert evaluate(Criteria("and", 100, (WORSE,)), {WORSE: barely}).verdict == "fail"
    both = evaluate(Criteria("and", 100, (WORSE, COST)), {WORSE: barely, COST: MET})
    assert both.verdict == "inconclusive"
    passing = measured(4, 7, 9.99)
    assert evaluate(Criteria("and", 100, (WORSE, COST)), {WORSE: passing, COST: MET}).verdict == "pass"


def test_the_bonferroni_quantile_of_four_meets_the_reference() -> None:
    found = at_confidence(Estimate(0.0, Interval(-1.959963984540054, 1.959963984540054)), 1 - 0.05 / 4)
    assert found.interval.upper == pytest.approx(2.497705, abs=1e-6)
    assert found.interval.lower == pytest.approx(-2.497705, abs=1e-6)


@given(
    st.sampled_from(["and", "or"]),
    st.lists(st.tuples(st.floats(-90, 90), st.floats(0.1, 40)), min_size=1, max_size=4),
)
def test_more_certainty_never_turns_a_verdict_round(logic: str, metrics: list[tuple[float, float]]) -> None:
    predicates = tuple(Predicate("cost_delta_pct", "<=", float(index)) for index in range(len(metrics)))
    criteria = parse_criteria(
        {"logic": logic, "predicates": [{"metric": p.metric, "op": p.op, "value": p.value} for p in predicates]}
    )
    given = {p: measured(v - w, v, v + w) for p, (v, w) in zip(predicates, metrics, strict=True)}
    now, later = evaluate(criteria, given).verdict, evaluate(criteria, given, look=2, planned=5).verdict
    assert later in (now, "inconclusive")


def test_every_metric_can_be_judged() -> None:
    for metric, op in product(METRICS, ("<", ">")):
        found = parse_criteria({"predicates": [{"metric": metric, "op": op, "value": 50}]})
        given = {found.predicates[0]: measured(10, 20, 30)}
        assert evaluate(found, given).verdict == ("pass" if op == "<" else "fail")
