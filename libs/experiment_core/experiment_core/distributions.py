"""Quantiles of the normal, Student's and the binomial distribution, as intervals need them."""

from __future__ import annotations

import math
from fractions import Fraction
from statistics import NormalDist

import numpy as np

Z95 = 1.959963984540054
"""The normal quantile of a two-sided 95 % interval."""


def z(confidence: float) -> float:
    """The normal quantile of a two-sided interval, for instance 1.96 for .95."""
    return Z95 if confidence == 0.95 else NormalDist().inv_cdf((1 + confidence) / 2)


def student(confidence: float, freedom: float) -> float:
    """Student's quantile of a two-sided interval with `freedom` (1 or more) degrees of freedom.

    Exact for 1 and 2 degrees, else Hill's expansion (CACM algorithm 396), good to five digits from 3 degrees up.
    """
    tail = 1 - confidence
    if freedom < 1:
        raise ValueError(f"a mean of {freedom + 1:g} values has no interval: give at least two")
    if freedom == 1:
        return 1 / math.tan(math.pi * tail / 2)
    if freedom == 2:
        return math.sqrt(2 / (tail * (2 - tail)) - 2)
    a = 1 / (freedom - 0.5)
    b = 48 / a**2
    c = ((20700 * a / b - 98) * a - 16) * a + 96.36
    d = ((94.5 / (b + c) - 3) / b + 1) * math.sqrt(a * math.pi / 2) * freedom
    y = (d * tail) ** (2 / freedom)
    if y > 0.05 + a:
        x = -z(confidence)
        y = x * x
        if freedom < 5:
            c += 0.3 * (freedom - 4.5) * (x + 0.6)
        c = (((0.05 * d * x - 5) * x - 7) * x - 2) * x + b + c
        y = (((((0.4 * y + 6.3) * y + 36) * y + 94.5) / c - y - 3) / b + 1) * x
        y = math.expm1(a * y * y)
    else:
        inner = 1 / (((freedom + 6) / (freedom * y) - 0.089 * d - 0.822) * (freedom + 2) * 3) + 0.5 / (freedom + 4)
        y = (inner * y - 1) * (freedom + 1) / (freedom + 2) + 1 / y
    return math.sqrt(freedom * y)


def binomial_ranks(n: int, p: float, confidence: float) -> tuple[int | None, int | None]:
    """The ranks (from 1) of the order statistics of `n` values that enclose their `p` quantile.

    Holds with at least `confidence`, each tail on its own. None: no value of the sample bounds that side.
    """
    tail = (1 - confidence) / 2
    spread = 12 * math.sqrt(n * p * (1 - p)) + 20
    first, last = max(0, math.floor(n * p - spread)), min(n, math.ceil(n * p + spread))
    counts = np.arange(first, last + 1)
    steps = np.log((n - counts[:-1]) / (counts[:-1] + 1)) + math.log(p / (1 - p))
    start = math.lgamma(n + 1) - math.lgamma(first + 1) - math.lgamma(n - first + 1)
    start += first * math.log(p) + (n - first) * math.log1p(-p)
    below = np.cumsum(np.exp(start + np.concatenate(([0.0], np.cumsum(steps)))))
    lower = first + int(np.searchsorted(below, tail, side="right"))
    upper = first + int(np.searchsorted(below, 1 - tail)) + 1
    return (lower if lower >= 1 else None), (upper if upper <= n else None)


def exact_sign_p(first: int, second: int) -> float:
    """McNemar's exact two-sided p of `first` against `second` discordant pairs."""
    n, k = first + second, min(first, second)
    below = sum(math.comb(n, i) for i in range(k + 1))
    return min(1.0, float(Fraction(2 * below, 1 << n)))
