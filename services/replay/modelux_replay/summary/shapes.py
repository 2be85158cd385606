"""Estimates, sides and deltas as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping

from experiment_core.intervals import Estimate
from experiment_core.sentence import METRICS, change_in_words
from experiment_core.summary import Delta, Route, SideSummary

Json = dict[str, object]
NANO = 1e9
UNITS: Mapping[str, tuple[str, float]] = {
    "cost_nano": ("cost_usd", NANO),
    "latency_p50_ms": ("p50_latency_ms", 1.0),
    "latency_p95_ms": ("p95_latency_ms", 1.0),
    "latency_p99_ms": ("p99_latency_ms", 1.0),
    "error_rate": ("error_rate", 1.0),
    "input_tokens": ("input_tokens", 1.0),
    "output_tokens": ("output_tokens", 1.0),
}
"""How a metric of the summary is named in the API, and what it is divided by."""


def side(found: SideSummary, routes: Mapping[str, float]) -> Json:
    """One side, with the share of the traffic that each model answers."""
    cost = found.mean_cost_nano.scaled(1 / NANO)
    return {
        "requests": found.requests,
        "total_cost_usd": found.cost_nano / NANO,
        "mean_cost_usd": cost.value,
        "p50_latency_ms": found.latency_ms["p50"].value,
        "p95_latency_ms": found.latency_ms["p95"].value,
        "p99_latency_ms": found.latency_ms["p99"].value,
        "error_rate": found.error_rate.value,
        "mean_input_tokens": found.mean_input_tokens.value,
        "mean_output_tokens": found.mean_output_tokens.value,
        "time_to_success_ms": found.time_to_success_ms,
        "route_distribution": {model: share for model, share in routes.items() if share > 0},
        "ci_95": {
            "mean_cost_usd": interval(cost),
            **{f"{name}_latency_ms": interval(each) for name, each in found.latency_ms.items()},
            "error_rate": interval(found.error_rate),
            "mean_input_tokens": interval(found.mean_input_tokens),
            "mean_output_tokens": interval(found.mean_output_tokens),
        },
    }


def delta(name: str, found: Delta) -> Json:
    """What changes in a metric of `UNITS`, and in words where it has any."""
    words = METRICS.get(name)
    unit = "percentage_points" if name == "error_rate" else "percent"
    return {
        **estimate(found.absolute.scaled(1 / UNITS[name][1])),
        unit: estimate(found.percent),
        "sentence": change_in_words(found.percent, words) if words else None,
    }


def route(found: Route) -> Json:
    return {
        "model": found.model,
        "baseline_share": found.baseline_share,
        "candidate_share": found.candidate_share,
        "change": estimate(found.change),
    }


def estimate(found: Estimate) -> Json:
    return {"value": found.value, **interval(found)}


def interval(found: Estimate) -> Json:
    return {"lower": found.interval.lower, "upper": found.interval.upper}
