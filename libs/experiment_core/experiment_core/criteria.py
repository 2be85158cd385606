"""Success criteria of an experiment: read them strictly, and decide them on interval bounds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from experiment_core.distributions import z
from experiment_core.intervals import Estimate, Interval
from experiment_core.sequential import Decision, Threshold, spent
from routing_core.reading import Node

Logic = Literal["and", "or"]
Outcome = Literal["pass", "fail", "inconclusive"]
MOST_PREDICATES = 20
LEAST_SAMPLE, MOST_SAMPLE = 1, 1_000_000
DEFAULT_SAMPLE = 100
_LOGIC: tuple[Logic, ...] = ("and", "or")


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric that criteria can name: what it measures, what values make sense, and which parameters it takes."""

    meaning: str
    least: float
    most: float
    params: Mapping[str, tuple[float, float, float]]
    """By name: least, most and default."""


METRICS: Mapping[str, Measure] = {
    "cost_delta_pct": Measure("change of the cost, % of the baseline's", -100, 10_000, {}),
    "p50_latency_delta_pct": Measure("change of the median latency, %", -100, 10_000, {}),
    "p95_latency_delta_pct": Measure("change of the 95th percentile of the latency, %", -100, 10_000, {}),
    "error_rate_delta_pct": Measure("change of the error rate, percentage points", -100, 100, {}),
    "similarity_pct_above_threshold": Measure(
        "share of scored pairs at or above params.threshold, %", 0, 100, {"threshold": (0.0, 1.0, 0.85)}
    ),
    "judge_worse_pct_upper_ci": Measure("share of the traffic judged worse, %", 0, 100, {}),
    "run_success_delta_pct": Measure(
        "change of the share of agent runs that succeed, percentage points", -100, 100, {}
    ),
}
OPERATORS: Mapping[str, tuple[bool, bool]] = {
    "<": (True, False),
    "<=": (True, True),
    ">": (False, False),
    ">=": (False, True),
}
"""Whether the quantity is to be below, and whether the value itself will do."""
_ALIASES = {"lt": "<", "lte": "<=", "gt": ">", "gte": ">="}


@dataclass(frozen=True, slots=True)
class Predicate:
    """One claim about one metric."""

    metric: str
    op: str
    value: float
    params: tuple[tuple[str, float], ...] = ()

    @property
    def threshold(self) -> Threshold:
        return Threshold(self.value, *OPERATORS[self.op])

    def words(self) -> str:
        given = "".join(f" at {name} {value:g}" for name, value in self.params)
        return f"{self.metric}{given} {self.op} {self.value:g}"


@dataclass(frozen=True, slots=True)
class Criteria:
    """What an experiment must show."""

    logic: Logic
    min_sample_size: int
    predicates: tuple[Predicate, ...]


def parse_criteria(doc: object, path: str = "successCriteria") -> Criteria:
    """Read `{"logic": "and", "min_sample_size": 100, "predicates": [{"metric", "op", "value", "params"}]}`.

    Raises InvalidConfig with the field's path, for instance `successCriteria.predicates[1].op`.
    """
    found = Node(doc, path).fields(("logic", "min_sample_size", "predicates"), required=("predicates",))
    logic = found["logic"].choice(_LOGIC) if "logic" in found else "and"
    sample = (
        found["min_sample_size"].integer(LEAST_SAMPLE, MOST_SAMPLE) if "min_sample_size" in found else DEFAULT_SAMPLE
    )
    items = found["predicates"].items(1, MOST_PREDICATES)
    predicates: list[Predicate] = []
    for item in items:
        predicate = _predicate(item)
        if predicate in predicates:
            raise item.error("says the same as one before it", "Remove it.")
        predicates.append(predicate)
    return Criteria(cast(Logic, logic), sample, tuple(predicates))


@dataclass(frozen=True, slots=True)
class Measured:
    """What an experiment found for one predicate's metric: a 95 % interval, in the metric's unit, and its sample."""

    estimate: Estimate
    n: int


@dataclass(frozen=True, slots=True)
class Finding:
    """How one predicate came out, on which interval."""

    predicate: Predicate
    decision: Decision
    estimate: Estimate | None
    """At the confidence of this look; None where the metric was not measured."""
    reason: str


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The verdict and what it rests on."""

    verdict: Outcome
    findings: tuple[Finding, ...]
    confidence: float
    """Of the intervals that a pass rests on."""


def evaluate(
    criteria: Criteria,
    measured: Mapping[Predicate, Measured],
    look: int = 1,
    planned: int | None = 1,
    alpha: float = 0.05,
) -> Evaluation:
    """Decide on interval bounds: pass when they show the criteria met, fail when they show them broken, else neither.

    So `cost_delta_pct <= -20` passes when the whole interval lies at or below -20, and `<= 1` with a loss as the metric
    is a test of non-inferiority. The `look`-th of `planned` looks (None: without an end) spends its part of `alpha`.
    Where one predicate alone can turn the verdict (a broken one of an AND, a met one of an OR) its interval is
    corrected for the number of predicates too (Bonferroni); where all must agree there is nothing to correct.
    """
    part = spent(alpha, look, planned)
    if part <= 0:
        raise ValueError(f"look {look} comes after the {planned} that were planned: plan more, or none")
    joint, single = 1 - part, 1 - part / len(criteria.predicates)
    findings = tuple(_finding(each, measured.get(each), criteria, joint, single) for each in criteria.predicates)
    return Evaluation(_verdict(criteria.logic, [each.decision for each in findings]), findings, joint)


def at_confidence(estimate: Estimate, confidence: float) -> Estimate:
    """A 95 % interval stretched to another confidence, each side by the ratio of normal quantiles."""
    value = estimate.value
    if value is None or confidence == 0.95:
        return estimate
    factor = z(confidence) / z(0.95)
    return Estimate(value, estimate.interval.scaled(factor, (1 - factor) * value))


def _verdict(logic: Logic, decisions: Sequence[Decision]) -> Outcome:
    """Kleene's three values: an undecided predicate matters only where the others leave the verdict open."""
    turning, ending = ("refuted", "met") if logic == "and" else ("met", "refuted")
    outcome: Mapping[str, Outcome] = {"met": "pass", "refuted": "fail"}
    if turning in decisions:
        return outcome[turning]
    return outcome[ending] if all(each == ending for each in decisions) else "inconclusive"


def _finding(
    predicate: Predicate, measured: Measured | None, criteria: Criteria, joint: float, single: float
) -> Finding:
    if measured is None or measured.estimate.value is None:
        return Finding(predicate, "undecided", None, f"{predicate.metric} was not measured by this run")
    if measured.n < criteria.min_sample_size:
        text = f"{predicate.metric} rests on {measured.n:,} rows, fewer than the {criteria.min_sample_size:,} required"
        return Finding(predicate, "undecided", at_confidence(measured.estimate, joint), text)
    turning = "refuted" if criteria.logic == "and" else "met"
    found = at_confidence(measured.estimate, joint)
    decision = predicate.threshold.decide(found.interval)
    if decision == turning:
        found = at_confidence(measured.estimate, single)
        decision = predicate.threshold.decide(found.interval)
    return Finding(predicate, decision, found, _reason(predicate, decision, found))


def _reason(predicate: Predicate, decision: Decision, found: Estimate) -> str:
    verb = {"met": "holds", "refuted": "is broken", "undecided": "is open"}[decision]
    return f"{predicate.words()} {verb}: {found.value:.4g} {_shown(found.interval)}"


def _shown(interval: Interval) -> str:
    low, high = ("unknown" if bound is None else f"{bound:.4g}" for bound in (interval.lower, interval.upper))
    return f"[{low}, {high}]"


def _predicate(node: Node) -> Predicate:
    found = node.fields(("metric", "op", "value", "params"), required=("metric", "op", "value"))
    metric = found["metric"].choice(tuple(METRICS))
    measure = METRICS[metric]
    value = found["value"].number(measure.least, measure.most)
    params = found["params"].fields(tuple(measure.params)) if "params" in found else {}
    bound = tuple(
        (name, params[name].number(least, most) if name in params else default)
        for name, (least, most, default) in measure.params.items()
    )
    op = found["op"].choice((*OPERATORS, *_ALIASES))
    return Predicate(metric, _ALIASES.get(op, op), value, bound)
