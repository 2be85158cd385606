"""Percentiles (type 7) and their change between two columns of the same rows, with 95 % intervals."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats, inner
from experiment_core.distributions import binomial_ranks
from experiment_core.intervals import NOTHING, UNKNOWN, Estimate, Interval
from experiment_core.resampling import Units, resampled_confidence

DRAWS = 4000


@dataclass(frozen=True, slots=True)
class Change:
    """What became of one percentile."""

    baseline: Estimate
    candidate: Estimate
    absolute: Estimate
    """Candidate minus baseline."""
    relative: Estimate
    """Candidate over baseline, minus 1."""


class Column:
    """One column of a table, sorted once; NaN marks a row without a value."""

    def __init__(self, values: Floats, units: Units) -> None:
        self._units = units
        self._values = values
        self._present = ~np.isnan(values)
        order = np.argsort(values[self._present], kind="stable")
        self._sorted = values[self._present][order]
        weight = units.weight[self._present][order]
        self._weight = float(np.sum(weight))
        self._middle = (np.cumsum(weight) - weight / 2) / self._weight if len(weight) else weight

    def at(self, q: float) -> float | None:
        """The `q` quantile: type 7 (numpy's "linear"), carried over to weighted rows."""
        if not len(self._sorted):
            return None
        first, last = self._middle[0], self._middle[-1]
        return float(np.interp(first + q * (last - first), self._middle, self._sorted))

    def estimate(self, q: float, confidence: float = 0.95) -> Estimate:
        """The `q` quantile with its order-statistic interval; a bound is None where no value of the sample is one."""
        value = self.at(q)
        if value is None:
            return NOTHING
        rows = self.effective_rows(q)
        lower, upper = binomial_ranks(max(1, round(rows)), q, confidence)
        ranks = [None if rank is None else (rank - 0.5) / max(1, round(rows)) for rank in (lower, upper)]
        return Estimate(value, Interval(*(None if rank is None else self._value(rank) for rank in ranks)))

    def effective_rows(self, q: float) -> float:
        """As how many independent rows the share below the `q` quantile is known."""
        rows = len(self._sorted)
        if self._units.simple or rows == 0:
            return float(rows)
        variance = self._units.variance_of_sum(self.influence(q))
        return min(rows, q * (1 - q) / variance) if variance > 0 else min(rows, self._units.count)

    def influence(self, q: float) -> Floats:
        """What each row adds to the error of the share below the `q` quantile; 0 for rows without a value."""
        below = self._present & (self._values <= (self.at(q) or 0.0))
        share = float(np.sum(self._units.weight * below)) / self._weight
        return np.where(self._present, self._units.weight * (below - share) / self._weight, 0.0)

    def resampled(self, q: float, ranks: Ranks, seed: int) -> Floats:
        """The `q` quantile of resampled columns: the share of the sample below it is a Beta order statistic."""
        rows = max(self.effective_rows(q), 1.0)
        k = 1 + (rows - 1) * q
        shares = np.sort(np.random.default_rng(seed).beta(k, rows - k + 1, DRAWS))
        return np.interp(shares[ranks], self._middle, self._sorted)

    def _value(self, share: float) -> float:
        """The order statistic that the cumulated weight reaches at `share`."""
        index = int(np.searchsorted(self._middle, share - 1e-9))
        return float(self._sorted[min(index, len(self._sorted) - 1)])


Ranks = np.ndarray[tuple[int], np.dtype[np.intp]]


def change(baseline: Column, candidate: Column, units: Units, q: float, seed: int, confidence: float = 0.95) -> Change:
    """The change of the `q` quantile between two columns of the same rows, from a paired bootstrap.

    Instead of resampling rows it draws, for both columns at once, which order statistic the resampled quantile falls
    on: Beta on each side (what resampling gives exactly), tied by a normal copula with the correlation of the two
    columns' shares below their quantiles, which is that of the pairing. Rows in clusters count as their effective
    number. A side whose sample cannot bound its quantile leaves that bound of the change unknown too.
    """
    before, after = baseline.estimate(q, confidence), candidate.estimate(q, confidence)
    if before.value is None or after.value is None:
        return Change(before, after, NOTHING, NOTHING)
    first, second = _tied_ranks(_correlation(baseline.influence(q), candidate.influence(q), units), seed)
    draws_before, draws_after = baseline.resampled(q, first, seed), candidate.resampled(q, second, seed)
    absolute = _bounded(after.value - before.value, draws_after - draws_before, before, after, confidence)
    relative = NOTHING
    if before.value > 0 and float(draws_before.min()) > 0:
        ratio = after.value / before.value - 1
        relative = _bounded(ratio, draws_after / draws_before - 1, before, after, confidence)
    return Change(before, after, absolute, relative)


def _correlation(first: Floats, second: Floats, units: Units) -> float:
    a, b = units.totals(first), units.totals(second)
    scale = math.sqrt(inner(a, a) * inner(b, b))
    # Rounded, so that a column has no trace of an angle to itself.
    return min(1.0, max(-1.0, round(inner(a, b) / scale, 12))) if scale > 0 else 0.0


def _tied_ranks(correlation: float, seed: int) -> tuple[Ranks, Ranks]:
    """The ranks of two normal samples of `DRAWS` with a correlation."""
    rng = np.random.default_rng(seed)
    first, other = rng.standard_normal(DRAWS), rng.standard_normal(DRAWS)
    second = correlation * first + math.sqrt(1 - correlation**2) * other
    return np.argsort(np.argsort(first)), np.argsort(np.argsort(second))


def _bounded(value: float, draws: Floats, before: Estimate, after: Estimate, confidence: float) -> Estimate:
    resampled, stretch = resampled_confidence(confidence)
    tail = (1 - resampled) / 2
    low, high = (value + (float(bound) - value) * stretch for bound in np.quantile(draws, [tail, 1 - tail]))
    no_lower = before.interval.upper is None or after.interval.lower is None
    no_upper = after.interval.upper is None or before.interval.lower is None
    if no_lower and no_upper:
        return Estimate(value, UNKNOWN)
    return Estimate(value, Interval(None if no_lower else low, None if no_upper else high))
