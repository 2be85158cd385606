"""How well projections did: what was projected beside what was measured, whether intervals held, and the bias."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import numpy as np
import pyarrow as pa

from experiment_core.intervals import Estimate, Interval, proportion, wilson
from experiment_core.percentiles import Column
from experiment_core.resampling import Resampler, Units

METRICS = ("mean_cost_usd", "p50_latency_ms", "p95_latency_ms", "error_rate")
FEWEST_REQUESTS = 200
"""Of a promoted version, before it is measured."""
FEWEST_WIDENED = 20
"""Entries that it takes to say by what intervals should be wider."""
_NANO = 1e9
_SIDES = ("projected", "measured")
Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Score:
    """One metric of one experiment."""

    metric: str
    projected: Estimate
    measured: Estimate

    @property
    def held(self) -> bool:
        """Whether the projected interval holds the measured value, given what that may be off by itself. A bound that
        is not known excludes nothing.
        """
        reach = self.reach()
        return reach is None or abs(self.error) <= reach

    @property
    def error(self) -> float:
        """Projected minus measured."""
        assert self.projected.value is not None
        assert self.measured.value is not None
        return self.projected.value - self.measured.value

    def reach(self) -> float | None:
        """Half the width that the projection allows to the side where the measured value lies, and the measured value's
        own to the other, in quadrature. None where a bound is not known.
        """
        too_high = self.error > 0
        mine = _reach(self.projected, below=too_high)
        theirs = _reach(self.measured, below=not too_high)
        return None if mine is None or theirs is None else math.hypot(mine, theirs)


@dataclass(frozen=True, slots=True)
class Card:
    """All scores of one metric."""

    metric: str
    entries: int
    coverage: Estimate
    median_error: float | None
    """Of |projected - measured| over the measured value."""
    too_high: Estimate
    widen_by: float | None
    """What intervals must be multiplied by so that 95 % of the scores would have held."""


def cards(scores: Iterable[Score]) -> tuple[Card, ...]:
    """One for each metric that has scores."""
    by_metric: dict[str, list[Score]] = {name: [] for name in METRICS}
    for score in scores:
        by_metric[score.metric].append(score)
    return tuple(_card(name, mine) for name, mine in by_metric.items() if mine)


def projected(summary: Json) -> Mapping[str, Estimate]:
    """What a summary says of its candidate; the cost with what its projection may be off by. Metrics that it does not
    know are left out.
    """
    side = summary.get("candidate_summary")
    if not side:
        return {}
    found = {name: _estimate(side[name], side["ci_95"][name]) for name in METRICS}
    left = summary.get("projection")
    if left and left["total_cost_usd"]["value"] and found["mean_cost_usd"].value is not None:
        found["mean_cost_usd"] = _widened(found["mean_cost_usd"], left["total_cost_usd"])
    return {name: each for name, each in found.items() if each.value is not None}


def measured(requests: pa.Table, seed: int = 0) -> Mapping[str, Estimate]:
    """The same of requests: columns `cost_nano`, `latency_us` and `ok`. Latencies are those of successes."""
    costs, latency = (requests.column(name).to_numpy().astype(np.float64) for name in ("cost_nano", "latency_us"))
    ok = requests.column("ok").to_numpy(zero_copy_only=False).astype(np.bool_)
    units = Units.of(len(ok))
    column = Column(np.where(ok, latency / 1000, np.nan), units)
    found = {
        "mean_cost_usd": Resampler(units, seed).mean(costs / _NANO),
        "p50_latency_ms": column.estimate(0.50),
        "p95_latency_ms": column.estimate(0.95),
        "error_rate": proportion(float((~ok).sum()), len(ok)),
    }
    return {name: each for name, each in found.items() if each.value is not None}


def checked(summary: Json) -> tuple[int, Sequence[Score]]:
    """Of an experiment that called its candidate: the rows that it had projected before, and the scores of these."""
    check = summary["projection_check"]
    said, came = ({name: _whole(each[side]) for name, each in check["metrics"].items()} for side in _SIDES)
    return check["rows"], scores(said, came)


def scores(said: Mapping[str, Estimate], came: Mapping[str, Estimate]) -> Sequence[Score]:
    """Those of metrics that are known on both sides."""
    known = [{name for name, each in side.items() if each.value is not None} for side in (said, came)]
    return [Score(name, said[name], came[name]) for name in METRICS if name in known[0] & known[1]]


def _card(name: str, mine: Sequence[Score]) -> Card:
    held = sum(each.held for each in mine)
    off = [each for each in mine if each.error]
    relative = [abs(each.error / each.measured.value) for each in mine if each.measured.value]
    reaches = [(abs(each.error), each.reach()) for each in mine]
    ratios = [error / reach for error, reach in reaches if reach]
    return Card(
        name,
        len(mine),
        proportion(held, len(mine)),
        median(relative) if relative else None,
        proportion(sum(each.error > 0 for each in off), len(off)) if off else Estimate(None, wilson(0, 0)),
        float(np.quantile(ratios, 0.95, method="higher")) if len(ratios) >= FEWEST_WIDENED else None,
    )


def _whole(found: Json) -> Estimate:
    return _estimate(found["value"], found)


def _estimate(value: float | None, interval: Json) -> Estimate:
    return Estimate(value, Interval(interval["lower"], interval["upper"]))


def _widened(mean: Estimate, total: Json) -> Estimate:
    """The mean with the relative error that the projection of the total leaves."""
    assert mean.value is not None
    bounds: list[float | None] = []
    for own, of_total, sign in (
        (mean.interval.lower, total["lower"], -1),
        (mean.interval.upper, total["upper"], 1),
    ):
        if own is None or of_total is None:
            bounds.append(None)
            continue
        beyond = mean.value * (of_total / total["value"] - 1)
        bounds.append(mean.value + sign * math.hypot(own - mean.value, beyond))
    return Estimate(mean.value, Interval(*bounds))


def _reach(found: Estimate, *, below: bool) -> float | None:
    bound = found.interval.lower if below else found.interval.upper
    return None if bound is None or found.value is None else abs(found.value - bound)
