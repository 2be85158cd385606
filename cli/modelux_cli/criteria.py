"""Conditions on what an experiment found, such as `cost_delta_pct > 5`: read them, and say which hold."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from routing_core.errors import ModeluxError

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Condition:
    """One comparison of a metric with a number."""

    metric: str
    sign: str
    number: float

    def holds(self, experiment: Row) -> bool:
        """A metric that is not known counts as holding: a gate that knows nothing must not open."""
        value = measured(experiment, self.metric)
        return value is None or _SIGNS[self.sign](value, self.number)

    def told(self, experiment: Row) -> str:
        """What it asks for, and what was found."""
        value = measured(experiment, self.metric)
        found = "not known" if value is None else f"{value:.6g}"
        return f"{self.metric} {self.sign} {self.number:g} (it is {found})"


Criterion = tuple[Condition, ...]
"""Conditions that hold together."""


def parse(written: Sequence[str]) -> tuple[Criterion, ...]:
    """`and` joins conditions that must hold together; a comma or another text begins a new one. Raises ModeluxError."""
    texts = [each for text in written for each in text.split(",")]
    return tuple(tuple(_condition(part) for part in _AND.split(text)) for text in texts)


def holding(criteria: Sequence[Criterion], experiment: Row) -> Iterator[str]:
    """Those that hold of an experiment, in words."""
    for criterion in criteria:
        if all(condition.holds(experiment) for condition in criterion):
            yield " and ".join(condition.told(experiment) for condition in criterion)


def measured(experiment: Row, metric: str) -> float | None:
    """A metric of a completed experiment. None: not known."""
    path, factor = METRICS[metric]
    found: Any = experiment
    for name in path.split("."):
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else float(found) * factor


def _condition(text: str) -> Condition:
    found = _CONDITION.fullmatch(text.strip())
    if found is None:
        hint = "Write METRIC OP NUMBER, such as 'cost_delta_pct > 5'; OP is one of < <= > >= == !=."
        raise ModeluxError("usage", f"{text.strip()!r} is no condition", hint=hint)
    metric, sign, number = found.groups()
    if metric not in METRICS:
        raise ModeluxError("usage", f"there is no metric {metric!r}", hint=f"There are: {', '.join(METRICS)}.")
    return Condition(metric, sign, float(number))


def _with_bounds(name: str, path: str) -> dict[str, tuple[str, float]]:
    ends = {"": "value", "_lower": "lower", "_upper": "upper"}
    return {f"{name}{ending}": (f"{path}.{key}", 1.0) for ending, key in ends.items()}


METRICS: Mapping[str, tuple[str, float]] = {
    **_with_bounds("cost_delta_pct", "deltas.cost_usd.percent"),
    **_with_bounds("p50_latency_delta_pct", "deltas.p50_latency_ms.percent"),
    **_with_bounds("p95_latency_delta_pct", "deltas.p95_latency_ms.percent"),
    **_with_bounds("p99_latency_delta_pct", "deltas.p99_latency_ms.percent"),
    **_with_bounds("error_rate_delta_pp", "deltas.error_rate.percentage_points"),
    **_with_bounds("output_tokens_delta_pct", "deltas.output_tokens.percent"),
    **_with_bounds("projected_cost_delta_pct", "projection.cost_percent"),
    **_with_bounds("run_cost_delta_pct", "runs.metrics.cost_usd.percent"),
    "run_cost_delta_pct": ("runs.cost_percent", 1.0),
    **_with_bounds("run_success_delta_pp", "runs.metrics.success.percentage_points"),
    "requests": ("coverage.evaluable", 1.0),
    "coverage_pct": ("coverage.share", 100.0),
    "cost_coverage_pct": ("coverage.cost_weighted", 100.0),
    "rerouted_pct": ("coverage.rerouted.value", 100.0),
    "reproduced_pct": ("self_check.share", 100.0),
}
"""Where an experiment holds each metric, and what it is multiplied by. `_lower`, `_upper`: of its 95 % interval."""
_SIGNS: Mapping[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    ">": operator.gt,
}
_CONDITION = re.compile(r"(\w{1,64})\s*(<=|>=|==|!=|<|>)\s*([+-]?(?:\d{1,15}(?:\.\d{0,15})?|\.\d{1,15}))", re.ASCII)
_AND = re.compile(r"\band\b", re.IGNORECASE)
