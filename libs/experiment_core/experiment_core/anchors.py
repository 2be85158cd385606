"""Correct a judge's rates by a few human labels, and state how far the judge can be trusted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats
from experiment_core.distributions import z
from experiment_core.intervals import NOTHING, Estimate, Interval, proportion
from experiment_core.verdicts import VERDICTS, Kappa, Verdict, kappa

FEWEST_LABELS = 30
"""Below this many human labels the normal interval of a correction is not to be trusted."""
LEAST_YOUDEN = 0.1
"""Sensitivity + specificity - 1 below which a judge tells next to nothing, and dividing by it only adds noise."""


@dataclass(frozen=True, slots=True, eq=False)
class Labelled:
    """What is known of one bucket (or of all): the judge on every pair, people on a random part.

    Values are numbers per pair: 1 where the verdict in question was given, else 0; halves are allowed.
    """

    human: Floats
    judge: Floats
    """On the pairs that people labelled."""
    unlabelled: Floats
    """The judge on the others."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """A rate as people would have given it."""

    rate: Estimate
    human_only: Estimate
    """From the labels alone, by the same kind of interval."""
    trust: float
    """The weight (lambda) that the judge's verdicts got, 0 to 1, averaged over buckets."""

    @property
    def width_ratio(self) -> float | None:
        """Width of the corrected interval over that of the labels alone; below 1 the judge helped."""
        widths = [_width(each.interval) for each in (self.rate, self.human_only)]
        return None if widths[0] is None or not widths[1] else widths[0] / widths[1]


def prediction_powered(parts: Sequence[tuple[float, Labelled]], confidence: float = 0.95) -> Corrected:
    """PPI++ (Angelopoulos, Duchi and Zrnic 2023) per bucket, weighed by the traffic's shares (they sum to 1).

    Valid however bad the judge is, as long as the labelled pairs are a random part of their bucket: a useless judge
    gets no trust, and the labels alone remain. Nothing where a bucket has fewer than two labels.
    """
    parts = [(weight, part) for weight, part in parts if weight > 0]
    if not parts or any(len(part.human) < 2 for _, part in parts):
        return Corrected(NOTHING, NOTHING, 0.0)
    labels = sum(len(part.human) for _, part in parts)
    pairs = labels + sum(len(part.unlabelled) for _, part in parts)
    trusts = [power(part) for _, part in parts]
    sums = []
    for lams in (trusts, [0.0] * len(parts)):
        found = [(weight, *powered(part, lam)) for (weight, part), lam in zip(parts, lams, strict=True)]
        sums.append((sum(w * value for w, value, _ in found), sum(w**2 * variance for w, _, variance in found)))
    rate, plain = (_score(value, variance, labels, pairs, confidence) for value, variance in sums)
    return Corrected(rate, plain, sum(weight * lam for (weight, _), lam in zip(parts, trusts, strict=True)))


def power(part: Labelled) -> float:
    """The weight of the judge that makes the interval narrowest: cov(Y, F) / ((1 + n/N) var F), cut at [0, 1]."""
    n, others = len(part.human), len(part.unlabelled)
    spread = float(np.concatenate([part.judge, part.unlabelled]).var(ddof=1))
    if others == 0 or spread == 0:
        return 0.0
    together = float(np.cov(part.human, part.judge)[0, 1])
    return min(1.0, max(0.0, together / ((1 + n / others) * spread)))


def powered(part: Labelled, lam: float) -> tuple[float, float]:
    """The estimate lam mean(F unlabelled) + mean(Y - lam F) with a given weight, and its variance."""
    rest = part.human - lam * part.judge
    variance = float(rest.var(ddof=1)) / len(rest)
    if lam == 0 or len(part.unlabelled) < 2:
        return float(rest.mean()), variance
    others = part.unlabelled
    return lam * float(others.mean()) + float(rest.mean()), variance + lam**2 * float(others.var(ddof=1)) / len(others)


@dataclass(frozen=True, slots=True)
class Confusion:
    """How a judge's yes and no meet people's."""

    yes_right: int
    yes: int
    """Pairs that people call so, and of these the ones that the judge does too."""
    no_right: int
    no: int

    @classmethod
    def of(cls, human: Bools, judge: Bools) -> Confusion:
        yes, no = int(human.sum()), int((~human).sum())
        return cls(int((human & judge).sum()), yes, int((~human & ~judge).sum()), no)

    def sensitivity(self) -> Estimate:
        return proportion(self.yes_right, self.yes)

    def specificity(self) -> Estimate:
        return proportion(self.no_right, self.no)


def rogan_gladen(rate: float, n: int, confusion: Confusion, confidence: float = 0.95) -> Estimate:
    """A judge's `rate` on `n` pairs, turned into the true one by its sensitivity and specificity; cut at [0, 1].

    Rogan and Gladen 1978. Nothing where the judge does no better than chance, or people never said yes or no.
    """
    if n < 1 or not confusion.yes or not confusion.no:
        return NOTHING
    q1, q0 = confusion.yes_right / confusion.yes, confusion.no_right / confusion.no
    youden = q0 + q1 - 1
    if youden < LEAST_YOUDEN:
        return NOTHING
    value = (rate + q0 - 1) / youden
    variance = (
        rate * (1 - rate) / n
        + (1 - value) ** 2 * q0 * (1 - q0) / confusion.no
        + value**2 * q1 * (1 - q1) / confusion.yes
    ) / youden**2
    half = z(confidence) * math.sqrt(variance)
    kept = [min(1.0, max(0.0, each)) for each in (value, value - half, value + half)]
    return Estimate(kept[0], Interval(kept[1], kept[2]))


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far the judge agrees with people on this traffic."""

    labels: int
    agreement: Estimate
    kappa: Kappa
    sentence: str


def reliability(human: Sequence[Verdict], judge: Sequence[Verdict | None]) -> Reliability:
    """Compare verdicts on the same pairs, and say in one sentence what the judge is worth.

    A pair that the judge gave no verdict on counts as disagreement. Raises ValueError on unlike lengths.
    """
    agreed = sum(a == b for a, b in zip(human, judge, strict=True))
    found, chance = proportion(agreed, len(human)), kappa(human, judge)
    return Reliability(len(human), found, chance, _sentence(found, chance, len(human), judge))


def _sentence(found: Estimate, chance: Kappa, labels: int, judge: Sequence[Verdict | None]) -> str:
    if found.value is None:
        return "no pair has a human label: how far this judge can be trusted on this traffic is not known"
    low, high = (100 * (bound or 0.0) for bound in (found.interval.lower, found.interval.upper))
    text = (
        f"the judge agrees with people on {100 * found.value:.0f} % [{low:.0f}, {high:.0f}] of {labels} labelled pairs"
    )
    if chance.kappa.value is not None:
        text += f", kappa {chance.kappa.value:.2f}"
    never = [each for each in VERDICTS if each not in judge]
    if labels < FEWEST_LABELS:
        return f"{text}; label at least {FEWEST_LABELS} pairs before you rely on it"
    lower = chance.kappa.interval.lower
    if lower is None or lower <= 0:
        return f"{text}: no better than chance for all these labels show; do not decide by its verdicts"
    return f"{text}; it never says {' or '.join(never)}" if never else text


def _score(value: float, variance: float, labels: int, pairs: int, confidence: float) -> Estimate:
    """A rate with Wilson's interval for as many labels as its variance is worth, `labels` to `pairs` of them.

    The plain normal interval has no width where no label says yes.
    """
    p = min(1.0, max(0.0, value))
    worth = p * (1 - p) / variance if variance > 0 else 0.0
    return proportion(p * (n := min(max(worth, labels), pairs)), n, confidence)


def _width(interval: Interval) -> float | None:
    return None if interval.lower is None or interval.upper is None else interval.upper - interval.lower
