"""Means and ratios of sums over rows, with intervals that respect clusters, weights and heavy tails."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats, Ints, inner
from experiment_core.distributions import student, z
from experiment_core.intervals import NOTHING, UNKNOWN, Estimate, Interval, paired_difference

DRAWS = 1000
MOST_GROUPS = 400
"""Units beyond this many are resampled in groups of their own making: as valid, and 50,000 rows stay quick."""
FEWEST_RESAMPLED = 10
"""Below this many units the resamples are too alike; Student's interval stands in."""
MOST_CONFIDENCE = 0.98
"""Resamples are too few to know tails beyond this: a higher confidence stretches this interval as a normal one's."""


@dataclass(frozen=True, slots=True, eq=False)
class Units:
    """The independent units of a table: its rows, or clusters of rows that came from one run or session."""

    of_row: Ints
    """For each row the number of its unit, 0 to `count` - 1."""
    count: int
    weight: Floats
    """For each row how many rows of the window it stands for."""
    simple: bool
    """Every row is its own unit and all weigh the same."""

    @classmethod
    def of(cls, rows: int, cluster: Ints | None = None, weight: Floats | None = None) -> Units:
        """Units by cluster code; a negative code, or none at all, makes a row its own unit."""
        weights = np.ones(rows) if weight is None else weight
        even = bool(rows == 0 or np.all(weights == weights[0]))
        if cluster is None or not np.any(cluster >= 0):
            return cls(np.arange(rows), rows, weights, even)
        codes = np.where(cluster >= 0, cluster, -1 - np.arange(rows))
        known, of_row = np.unique(codes, return_inverse=True)
        return cls(of_row.astype(np.int64), len(known), weights, even and len(known) == rows)

    def totals(self, values: Floats) -> Floats:
        """The sum of already weighted values in each unit."""
        return np.bincount(self.of_row, weights=values, minlength=self.count).astype(np.float64)

    def mean(self, values: Floats) -> float:
        """The weighted mean; 0 without rows. Exactly 0 or 1 where every value is."""
        return inner(self.weight, values) / inner(self.weight, np.ones(len(values))) if len(values) else 0.0

    def variance_of_sum(self, residuals: Floats) -> float:
        """The variance of the sum of weighted residuals (which sum to about 0), by units."""
        if self.count < 2:
            return math.inf
        return float(np.sum(self.totals(residuals) ** 2)) * self.count / (self.count - 1)

    def effective_rows(self, values: Floats) -> float:
        """As how many independent rows the mean of 0/1 `values` is known; never more than the rows there are."""
        rows = len(values)
        if self.simple or rows == 0:
            return float(rows)
        total, mean = float(np.sum(self.weight)), self.mean(values)
        spread = mean * (1 - mean)
        if spread <= 0:
            return min(rows, total**2 / float(np.sum(self.totals(self.weight) ** 2)))
        variance = self.variance_of_sum(self.weight * (values - mean)) / total**2
        if variance <= 0:  # every group has the same mean: nothing tells that rows go together
            return float(rows)
        return min(rows, spread / variance * (rows - 1) / rows)


class Resampler:
    """Ratios of sums with a studentised bootstrap, the same resamples for every ratio asked of it.

    `confidence`: of its intervals, where a call names no other.
    """

    def __init__(self, units: Units, seed: int, confidence: float = 0.95) -> None:
        rng = np.random.default_rng(seed)
        self.units = units
        self.confidence = confidence
        self._groups = min(units.count, MOST_GROUPS)
        self._group_of_unit = rng.permutation(units.count) % max(self._groups, 1)
        self._times = np.zeros((0, 0))
        if self._groups >= FEWEST_RESAMPLED:
            drawn = rng.integers(self._groups, size=(DRAWS, self._groups))
            drawn += np.arange(DRAWS)[:, None] * self._groups
            counts = np.bincount(drawn.ravel(), minlength=DRAWS * self._groups)
            self._times = counts.reshape(DRAWS, self._groups).astype(np.float64)

    def ratio(self, numerator: Floats, denominator: Floats, confidence: float | None = None) -> Estimate:
        """Sum of `numerator` over sum of `denominator`, both per row. Nothing where the denominator is not above 0.

        The interval is the bootstrap-t over units (Efron and Tibshirani 1993, section 12.5): it leans to the side of
        a heavy tail and widens for few units. A ratio that is the same in every unit has no width.
        """
        x, y = self._totals(numerator), self._totals(denominator)
        if float(np.sum(y)) <= 0:
            return NOTHING
        value = float(np.sum(x)) / float(np.sum(y))
        if self._groups < 2:
            return Estimate(value, UNKNOWN)
        sums = np.array([[x.sum(), y.sum(), inner(x, x), inner(x, y), inner(y, y)]])
        error = float(_ratio_error(sums, self._groups)[1][0])
        if error <= 1e-12 * abs(value):
            return Estimate(value, Interval(value, value))
        resampled, stretch = resampled_confidence(confidence or self.confidence)
        low, high = self._studentised(x, y, value, resampled)
        return Estimate(value, Interval(value - high * error * stretch, value - low * error * stretch))

    def mean(self, values: Floats, confidence: float | None = None) -> Estimate:
        """The weighted mean of `values`, one per row."""
        return self.ratio(values, np.ones(len(values)), confidence)

    def _totals(self, values: Floats) -> Floats:
        units = self.units.totals(values * self.units.weight)
        return np.bincount(self._group_of_unit, weights=units, minlength=self._groups).astype(np.float64)

    def _studentised(self, x: Floats, y: Floats, value: float, confidence: float) -> tuple[float, float]:
        """The lower and upper quantile of (resampled ratio - ratio) / its own standard error."""
        stand_in = student(confidence, self._groups - 1)
        if self._groups < FEWEST_RESAMPLED:
            return -stand_in, stand_in
        sums = np.einsum("dg,kg->dk", self._times, np.stack([x, y, x * x, x * y, y * y]))
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios, errors = _ratio_error(sums, self._groups)
            deviations = (ratios - value) / errors
        tail = (1 - confidence) / 2
        low, high = np.quantile(
            np.where(np.isnan(deviations), math.inf, deviations), [tail, 1 - tail], method="nearest"
        ).tolist()
        usable = math.isfinite(low) and math.isfinite(high) and low < 0 < high
        return (low, high) if usable else (-stand_in, stand_in)


def resampled_confidence(confidence: float) -> tuple[float, float]:
    """The confidence to read off the resamples, and by what to stretch that interval to reach the one asked for."""
    if confidence <= MOST_CONFIDENCE:
        return confidence, 1.0
    return MOST_CONFIDENCE, z(confidence) / z(MOST_CONFIDENCE)


def paired_share(before: Bools, after: Bools, units: Units, confidence: float = 0.95) -> Estimate:
    """The change of the share of marked rows, on as many rows as the units are worth for those that change."""
    gained, lost = (units.mean(marked.astype(np.float64)) for marked in (after & ~before, before & ~after))
    effective = units.effective_rows((before != after).astype(np.float64))
    return paired_difference(gained * effective, lost * effective, effective, confidence)


def _ratio_error(sums: Floats, groups: int) -> tuple[Floats, Floats]:
    """Ratios and their linearised standard errors from rows of the sums of x, y, xx, xy and yy over `groups`."""
    x, y, xx, xy, yy = sums.T
    ratio = x / y
    squares = np.maximum(xx - 2 * ratio * xy + ratio**2 * yy, 0.0)
    return ratio, np.sqrt(squares * groups / (groups - 1)) / np.abs(y)
