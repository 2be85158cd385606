"""From verdicts per bucket to the rates of the traffic, each with an interval that covers them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiment_core.distributions import z
from experiment_core.intervals import Estimate, Interval, paired_difference, proportion
from experiment_core.verdicts import VERDICTS, Verdict


@dataclass(frozen=True, slots=True)
class Stratum:
    """One bucket: its share of all scored pairs, and what the judge said of those it saw."""

    pairs: int
    """Scored pairs of the whole experiment that lie in the bucket."""
    better: int = 0
    equivalent: int = 0
    worse: int = 0
    without: int = 0
    """Pairs that were to be judged and have no verdict: unreadable replies, and texts that speak to the judge."""

    @property
    def judged(self) -> int:
        """Pairs with a verdict."""
        return self.better + self.equivalent + self.worse

    def count(self, verdict: Verdict) -> int:
        return {"better": self.better, "equivalent": self.equivalent, "worse": self.worse}[verdict]


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Shares of the verdicts among judged pairs, with Wilson's intervals: the sample's, not the traffic's."""

    n: int
    verdicts: dict[Verdict, Estimate]


@dataclass(frozen=True, slots=True)
class Bounds:
    """A rate when pairs without a verdict are left out, and when all of them count one way or the other."""

    complete: Estimate
    all_better: Estimate
    all_worse: Estimate


def breakdown(strata: Sequence[Stratum]) -> Breakdown:
    """Pool `strata` unweighted, as they were sampled."""
    n = sum(stratum.judged for stratum in strata)
    return Breakdown(n, {each: proportion(sum(s.count(each) for s in strata), n) for each in VERDICTS})


def traffic_rate(
    strata: Sequence[Stratum], verdict: Verdict, confidence: float = 0.95, whole: bool = False
) -> Estimate:
    """The share of the traffic with `verdict`: post-stratified, MOVER-Wilson interval.

    Where a bucket shows so few cases (or so few others) that Wilson's bound on that side cannot be trusted, one or two
    at 95 % confidence, the exact bound stands in.

    The scored pairs count as a sample of the traffic, so the buckets' shares are uncertain too. With `whole` they are
    all there is: shares are exact, and a bucket that was judged to the last pair adds no error.

    A bucket that holds pairs but no verdict may have any rate: the interval spans both ends, and there is no value.
    """
    found = [_share(stratum.count(verdict), stratum.judged, confidence) for stratum in strata]
    if whole:
        corrected = [_corrected(each, stratum) for each, stratum in zip(found, strata, strict=True)]
        return _combined(strata, corrected, 0.0, 0.0)
    return _combined(strata, found, 0.0, z(confidence))


def normal_rate(strata: Sequence[Stratum], verdict: Verdict, confidence: float = 0.95) -> Estimate:
    """The same rate with a plain normal interval, each bucket's spread taken with one case of either kind added.

    For sequences, whose theory is of means and their errors: where a case too many falls into a bucket that holds most
    of the traffic, it stays wide below, and MOVER does not. No value where a bucket with pairs has no verdict.
    """
    held = [stratum for stratum in strata if stratum.pairs > 0]
    if not held or any(stratum.judged == 0 for stratum in held):
        return Estimate(None, Interval(0.0, 1.0))
    scored, value, variance = sum(stratum.pairs for stratum in held), 0.0, 0.0
    known = []
    for stratum in held:
        weight, hits, n = stratum.pairs / scored, stratum.count(verdict), stratum.judged
        smooth = (hits + 1) / (n + 2)
        value += weight * hits / n
        variance += weight**2 * smooth * (1 - smooth) / n
        known.append((weight, hits / n))
    half = z(confidence) * math.sqrt(variance + _weights_variance(known, scored))
    return Estimate(value, Interval(max(0.0, value - half), min(1.0, value + half)))


def bounds(strata: Sequence[Stratum], verdict: Verdict, confidence: float = 0.95) -> Bounds:
    """The traffic's rate of `verdict` with pairs that have no verdict left out, all better, and all worse."""
    better = [replace(s, better=s.better + s.without, without=0) for s in strata]
    worse = [replace(s, worse=s.worse + s.without, without=0) for s in strata]
    return Bounds(*(traffic_rate(each, verdict, confidence) for each in (strata, better, worse)))


def worse_minus_better(strata: Sequence[Stratum], confidence: float = 0.95) -> Estimate:
    """How much more of the traffic gets worse than better; above 0 is a loss."""
    found = [paired_difference(stratum.worse, stratum.better, stratum.judged, confidence) for stratum in strata]
    return _combined(strata, found, -1.0, z(confidence))


def _combined(strata: Sequence[Stratum], found: Sequence[Estimate], least: float, deviations: float) -> Estimate:
    """MOVER (Zou and Donner 2008): weigh the values, add the distances to their bounds in quadrature.

    `deviations` times the standard error of the weights, which are counts of a sample, is added likewise; 0 where the
    weights are exact. `least` is the lowest value possible, 1 the highest.
    """
    scored = sum(stratum.pairs for stratum in strata)
    value, down, up, unknown = 0.0, 0.0, 0.0, 0.0
    known: list[tuple[float, float]] = []
    for stratum, each in zip(strata, found, strict=True):
        if stratum.pairs == 0:
            continue
        weight = stratum.pairs / scored
        if each.value is None or each.interval.lower is None or each.interval.upper is None:
            unknown += weight
            continue
        known.append((weight, each.value))
        value += weight * each.value
        down += (weight * (each.value - each.interval.lower)) ** 2
        up += (weight * (each.interval.upper - each.value)) ** 2
    if not known:
        return Estimate(None, Interval(least, 1.0))
    extra = deviations**2 * _weights_variance(known, scored)
    lower, upper = value - math.sqrt(down + extra) + least * unknown, value + math.sqrt(up + extra) + unknown
    return Estimate(value if unknown == 0 else None, Interval(max(least, lower), min(1.0, upper)))


def _share(hits: int, n: int, confidence: float) -> Estimate:
    """Wilson's interval, its bounds beside up to z^2 / 2 cases replaced by the exact ones.

    There Wilson's bound misses rare rates far too often (Brown, Cai and DasGupta 2001): with a bucket that holds nearly
    all the traffic the whole interval would. The more confidence, the more cases the normal quantile needs.
    """
    found = proportion(hits, n, confidence)
    lower, upper = found.interval.lower, found.interval.upper
    tail, few = (1 - confidence) / 2, round(z(confidence) ** 2 / 2)
    if 0 < hits <= few:
        lower = _least_rate(hits, n, tail)
    if 0 < n - hits <= few:
        upper = 1 - _least_rate(n - hits, n, tail)
    return Estimate(found.value, Interval(lower, upper))


def _least_rate(hits: int, n: int, tail: float) -> float:
    """The rate at which `hits` or more of `n` have the probability `tail` (Clopper and Pearson 1934)."""
    low, high = 0.0, hits / n
    for _ in range(60):
        rate = (low + high) / 2
        fewer = math.fsum(math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(hits))
        low, high = (rate, high) if 1 - fewer < tail else (low, rate)
    return low


def _weights_variance(known: Sequence[tuple[float, float]], scored: int) -> float:
    """The variance that weights counted among `scored` pairs bring: sum W (p - mean)^2 / scored."""
    share = math.fsum(weight for weight, _ in known)
    mean = math.fsum(weight * rate for weight, rate in known) / share
    return math.fsum(weight * (rate - mean) ** 2 for weight, rate in known) / scored


def _corrected(found: Estimate, stratum: Stratum) -> Estimate:
    """Shrink an interval by the finite population: none is left where every pair was judged."""
    if found.value is None:
        return found
    factor = math.sqrt(max(stratum.pairs - stratum.judged, 0) / max(stratum.pairs - 1, 1))
    return Estimate(found.value, found.interval.scaled(factor, (1 - factor) * found.value))
