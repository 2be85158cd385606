"""Say what a summary found in one plain sentence."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import NamedTuple

from experiment_core.answers import Answers
from experiment_core.intervals import Estimate
from experiment_core.summary import Summary


class Words(NamedTuple):
    """How a metric is told: its name, and the words for less and for more of it."""

    name: str
    less: str
    more: str
    unit: str = "%"


METRICS: Mapping[str, Words] = {
    "cost_nano": Words("cost", "cheaper", "dearer"),
    "latency_p50_ms": Words("p50", "p50 faster", "p50 slower"),
    "latency_p95_ms": Words("p95", "p95 faster", "p95 slower"),
    "error_rate": Words("error rate", "error rate lower", "error rate higher", "pp"),
}


def sentence(summary: Summary, answers: Answers | None = None) -> str:
    """For instance "cheaper by 57 % [55, 59]; p95 change not distinguishable; 73 % [70, 76] agree at 0.85".

    Where the logged model was asked again, agreement is told beside its own.
    """
    if summary.coverage.evaluable == 0:
        return "nothing to compare: no row of this window can be evaluated under the candidate"
    parts = [change_in_words(summary.deltas[metric].percent, words) for metric, words in METRICS.items()]
    agreement = summary.agreement
    if agreement.scored:
        parts.append(f"{amount(agreement.rate.scaled(100), '%')} agree at {agreement.threshold:g}")
    if answers is not None and answers.floor is not None:
        parts.append(excess_in_words(answers))
    return "; ".join(parts)


def excess_in_words(answers: Answers) -> str:
    """How the called pairs' disagreement compares with that of the logged model asked again."""
    floor = answers.floor
    assert floor is not None, "the caller has seen that there is one"
    rate = floor.scored.agreement.rate
    own = f"the logged model agrees with itself in {amount(rate.scaled(100), '%')}" if rate.value is not None else ""
    excess = floor.excess
    if excess.value is None:
        return own or "how far the logged model agrees with itself is unknown"
    if not excess.interval.excludes(0):
        return f"{own}, and disagreement beyond that is not distinguishable"
    if excess.value < 0:
        return f"{own}, and differs from itself more than the candidate from it"
    return f"{own}, so {amount(excess.scaled(100), 'pp')} of the called answers differ beyond its own noise"


def change_in_words(change: Estimate, words: Words) -> str:
    """One metric's change (in percent or points): told as a change only where its interval leaves 0 out."""
    value, lower, upper = change.value, change.interval.lower, change.interval.upper
    if value is None:
        return f"{words.name} change unknown"
    if value == lower == upper == 0:
        return f"{words.name} unchanged"
    if lower is None and upper is None:
        return f"too few rows to tell the {words.name} change"
    if not change.interval.excludes(0):
        return f"{words.name} change not distinguishable"
    return f"{words.less if value < 0 else words.more} by {amount(_positive(change), words.unit)}"


def amount(found: Estimate, unit: str) -> str:
    """A value with its interval, with as many decimals as the interval's width lets mean something."""
    value, lower, upper = found.value, found.interval.lower, found.interval.upper
    assert value is not None, "the caller has told what is unknown"
    width = max((abs(value - bound) for bound in (lower, upper) if bound is not None), default=0.0)
    exact = width <= 1e-6 * max(1.0, abs(value))
    decimals = 0 if width >= 1 or exact else min(4, math.ceil(-math.log10(width)))
    low, high = ("unknown" if bound is None else f"{bound:.{decimals}f}" for bound in (lower, upper))
    return f"{value:.{decimals}f} {unit} [{low}, {high}]"


def _positive(change: Estimate) -> Estimate:
    value, lower, upper = change.value, change.interval.lower, change.interval.upper
    if value is None or value >= 0:
        return change
    return Estimate(-value, type(change.interval)(None if upper is None else -upper, None if lower is None else -lower))
