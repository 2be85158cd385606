"""Conditions on what an experiment found."""

from __future__ import annotations

import math
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))

from experiment_server import record, replayed

from modelux_cli.criteria import METRICS, Condition, holding, measured, parse
from routing_core.errors import ModeluxError

FOUND: dict[str, Any] = {
    "deltas": {
        "cost_usd": {"percent": {"value": -40.0, "lower": -42.5, "upper": None}},
        "error_rate": {"percentage_points": {"value": 0.25, "lower": -0.1, "upper": 0.6}},
    },
    "coverage": {"evaluable": 400, "share": 0.98},
    "runs": None,
}


@pytest.mark.parametrize(
    ("written", "held"),
    [
        (["cost_delta_pct > 5"], []),
        (["cost_delta_pct>-50"], ["cost_delta_pct > -50 (it is -40)"]),
        (["error_rate_delta_pp >= 0.25"], ["error_rate_delta_pp >= 0.25 (it is 0.25)"]),
        (["error_rate_delta_pp_upper > .5"], ["error_rate_delta_pp_upper > 0.5 (it is 0.6)"]),
        (["requests < 100 and cost_delta_pct < 0"], []),
        (
            ["requests < 500 AND cost_delta_pct < 0"],
            ["requests < 500 (it is 400) and cost_delta_pct < 0 (it is -40)"],
        ),
        (["requests < 100, coverage_pct != 100"], ["coverage_pct != 100 (it is 98)"]),
        (["requests == 400", "coverage_pct <= 98."], ["requests == 400 (it is 400)", "coverage_pct <= 98 (it is 98)"]),
    ],
)
def test_conditions_that_hold_are_told_with_what_was_found(written: list[str], held: list[str]) -> None:
    assert list(holding(parse(written), FOUND)) == held


@pytest.mark.parametrize("metric", ["cost_delta_pct_upper", "run_cost_delta_pct", "reproduced_pct"])
def test_what_is_not_known_counts_as_holding(metric: str) -> None:
    assert list(holding(parse([f"{metric} > 1"]), FOUND)) == [f"{metric} > 1 (it is not known)"]
    assert list(holding(parse([f"{metric} > 1 and requests < 1"]), FOUND)) == []


@pytest.mark.parametrize(
    "written",
    ["", ",", "cost_delta_pct", "> 5", "cost_delta_pct > ", "cost_delta_pct > five", "cost_delta_pct = 5",
     "cost_delta_pct > 5 and", "cost_delta_pct > 5 or requests < 1", "cost_delta_pct > 1e5", "cost_delta_pct > nan",
     "__import__('os') > 1", "cost_delta_pct > 5; requests < 1", "cost_delta_pct > ٥"],
)  # fmt: skip
def test_what_is_no_condition_is_told_with_an_example(written: str) -> None:
    with pytest.raises(ModeluxError, match="is no condition") as refused:
        parse([written])
    assert (refused.value.code, "'cost_delta_pct > 5'" in refused.value.hint) == ("usage", True)


def test_an_unknown_metric_is_told_with_those_there_are() -> None:
    with pytest.raises(ModeluxError, match="there is no metric 'price'") as refused:
        parse(["price > 5"])
    assert all(name in refused.value.hint for name in METRICS)


@given(st.text(max_size=200))
def test_any_text_is_conditions_on_known_metrics_or_refused(text: str) -> None:
    with suppress(ModeluxError):
        assert all(condition.metric in METRICS for criterion in parse([text]) for condition in criterion)


@given(
    st.sampled_from(["<", "<=", ">", ">=", "==", "!="]),
    st.floats(-1e6, 1e6).map(lambda number: round(number, 3)),
)
def test_a_sign_and_its_opposite_never_both_hold(sign: str, number: float) -> None:
    opposite = {"<": ">=", "<=": ">", ">": "<=", ">=": "<", "==": "!=", "!=": "=="}[sign]
    assert Condition("cost_delta_pct", sign, number).holds(FOUND) is not Condition(
        "cost_delta_pct", opposite, number
    ).holds(FOUND)


def test_every_metric_is_found_in_what_the_service_sums_up() -> None:
    found = record(summary=replayed())
    unknown = {name for name in METRICS if measured(found, name) is None}
    assert unknown == {f"p{q}_latency_delta_pct_{end}" for q in (95, 99) for end in ("lower", "upper")}, (
        "400 requests in 40 runs are too few for the bounds of a tail"
    )
    assert math.isclose(measured(found, "cost_delta_pct") or 0, -40, abs_tol=0.01)
    assert measured(found, "run_cost_delta_pct") == pytest.approx(-40, abs=0.01)
    assert measured(found, "reproduced_pct") == 100.0


def test_the_guide_names_every_metric() -> None:
    guide = (Path(__file__).parents[2] / "docs/experiments.md").read_text()
    names = {name.removesuffix("_lower").removesuffix("_upper") for name in METRICS}
    assert {name for name in names if f"`{name}`" not in guide} == set()
