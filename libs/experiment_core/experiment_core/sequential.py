"""Look at a running experiment as often as you like: confidence sequences, and budgets of error over many looks."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Literal

from experiment_core.intervals import NOTHING, Estimate, Interval

Decision = Literal["met", "refuted", "undecided"]
_FARTHEST = 7.5
"""Standard errors beyond which a level cannot be told from 1: the look comes too early to say anything."""


@dataclass(frozen=True, slots=True)
class ConfidenceSequence:
    """Intervals that hold at all looks at once with probability 1 - `alpha` (asymptotically).

    Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory" (2024), tuned to be narrowest
    at `expected` observations. A run may stop at any look, for any reason, and its interval stays valid.
    """

    expected: int
    alpha: float = 0.05

    def rho(self) -> float:
        """The mixture's parameter."""
        log = -2 * math.log(self.alpha)
        return math.sqrt((log + math.log(log + 1)) / self.expected)

    def half_width(self, n: int, deviation: float = 1.0) -> float:
        """Half the width after `n` observations of that standard deviation; infinite before the first."""
        if n < 1:
            return math.inf
        spread = n * self.rho() ** 2 + 1
        return deviation * math.sqrt(2 * spread / (n * self.rho()) ** 2 * math.log(math.sqrt(spread) / self.alpha))

    def errors(self, n: int) -> float:
        """The same in standard errors of a mean of `n`: what takes the place of 1.96."""
        return self.half_width(n) * math.sqrt(n)

    def look(self, n: int, estimate: Callable[[float], Estimate]) -> Estimate:
        """What `estimate` says at the confidence that a look after `n` observations needs.

        So any interval whose width goes with the normal quantile becomes one of the sequence; Wilson's keeps its width
        where no case was seen, which the plain formula does not. Nothing when it is too early for any interval.
        """
        if n < 1 or self.errors(n) > _FARTHEST:
            return NOTHING
        return estimate(2 * NormalDist().cdf(self.errors(n)) - 1)


@dataclass(frozen=True, slots=True)
class Threshold:
    """A claim about a quantity: that it lies above, or below, a value. An interval meets it, refutes it, or neither."""

    value: float
    below: bool
    """Whether the claim is that the quantity is less."""
    inclusive: bool = True
    """Whether the value itself still meets it."""

    def decide(self, interval: Interval) -> Decision:
        """By interval bounds alone, never by the value between them. A bound that is not known proves nothing."""
        far, near = (interval.upper, interval.lower) if self.below else (interval.lower, interval.upper)
        if far is not None and self._holds(far):
            return "met"
        if near is not None and not self._holds(near):
            return "refuted"
        return "undecided"

    def _holds(self, found: float) -> bool:
        if found == self.value:
            return self.inclusive
        return found < self.value if self.below else found > self.value


def spent(alpha: float, look: int, planned: int | None = None) -> float:
    """The part of `alpha` that look number `look` (from 1) may use, so that all looks together stay within it.

    Even over a `planned` number of looks, of which later ones get none; without one 6 / (pi look)^2, which never runs
    out. The sum bounds the error however much the looks share data, as those over a rolling window do.
    """
    if look < 1:
        raise ValueError(f"looks are counted from 1, not {look}")
    if planned is None:
        return alpha * 6 / (math.pi * look) ** 2
    return alpha / planned if look <= planned else 0.0


def persistent(alarms: Sequence[bool], needed: int = 2, of: int = 3) -> bool:
    """Whether `needed` of the last `of` looks alarm, the newest (the last) among them."""
    return bool(alarms) and alarms[-1] and sum(alarms[-of:]) >= needed
