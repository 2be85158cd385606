"""Merge what a judge says of a pair in two orders into a verdict, and tell how far the judge agrees with itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from experiment_core.distributions import exact_sign_p, z
from experiment_core.intervals import NOTHING, UNKNOWN, Estimate, Interval, multinomial_difference, proportion
from experiment_core.resampling import Units

Verdict = Literal["better", "equivalent", "worse"]
"""Of the candidate's answer against the baseline's."""
Said = Literal["better", "equivalent", "worse", "unreadable", "steered", "unasked"]
"""What one call to the judge brought. Unreadable: its reply broke the contract, the repair too. Steered: it was not
called, since a text of the pair speaks to the judge.
"""
Ground = Literal["agreed", "single", "opposite", "tie_and_win", "unreadable", "steered"]
"""Why a pair has its verdict. Single: asked in one order alone. Opposite and tie_and_win: the orders disagree.
Unreadable and steered pairs have none.
"""
Ties = Literal["equivalent", "win"]
VERDICTS: tuple[Verdict, ...] = ("better", "equivalent", "worse")
_OPPOSITE = {"better", "worse"}


@dataclass(frozen=True, slots=True)
class Merged:
    """A pair's verdict; None where the judge gave none."""

    verdict: Verdict | None
    ground: Ground

    @property
    def inconsistent(self) -> bool:
        """Whether the order of the answers changed what the judge said."""
        return self.ground in ("opposite", "tie_and_win")


@dataclass(frozen=True, slots=True)
class Judged:
    """One pair, asked in one order or in both."""

    baseline_first: Said
    candidate_first: Said

    def merge(self, ties: Ties = "equivalent") -> Merged:
        """Twice the same: that. Opposite: equivalent. A tie and a win: by `ties`. One of two unreadable: none.

        Half an answer is not taken for a whole one: it would bring back the bias that the second order removes.
        """
        said = [each for each in (self.baseline_first, self.candidate_first) if each != "unasked"]
        verdicts = [each for each in VERDICTS for one in said if one == each]
        if not said or len(verdicts) < len(said):
            return Merged(None, "steered" if "steered" in said else "unreadable")
        if len(said) == 1:
            return Merged(verdicts[0], "single")
        if verdicts[0] == verdicts[1]:
            return Merged(verdicts[0], "agreed")
        if set(verdicts) == _OPPOSITE:
            return Merged("equivalent", "opposite")
        winner: Verdict = "better" if "better" in verdicts else "worse"
        return Merged("equivalent" if ties == "equivalent" else winner, "tie_and_win")


@dataclass(frozen=True, slots=True)
class Orders:
    """How the order of the answers sways a judge."""

    both: int
    """Pairs with a readable verdict in each order."""
    consistency: Estimate
    """Share of these with the same verdict twice."""
    first_chosen: Estimate
    """Share of decisive replies that prefer the answer shown first, of all pairs; .5 without position bias.

    Pairs asked in one order count: the order was drawn by lot.
    """
    opposite: int
    tie_and_win: int
    unreadable: int
    steered: int


def orders(pairs: Sequence[Judged]) -> Orders:
    """Consistency and position bias over `pairs`. The two replies of a pair count as one unit in the interval."""
    merged = [pair.merge() for pair in pairs]
    grounds = [each.ground for each in merged]
    agreed = grounds.count("agreed")
    both = agreed + grounds.count("opposite") + grounds.count("tie_and_win")
    chosen, owner = [], []
    for number, pair in enumerate(pairs):
        for said, first_wins in ((pair.baseline_first, "worse"), (pair.candidate_first, "better")):
            if said in _OPPOSITE:
                chosen.append(float(said == first_wins))
                owner.append(number)
    return Orders(
        both,
        proportion(agreed, both),
        _clustered(chosen, owner),
        grounds.count("opposite"),
        grounds.count("tie_and_win"),
        grounds.count("unreadable"),
        grounds.count("steered"),
    )


@dataclass(frozen=True, slots=True)
class Kappa:
    """How far two runs agree on the same pairs."""

    pairs: int
    """With a verdict in both."""
    observed: float | None
    expected: float | None
    """By chance, from the shares of each run's verdicts."""
    kappa: Estimate


def kappa(first: Sequence[Verdict | None], second: Sequence[Verdict | None]) -> Kappa:
    """Cohen's kappa; None where both runs always say one and the same thing. Raises ValueError on unlike lengths."""
    known = [(a, b) for a, b in zip(first, second, strict=True) if a is not None and b is not None]
    n = len(known)
    if n == 0:
        return Kappa(0, None, None, NOTHING)
    observed = sum(a == b for a, b in known) / n
    shares = [(sum(a == each for a, _ in known) / n, sum(b == each for _, b in known) / n) for each in VERDICTS]
    expected = math.fsum(a * b for a, b in shares)
    return Kappa(n, observed, expected, chance_corrected(observed, expected, n))


def chance_corrected(observed: float, expected: float, n: int) -> Estimate:
    """(observed - expected) / (1 - expected) with its large-sample interval, cut at [-1, 1]."""
    if expected >= 1:
        return NOTHING
    value = (observed - expected) / (1 - expected)
    half = z(0.95) * math.sqrt(observed * (1 - observed) / n) / (1 - expected)
    return Estimate(value, Interval(max(-1.0, value - half), min(1.0, value + half)))


@dataclass(frozen=True, slots=True)
class Discordance:
    """Pairs of which one side wins, against those of which the other does (McNemar)."""

    difference: Estimate
    """(first - second) / n."""
    p: float
    """Exact and two-sided."""
    chi2: float
    chi2_corrected: float
    """With the correction for continuity."""


def discordance(first: int, second: int, n: int) -> Discordance:
    """McNemar's test of `first` against `second` of `n` pairs."""
    split = first + second
    plain = (first - second) ** 2 / split if split else 0.0
    corrected = max(abs(first - second) - 1, 0) ** 2 / split if split else 0.0
    return Discordance(multinomial_difference(first, second, n), exact_sign_p(first, second), plain, corrected)


def _clustered(values: Sequence[float], owner: Sequence[int]) -> Estimate:
    if not values:
        return Estimate(None, UNKNOWN)
    units = Units.of(len(values), np.array(owner, np.int64))
    table = np.array(values)
    effective = units.effective_rows(table)
    return proportion(units.mean(table) * effective, effective)
