"""Proportions and their differences, each with an interval; all at 95 % unless told otherwise."""

from __future__ import annotations

import math
from dataclasses import dataclass

from experiment_core.distributions import z


@dataclass(frozen=True, slots=True)
class Interval:
    """A two-sided interval. None is a bound that the data cannot give."""

    lower: float | None
    upper: float | None

    def excludes(self, value: float) -> bool:
        """Whether `value` lies outside, as far as the known bounds tell."""
        below = self.upper is not None and self.upper < value
        return below or (self.lower is not None and self.lower > value)

    def scaled(self, factor: float, shift: float = 0.0) -> Interval:
        """Both bounds times `factor` (above 0), plus `shift`."""
        return Interval(*(None if bound is None else bound * factor + shift for bound in (self.lower, self.upper)))


UNKNOWN = Interval(None, None)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value with its interval; None where there was nothing to estimate from."""

    value: float | None
    interval: Interval

    def scaled(self, factor: float, shift: float = 0.0) -> Estimate:
        """Value and bounds times `factor` (above 0), plus `shift`."""
        value = None if self.value is None else self.value * factor + shift
        return Estimate(value, self.interval.scaled(factor, shift))

    def widened(self, half_width: float) -> Estimate:
        """The same value, with an independent error of `half_width` added to each side in quadrature.

        Meant for what rows cannot show, such as the remaining error of a projection.
        """
        value, lower, upper = self.value, self.interval.lower, self.interval.upper
        if value is None:
            return self
        return Estimate(
            value,
            Interval(
                None if lower is None else value - math.hypot(value - lower, half_width),
                None if upper is None else value + math.hypot(upper - value, half_width),
            ),
        )


NOTHING = Estimate(None, UNKNOWN)


def wilson(hits: float, n: float, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion; [0, 1] without data. Counts may be effective ones, so not whole."""
    return Interval(*_wilson(hits, n, confidence))


def proportion(hits: float, n: float, confidence: float = 0.95) -> Estimate:
    """A proportion with Wilson's interval; value None and [0, 1] without data."""
    return Estimate(hits / n if n > 0 else None, wilson(hits, n, confidence))


def independent_difference(hits_a: float, n_a: float, hits_b: float, n_b: float, confidence: float = 0.95) -> Estimate:
    """Rate a minus rate b of two independent samples: Newcombe's hybrid score interval (1998, method 10)."""
    if n_a <= 0 or n_b <= 0:
        return Estimate(None, Interval(-1.0, 1.0))
    (low_a, high_a), (low_b, high_b) = _wilson(hits_a, n_a, confidence), _wilson(hits_b, n_b, confidence)
    p_a, p_b = hits_a / n_a, hits_b / n_b
    difference = p_a - p_b
    down, up = math.hypot(p_a - low_a, high_b - p_b), math.hypot(high_a - p_a, p_b - low_b)
    return Estimate(difference, Interval(difference - down, difference + up))


def multinomial_error(first: float, second: float, n: float) -> float:
    """The standard error of (first - second) / n, where both are counts of one sample of `n`."""
    return math.sqrt(max(first + second - (first - second) ** 2 / n, 0.0)) / n


def multinomial_difference(first: float, second: float, n: float, confidence: float = 0.95) -> Estimate:
    """(first - second) / n of two exclusive verdicts of one sample, by its standard error."""
    if n <= 0:
        return Estimate(None, Interval(-1.0, 1.0))
    difference = (first - second) / n
    half = z(confidence) * multinomial_error(first, second, n)
    return Estimate(difference, Interval(difference - half, difference + half))


def paired_difference(gained: float, lost: float, n: float, confidence: float = 0.95) -> Estimate:
    """The change (gained - lost) / n of a rate between two looks at the same `n` rows.

    The interval adds one row to either kind of change (Bonett and Price 2012), so it keeps a width where no row
    changed, and covers with few changes; on many rows it meets `multinomial_difference`.
    """
    if n <= 0:
        return Estimate(None, Interval(-1.0, 1.0))
    centre = (gained - lost) / (n + 2)
    half = z(confidence) * multinomial_error(gained + 1, lost + 1, n + 2)
    return Estimate((gained - lost) / n, Interval(max(-1.0, centre - half), min(1.0, centre + half)))


def _wilson(hits: float, n: float, confidence: float) -> tuple[float, float]:
    if n <= 0:
        return 0.0, 1.0
    p, zz = hits / n, z(confidence) ** 2
    centre = (p + zz / (2 * n)) / (1 + zz / n)
    half = math.sqrt(zz) / (1 + zz / n) * math.sqrt(max(p * (1 - p), 0.0) / n + zz / (4 * n * n))
    return 0.0 if hits <= 0 else max(0.0, centre - half), 1.0 if hits >= n else min(1.0, centre + half)
