"""Judge an experiment by its success criteria, on the intervals that its summary tells."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, cast

from experiment_core.criteria import (
    Criteria,
    Evaluation,
    Finding,
    Measured,
    Outcome,
    Predicate,
    evaluate,
    parse_criteria,
)
from experiment_core.intervals import Estimate, Interval
from modelux_contracts.refusals import FieldError, invalid
from routing_core.errors import ModeluxError

FIELD = "successCriteria"
ALPHA = 0.05
"""Chance of a wrong verdict: of a one-off experiment, and of all runs of a schedule together."""
_CALLED = {
    "similarity_pct_above_threshold": "mode 'with_responses'",
    "judge_worse_pct_upper_ci": "mode 'with_responses', followed by a judge run",
}
"""Metrics that no replay without calls measures, and what does."""
_WORDS: Mapping[Outcome, str] = {"pass": "Pass", "fail": "Fail", "inconclusive": "Inconclusive"}
_ENDS = {"failed": "failed", "cancelled": "was cancelled"}
_DECIDED_BY: Mapping[Outcome, str] = {"pass": "met", "fail": "refuted", "inconclusive": "undecided"}

Doc = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Ended:
    """How an experiment ended. `summary` is JSON; empty: there is none. `judged`: the summary of its judge run."""

    status: str
    reason: str = ""
    summary: str = field(default="", repr=False)
    judged: Doc | None = field(default=None, repr=False)
    note: str = ""
    """What is to be said beside, such as why there is no judge run."""


@dataclass(frozen=True, slots=True)
class Concluded:
    """pass, fail or inconclusive; empty without criteria. `facts_json` is what the REST API shows."""

    verdict: str = ""
    sentence: str = ""
    facts_json: str = field(default="", repr=False)


def read_criteria(document: bytes, mode: str) -> Criteria | None:
    """None without any. Raises a 422 problem with the path of the fault, also for what the mode never measures."""
    if not document:
        return None
    try:
        found = parse_criteria(json.loads(document), FIELD)
    except (ValueError, RecursionError) as error:
        raise invalid(FieldError(FIELD, f"is not JSON: {error}")) from error
    except ModeluxError as error:
        raise invalid(FieldError(error.where, error.message, error.hint), code=error.code) from error
    for index, each in enumerate(found.predicates):
        if mode == "routing_only" and each.metric in _CALLED:
            message = f"{each.metric} is measured by {_CALLED[each.metric]} alone"
            raise invalid(FieldError(f"{FIELD}.predicates[{index}].metric", message, "Change mode, or remove it."))
    return found


def thresholds(document: bytes) -> tuple[float, ...]:
    """From where on answers agree, for each criterion of similarity. `document` was read before."""
    if not document:
        return ()
    found = parse_criteria(json.loads(document), FIELD)
    named = [dict(each.params).get("threshold") for each in found.predicates]
    return tuple(dict.fromkeys(each for each in named if each is not None))


def judged(criteria: Criteria) -> bool:
    """Whether they ask for what a judge says."""
    return any(each.metric == "judge_worse_pct_upper_ci" for each in criteria.predicates)


def asks_a_judge(document: bytes) -> bool:
    """The same of criteria as they are stored."""
    return bool(document) and judged(parse_criteria(json.loads(document), FIELD))


def conclude(document: bytes, look: int, ended: Ended) -> Concluded:
    """The verdict of an experiment that has ended. `look`: its place among the runs of its schedule; 0: of none.

    The looks of a schedule share `ALPHA`, whatever became of the runs before. Without a summary nothing was measured,
    and the verdict is inconclusive.
    """
    if not document:
        return Concluded()
    criteria = parse_criteria(json.loads(document), FIELD)
    summary: Doc = json.loads(ended.summary) if ended.summary else {}
    measured = measure(criteria, summary, ended.judged)
    found = evaluate(criteria, measured, look or 1, None if look else 1, ALPHA)
    sentence = _sentence(found, ended)
    facts = {
        "verdict": found.verdict,
        "sentence": sentence,
        "logic": criteria.logic,
        "min_sample_size": criteria.min_sample_size,
        "look": look or 1,
        "confidence": found.confidence,
        "predicates": [_facts(each, measured.get(each.predicate)) for each in found.findings],
    }
    return Concluded(found.verdict, sentence, json.dumps(facts, separators=(",", ":"), allow_nan=False))


def measure(criteria: Criteria, summary: Doc, judge: Doc | None) -> dict[Predicate, Measured]:
    """What a summary tells of each predicate's metric; without those that it does not tell."""
    found = {}
    for each in criteria.predicates:
        measured = (
            judge_worse(judge) if each.metric == "judge_worse_pct_upper_ci" else _READ[each.metric](summary, each)
        )
        if measured is not None:
            found[each] = measured
    return found


def judge_worse(judge: Doc | None) -> Measured | None:
    """The share of the traffic judged worse, in percent."""
    traffic = (judge or {}).get("traffic") or {}
    worse = traffic.get("worse")
    return _measured(worse, cast(Doc, judge).get("judged_count", 0), 100.0) if worse else None


def _delta(name: str, unit: str) -> Callable[[Doc, Predicate], Measured | None]:
    def read(summary: Doc, predicate: Predicate) -> Measured | None:
        delta = (summary.get("deltas") or {}).get(name) or {}
        return _measured(delta.get(unit), _rows(summary))

    return read


def _cost(summary: Doc, predicate: Predicate) -> Measured | None:
    """With what is not known of a projected candidate's tokens, independent of which rows the window held."""
    found = _delta("cost_usd", "percent")(summary, predicate)
    projected = (summary.get("projection") or {}).get("cost_percent")
    if found is None or projected is None or found.estimate.value is None:
        return found
    value, lower, upper = (projected[name] for name in ("value", "lower", "upper"))
    return Measured(_widened(found.estimate, _distance(value, lower), _distance(value, upper)), found.n)


def _similarity(summary: Doc, predicate: Predicate) -> Measured | None:
    wanted = dict(predicate.params)["threshold"]
    for each in (summary.get("similarity") or {}).get("agreement_at", ()):
        if each["threshold"] == wanted:
            return _measured(each, each["scored"], 100.0)
    return None


def _run_success(summary: Doc, predicate: Predicate) -> Measured | None:
    runs = summary.get("runs") or {}
    success = (runs.get("metrics") or {}).get("success") or {}
    return _measured(success.get("percentage_points"), runs.get("count", 0))


_READ: Mapping[str, Callable[[Doc, Predicate], Measured | None]] = {
    "cost_delta_pct": _cost,
    "p50_latency_delta_pct": _delta("p50_latency_ms", "percent"),
    "p95_latency_delta_pct": _delta("p95_latency_ms", "percent"),
    "error_rate_delta_pct": _delta("error_rate", "percentage_points"),
    "similarity_pct_above_threshold": _similarity,
    "run_success_delta_pct": _run_success,
}


def _rows(summary: Doc) -> int:
    return int((summary.get("coverage") or {}).get("evaluable", 0))


def _measured(told: Doc | None, n: int, scale: float = 1.0) -> Measured | None:
    if told is None or told.get("value") is None:
        return None
    found = Estimate(told["value"], Interval(told.get("lower"), told.get("upper")))
    return Measured(found.scaled(scale), n)


def _distance(value: float | None, bound: float | None) -> float | None:
    return None if value is None or bound is None else abs(value - bound)


def _widened(found: Estimate, below: float | None, above: float | None) -> Estimate:
    """Each side by an independent error; a side whose error nobody knows has no bound."""
    value, interval = cast(float, found.value), found.interval

    def bound(own: float | None, further: float | None, sign: int) -> float | None:
        return None if own is None or further is None else value + sign * math.hypot(own - value, further)

    return Estimate(value, Interval(bound(interval.lower, below, -1), bound(interval.upper, above, 1)))


def _facts(found: Finding, measured: Measured | None) -> dict[str, object]:
    predicate, estimate = found.predicate, found.estimate
    return {
        "metric": predicate.metric,
        "op": predicate.op,
        "value": predicate.value,
        "params": dict(predicate.params),
        "outcome": found.decision,
        "observed": estimate.value if estimate else None,
        "lower": estimate.interval.lower if estimate else None,
        "upper": estimate.interval.upper if estimate else None,
        "n": measured.n if measured else 0,
        "sentence": found.reason,
    }


def _sentence(found: Evaluation, ended: Ended) -> str:
    """The verdict and what decided it, in plain English."""
    if not ended.summary:
        reason = f": {ended.reason}" if ended.reason else "."
        return f"Inconclusive: the experiment {_ENDS.get(ended.status, ended.status)}{reason}"
    told = [each.reason for each in found.findings if each.decision == _DECIDED_BY[found.verdict]]
    stopped = " It was stopped early." if ended.status == "cancelled" else ""
    note = f" {ended.note}" if ended.note else ""
    return f"{_WORDS[found.verdict]}: {'; '.join(told)}.{stopped}{note}"
