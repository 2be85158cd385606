"""Off-policy estimates from logged propensities: what a policy would have earned on another policy's log."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats, inner
from experiment_core.distributions import Z95
from experiment_core.intervals import Estimate, Interval

LEAST_EFFECTIVE = 100
LARGEST_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class OffPolicy:
    """The estimates, or the reason why there are none."""

    rows: int
    effective_rows: float
    """(sum w)^2 / sum w^2."""
    largest_share: float
    """Of the heaviest row in all the weight."""
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


def off_policy(rewards: Floats, propensity: Floats, target: Floats, model: RewardModel | None = None) -> OffPolicy:
    """Estimate the mean reward of a policy that takes each logged action with probability `target`.

    `propensity` is the logged probability of that action under the policy that took it. Refused when fewer than 100
    rows' worth of weight remain or one row holds more than 5 % of it: then the interval would be fiction. Raises
    ValueError when a propensity is not in (0, 1].
    """
    if np.any(~((propensity > 0) & (propensity <= 1))):
        raise ValueError("a logged propensity must lie in (0, 1]: leave out rows that have none")
    weight = target / propensity
    total = float(weight.sum())
    effective = total**2 / inner(weight, weight) if total > 0 else 0.0
    share = float(weight.max()) / total if total > 0 else 1.0
    refusal = _refusal(effective, share)
    if refusal is not None:
        return OffPolicy(len(rewards), effective, share, refusal, None, None, None)
    robust = None if model is None else mean_with_interval(model.of_target + weight * (rewards - model.of_logged))
    return OffPolicy(
        len(rewards),
        effective,
        share,
        None,
        mean_with_interval(weight * rewards),
        self_normalised(rewards, weight),
        robust,
    )


def self_normalised(rewards: Floats, weight: Floats) -> Estimate:
    """The weighted mean reward, its interval by the delta method."""
    total = float(weight.sum())
    value = inner(weight, rewards) / total
    half = Z95 * math.sqrt(float(np.sum((weight * (rewards - value)) ** 2))) / total
    return Estimate(value, Interval(value - half, value + half))


def mean_with_interval(values: Floats) -> Estimate:
    """The plain mean of at least two values with its normal interval."""
    value = float(values.mean())
    half = Z95 * float(values.std(ddof=1)) / math.sqrt(len(values))
    return Estimate(value, Interval(value - half, value + half))


def _refusal(effective: float, share: float) -> str | None:
    if effective < LEAST_EFFECTIVE:
        return (
            f"the log overlaps too little with this policy: its rows are worth {effective:.0f} of the "
            f"{LEAST_EFFECTIVE} that an estimate needs; run an ab_test that gives the candidate a larger share"
        )
    if share > LARGEST_SHARE:
        return (
            f"one row holds {share:.0%} of all weight, more than {LARGEST_SHARE:.0%}: the estimate would rest on it; "
            "run an ab_test that gives the candidate a larger share"
        )
    return None
