"""Guards of a rollout: success criteria over two live arms, shown to be broken, shown to hold, or open."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.criteria import Criteria, Outcome, Predicate
from experiment_core.distributions import binomial_ranks, z
from experiment_core.intervals import NOTHING, Estimate, Interval, wilson
from experiment_core.sequential import Decision

WINDOWS = (16, 64, 256)
"""The candidate's newest requests that are looked at by themselves: what breaks late must not hide."""
FEWEST = 10
"""Requests of the candidate before anything is broken: what comes together fails together."""
FEWEST_COSTS = 100
"""Requests of an arm whose mean cost has an interval: fewer are too skewed for one."""
_NANO = 1e9


@dataclass(frozen=True, slots=True)
class Arm:
    """Requests of one arm, oldest first."""

    started_us: Ints
    ok: Bools
    latency_us: Ints
    cost_nano: Ints

    @property
    def requests(self) -> int:
        return len(self.ok)

    @property
    def errors(self) -> int:
        return int(np.count_nonzero(~self.ok))

    def since(self, us: int) -> Arm:
        return self.last(self.requests - int(np.searchsorted(self.started_us, us)))

    def last(self, count: int) -> Arm:
        first = max(self.requests - count, 0)
        return Arm(self.started_us[first:], self.ok[first:], self.latency_us[first:], self.cost_nano[first:])


@dataclass(frozen=True, slots=True)
class Arms:
    """Both arms of a split over the same time."""

    current: Arm
    candidate: Arm


@dataclass(frozen=True, slots=True)
class Found:
    """What all guards together say, and in words what each rests on."""

    outcome: Outcome
    reason: str


def shown_broken(criteria: Criteria, arms: Arms, alpha: float) -> Found:
    """Fails where the guards are broken for all but `alpha` of the cases, from a few requests on.

    Bounds hold for any number of requests (cost apart): Chernoff's for rates, order statistics for percentiles, and
    each difference takes the farther bounds of both sides; rates are also compared at once (`doubt`).
    """
    if arms.candidate.requests < FEWEST:
        return Found("inconclusive", f"the candidate's arm has had {arms.candidate.requests} requests")
    share = alpha / len(criteria.predicates) if criteria.logic == "and" else alpha
    return _judged(criteria, [_finding(each, arms, share, exact=True) for each in criteria.predicates], "refuted")


def shown_to_hold(criteria: Criteria, arms: Arms, alpha: float) -> Found:
    """Passes where each arm has `min_sample_size` requests and the guards hold for all but `alpha` of the cases.

    Wilson's intervals and order statistics, differences by the method of variance estimates recovery (MOVER).
    """
    least = min(arms.current.requests, arms.candidate.requests)
    if least < criteria.min_sample_size:
        text = f"an arm has {least:,} requests, fewer than the {criteria.min_sample_size:,} that a guard needs to hold"
        return Found("inconclusive", text)
    share = alpha / len(criteria.predicates) if criteria.logic == "or" else alpha
    return _judged(criteria, [_finding(each, arms, share, exact=False) for each in criteria.predicates], "met")


def suddenly_broken(criteria: Criteria, arms: Arms, alpha: float) -> Found:
    """The same as `shown_broken` of the newest requests alone, by their errors. The other arm is taken over the same
    time, so an outage that both share breaks nothing.
    """
    rates = [each for each in criteria.predicates if each.metric == "error_rate_delta_pct"]
    if not rates or (criteria.logic == "or" and len(criteria.predicates) > 1):
        return Found("inconclusive", "")
    for count in WINDOWS:
        newest = arms.candidate.last(count)
        if newest.requests < count:
            break
        if not newest.errors:
            continue
        both = Arms(arms.current.since(int(newest.started_us[0])), newest)
        share = alpha / len(WINDOWS) / len(rates)
        found = [_finding(each, both, share, exact=True) for each in rates]
        broken = [text for decision, text in found if decision == "refuted"]
        if broken:
            return Found("fail", f"of the newest {count} requests, {broken[0]}")
    return Found("inconclusive", "")


def change(metric: str, arms: Arms, alpha: float, *, exact: bool) -> Estimate:
    """The candidate against the current arm in the metric's unit, with bounds that fail on one side or the other for
    `alpha` of the cases.
    """
    scale = _SCALES[metric]
    part = 1 - alpha / 2 if exact else 1 - alpha
    one, other = (scale.of(arm, part, exact) for arm in (arms.candidate, arms.current))
    if one.value is None or other.value is None:
        return NOTHING
    difference = one.value - other.value
    down, up = (
        _apart(one.value, one.interval.lower, other.interval.upper, other.value, exact),
        _apart(one.value, one.interval.upper, other.interval.lower, other.value, exact),
    )
    bounds = Interval(None if down is None else difference - down, None if up is None else difference + up)
    unit = scale.unit
    return Estimate(unit(difference), Interval(*(None if b is None else unit(b) for b in (bounds.lower, bounds.upper))))


def _apart(mine: float, my_bound: float | None, their_bound: float | None, theirs: float, exact: bool) -> float | None:
    """How far the difference may be off to one side; None where a bound is not known."""
    if my_bound is None or their_bound is None:
        return None
    sides = abs(my_bound - mine), abs(their_bound - theirs)
    return sum(sides) if exact else math.hypot(*sides)


def _finding(predicate: Predicate, arms: Arms, alpha: float, *, exact: bool) -> tuple[Decision, str]:
    if exact and predicate.metric == "error_rate_delta_pct":
        found = _rates_apart(arms, alpha / 2, predicate.value / 100)
    else:
        found = change(predicate.metric, arms, alpha, exact=exact)
    decision = predicate.threshold.decide(found.interval)
    verb = {"met": "holds", "refuted": "is broken", "undecided": "is open"}[decision]
    shown = "nothing to compare yet" if found.value is None else f"{_number(found.value)} {_shown(found.interval)}"
    return decision, f"{predicate.words()} {verb}: {shown}, {_SCALES[predicate.metric].figures(arms)}"


def _rates_apart(arms: Arms, alpha: float, margin: float) -> Estimate:
    """The change of the error rate; where `doubt` shows it beyond the margin its lower bound is by that."""
    found = change("error_rate_delta_pct", arms, alpha, exact=True)
    if doubt(arms, margin) > alpha:
        return found
    near, far = margin, 1.0
    for _ in range(30):
        middle = (near + far) / 2
        near, far = (middle, far) if doubt(arms, middle) <= alpha else (near, middle)
    return Estimate(found.value, Interval(_points(near), found.interval.upper))


def doubt(arms: Arms, margin: float) -> float:
    """A bound of the chance of rates so far apart, or farther, where the candidate's is at most `margin` above.

    Chernoff's inequality for both arms together, at the worst rates that they may have, times the number of corners
    that the set of such outcomes has. With few requests far less doubt than two intervals leave.
    """
    one, other = arms.candidate, arms.current
    if not one.requests or not other.requests:
        return 1.0
    mine, theirs = one.errors / one.requests, other.errors / other.requests
    if mine - margin <= theirs:
        return 1.0

    def strength(rate: float) -> float:
        return one.requests * _entropy(mine, rate + margin) + other.requests * _entropy(theirs, rate)

    low, high = max(theirs, -margin), mine - margin
    for _ in range(50):
        third = (high - low) / 3
        low, high = (low, high - third) if strength(low + third) < strength(high - third) else (low + third, high)
    corners = min(one.requests, other.requests) + 1
    return min(1.0, corners * math.exp(-strength((low + high) / 2)))


def _judged(criteria: Criteria, findings: Sequence[tuple[Decision, str]], wanted: Decision) -> Found:
    """Only `wanted` is decided by intervals of this kind. The reason tells what turned it, else all."""
    turned = [text for decision, text in findings if decision == wanted]
    one_is_enough = (wanted == "refuted") == (criteria.logic == "and")
    decided = bool(turned) if one_is_enough else len(turned) == len(findings)
    outcome: Outcome = ("fail" if wanted == "refuted" else "pass") if decided else "inconclusive"
    told = turned if decided else [text for decision, text in findings if decision != wanted]
    return Found(outcome, "; ".join(told))


def chernoff(hits: int, n: int, alpha: float) -> Interval:
    """Bounds of a rate that each fail for `alpha` / 2 of the cases at most, whatever the rate and `n` are (Chernoff's
    inequality by relative entropy, turned around).
    """
    if n == 0:
        return Interval(0.0, 1.0)
    p, budget = hits / n, math.log(2 / alpha) / n
    return Interval(_solved(p, 0.0, budget), _solved(p, 1.0, budget))


def _solved(p: float, end: float, budget: float) -> float:
    """The rate between `p` and `end` whose relative entropy to `p` is `budget`, rounded towards `end`."""
    near, far = p, end
    for _ in range(60):
        middle = (near + far) / 2
        near, far = (middle, far) if _entropy(p, middle) < budget else (near, middle)
    return far


def _entropy(p: float, q: float) -> float:
    if not 0 < q < 1:
        return 0.0 if p == q else math.inf
    left = p * math.log(p / q) if p else 0.0
    return left + ((1 - p) * math.log((1 - p) / (1 - q)) if p < 1 else 0.0)


def _rate(arm: Arm, confidence: float, exact: bool) -> Estimate:
    n, hits = arm.requests, arm.errors
    if not n:
        return NOTHING
    return Estimate(hits / n, chernoff(hits, n, 1 - confidence) if exact else wilson(hits, n, confidence))


def _percentile(q: float, arm: Arm, confidence: float, exact: bool) -> Estimate:
    """Of the logarithm; of answers, as a failure has no latency."""
    values = np.sort(_answered(arm))
    if not len(values):
        return NOTHING
    ranks = binomial_ranks(len(values), q, confidence)
    bounds = [None if rank is None else math.log(values[rank - 1]) for rank in ranks]
    return Estimate(math.log(np.quantile(values, q)), Interval(*bounds))


def _mean_cost(arm: Arm, confidence: float, exact: bool) -> Estimate:
    """Of the logarithm, by the central limit theorem."""
    costs = arm.cost_nano.astype(np.float64)
    if len(costs) < FEWEST_COSTS or not (mean := float(costs.mean())) > 0:
        return NOTHING
    half = z(confidence) * float(costs.std(ddof=1)) / mean / math.sqrt(len(costs))
    return Estimate(math.log(mean), Interval(math.log(mean) - half, math.log(mean) + half))


def _answered(arm: Arm) -> Floats:
    return np.maximum(arm.latency_us[arm.ok].astype(np.float64), 1.0)


def _errors(arms: Arms) -> str:
    one, other = arms.candidate, arms.current
    return f"{one.errors:,} of {one.requests:,} failed against {other.errors:,} of {other.requests:,}"


def _latencies(q: float, arms: Arms) -> str:
    shown = [
        f"{np.quantile(values, q) / 1000:,.0f} ms" if len(values := _answered(arm)) else "no answers"
        for arm in (arms.candidate, arms.current)
    ]
    return " against ".join(shown)


def _costs(arms: Arms) -> str:
    means = [arm.cost_nano.mean() / _NANO if arm.requests else 0.0 for arm in (arms.candidate, arms.current)]
    return " against ".join(f"${mean:.6f} a request" for mean in means)


def _points(difference: float) -> float:
    return 100 * difference


def _percent(log_ratio: float) -> float:
    return 100 * math.expm1(min(log_ratio, 50.0))


def _number(value: float) -> str:
    return f"{value:.4g}"


def _shown(interval: Interval) -> str:
    low, high = ("unknown" if bound is None else _number(bound) for bound in (interval.lower, interval.upper))
    return f"[{low}, {high}]"


@dataclass(frozen=True, slots=True)
class _Scale:
    """On what scale arms are subtracted, in what unit that is told, and what to tell beside it."""

    of: Callable[[Arm, float, bool], Estimate]
    unit: Callable[[float], float]
    figures: Callable[[Arms], str]


_SCALES: Mapping[str, _Scale] = {
    "error_rate_delta_pct": _Scale(_rate, _points, _errors),
    "p50_latency_delta_pct": _Scale(partial(_percentile, 0.5), _percent, partial(_latencies, 0.5)),
    "p95_latency_delta_pct": _Scale(partial(_percentile, 0.95), _percent, partial(_latencies, 0.95)),
    "cost_delta_pct": _Scale(_mean_cost, _percent, _costs),
}
METRICS = tuple(_SCALES)
"""What guards can name."""
