"""Draw how long a candidate's answers are, spread as real ones and not all at their mean: latencies hang on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from experiment_core.arrays import Floats

FEWEST_NEAR = 8
"""Pairs of nearly the same expected length that lend their scatter, at least."""
QUANTILES = 199
_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Lengths:
    """Lengths around an expected one, from pairs of a pilot and, where there is one, the candidate's own past.

    A drawn length is the expected one times the ratio (answered over expected) of one of the pairs of nearly the same
    expected length. A pilot is short, so the tail of that is rough. Past answers of the candidate are many, but of
    other requests. So each quantile of the drawn lengths is moved towards the same quantile of the past ones, by the
    geometric mean of both; the past weighs by its answers, though never more than the pairs.
    """

    expected: Floats
    """Of the pairs, ascending."""
    ratio: Floats
    """Answered over expected output tokens, of the same pairs."""
    below: Floats
    """Weight of the pairs before each, and of all."""
    drawn_log: Floats
    """Logarithms of lengths (plus one) as they are drawn, ascending; empty without a past."""
    moved_log: Floats
    """Where the past moves these."""

    @classmethod
    def of(cls, answered: Floats, expected: Floats, weight: Floats) -> Lengths:
        """From pairs: output tokens, expected output tokens, and how many rows each stands for."""
        order = np.argsort(expected, kind="stable")
        below = np.concatenate(([0.0], np.cumsum(weight[order])))
        ratio = (answered + 1) / (expected + 1)
        return cls(expected[order], ratio[order], below, np.zeros(0), np.zeros(0))

    def with_history(self, past: Floats, expected: Floats) -> Lengths:
        """Heeding `past` output tokens of the candidate, where rows of these `expected` lengths are to be drawn."""
        if not len(past) or not len(expected):
            return self
        chance: Floats = np.arange(len(expected), dtype=np.float64) * _GOLDEN_RATIO % 1.0
        at = (np.arange(QUANTILES) + 0.5) / QUANTILES
        drawn = np.quantile(np.log1p(self._around(np.sort(expected), chance)), at)
        counted = min(len(past), len(self.expected))
        share = counted / (counted + len(self.expected))
        moved = (1 - share) * drawn + share * np.quantile(np.log1p(past), at)
        known, of_known = np.unique(drawn, return_inverse=True)
        return replace(self, drawn_log=known, moved_log=np.bincount(of_known, moved) / np.bincount(of_known))

    def draw(self, expected: Floats, chance: Floats) -> Floats:
        """A whole number of output tokens for each row of expected length; `chance` in [0, 1) per row."""
        lengths = self._around(expected, chance)
        if len(self.drawn_log):
            logs = np.log1p(lengths)
            inside = np.clip(logs, self.drawn_log[0], self.drawn_log[-1])
            lengths = np.expm1(logs - inside + np.interp(inside, self.drawn_log, self.moved_log))
        whole: Floats = np.maximum(np.rint(lengths), 0.0)
        return whole

    def _around(self, expected: Floats, chance: Floats) -> Floats:
        near = max(FEWEST_NEAR, len(self.expected) // 4)
        first = np.searchsorted(self.expected, expected, "left")
        last = np.searchsorted(self.expected, expected, "right")
        start = np.clip((first + last - near) // 2, 0, len(self.expected) - near)
        low, high = self.below[np.minimum(first, start)], self.below[np.maximum(last, start + near)]
        at = np.searchsorted(self.below, low + chance * (high - low), "right") - 1
        ratio: Floats = self.ratio[np.minimum(at, len(self.ratio) - 1)]
        around: Floats = np.maximum((expected + 1) * ratio - 1, 0.0)
        return around
