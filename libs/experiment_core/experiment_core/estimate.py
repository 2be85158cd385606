"""Off-policy estimates from logged propensities: what a policy would have earned on another policy's log."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats, inner
from experiment_core.distributions import Z95
from experiment_core.intervals import Estimate, Interval
from experiment_core.resampling import Units

LEAST_EFFECTIVE = 100
LARGEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """The estimates, or the reason why there are none."""

    rows: int
    effective_rows: float
    """(sum w)^2 / sum w^2, over the weights of independent units."""
    largest_share: float
    """Of the heaviest unit in all the weight."""
    refusal: str | None
    ips: Estimate | None
    snips: Estimate | None
    doubly_robust: Estimate | None
    """None too where no reward model was given."""


@dataclass(frozen=True, slots=True, eq=False)
class RewardModel:
    """What a model of the reward expects, per row."""

    of_logged: Floats
    """Of the action that was taken."""
    of_target: Floats
    """Of the target policy: the mean over its actions."""


def off_policy(
    rewards: Floats,
    propensity: Floats,
    target: Floats,
    model: RewardModel | None = None,
    units: Units | None = None,
) -> OffPolicy:
    """Estimate the mean reward of a policy that takes each logged action with probability `target`.

    `propensity` is the logged probability of that action under the policy that took it. `units`: what was drawn
    independently, where that are not the rows; rows of one user whom a split sent one way are one draw. Refused when
    fewer than 100 units' worth of weight remain or one holds more than 5 % of it: then the interval would be fiction.
    Raises ValueError when a propensity is not in (0, 1].
    """
    units = units or Units.of(len(rewards))
    if np.any(~((propensity > 0) & (propensity <= 1))):
        raise ValueError("a logged propensity must lie in (0, 1]: leave out rows that have none")
    weight = target / propensity
    total, of_unit = float(weight.sum()), units.totals(weight)
    effective = total**2 / inner(of_unit, of_unit) if total > 0 else 0.0
    share = float(of_unit.max()) / total if total > 0 else 1.0
    refusal = _refusal(effective, share)
    if refusal is not None:
        return OffPolicy(len(rewards), effective, share, refusal, None, None, None)
    adjusted = None if model is None else model.of_target + weight * (rewards - model.of_logged)
    return OffPolicy(
        len(rewards),
        effective,
        share,
        None,
        mean_with_interval(weight * rewards, units),
        self_normalised(rewards, weight, units),
        None if adjusted is None else mean_with_interval(adjusted, units),
    )


def self_normalised(rewards: Floats, weight: Floats, units: Units) -> Estimate:
    """The weighted mean reward, its interval by the delta method over units."""
    total = float(weight.sum())
    value = inner(weight, rewards) / total
    half = Z95 * math.sqrt(float(np.sum(units.totals(weight * (rewards - value)) ** 2))) / total
    return Estimate(value, Interval(value - half, value + half))


def mean_with_interval(values: Floats, units: Units) -> Estimate:
    """The plain mean of values of at least two units with its normal interval."""
    value = float(values.mean())
    half = Z95 * math.sqrt(units.variance_of_sum(values - value)) / len(values)
    return Estimate(value, Interval(value - half, value + half))


def _refusal(effective: float, share: float) -> str | None:
    if effective < LEAST_EFFECTIVE:
        return (
            f"the log overlaps too little with this policy: its rows are worth {effective:.0f} independent ones of "
            f"the {LEAST_EFFECTIVE} that an estimate needs; run an ab_test that gives the candidate a larger share"
        )
    if share > LARGEST_SHARE:
        return (
            f"one request, user or run holds {share:.0%} of all weight, more than {LARGEST_SHARE:.0%}: the estimate "
            "would rest on it; run an ab_test that gives the candidate a larger share"
        )
    return None
