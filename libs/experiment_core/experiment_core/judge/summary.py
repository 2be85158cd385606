"""Summarise a judge run: the documented figures, and beside them those that hold for the traffic."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from experiment_core.intervals import Estimate
from experiment_core.judge.lengths import LengthControlled, length_controlled
from experiment_core.judge.rates import Bounds, Breakdown, Stratum, bounds, breakdown, traffic_rate, worse_minus_better
from experiment_core.judge.strata import Counts
from experiment_core.similarity import BUCKETS
from experiment_core.verdicts import VERDICTS, Discordance, Judged, Orders, Ties, Verdict, discordance, orders


@dataclass(frozen=True, slots=True)
class JudgedPair:
    """A pair that went to the judge, or was to go."""

    bucket: int
    """Index into `BUCKETS`."""
    judged: Judged
    log_length_ratio: float
    """Log of the candidate's length over the baseline's; NaN when unknown."""


@dataclass(frozen=True, slots=True)
class Summary:
    """A run's outcome."""

    judged_count: int
    """Pairs with a verdict."""
    parse_errors: int
    """Pairs of which a reply could not be read, repaired or not."""
    steered: int
    """Pairs that were put aside, since a text of theirs speaks to the judge."""
    sample: Breakdown
    """Of the judged pairs, unweighted: documented, and not the traffic's."""
    by_bucket: Mapping[str, Breakdown]
    traffic: Mapping[Verdict, Estimate]
    """The headline: the traffic's rates."""
    bounds: Mapping[Verdict, Bounds]
    worse_minus_better: Estimate
    """Of the traffic."""
    discordance: Discordance
    """Worse against better among the judged pairs."""
    length_controlled: Mapping[Verdict, LengthControlled]
    """Better and worse."""
    orders: Orders
    cost_per_pair_nano: float | None
    """Over all pairs that were judged, with a verdict or without; None before the first."""


def strata(pairs: Sequence[JudgedPair], scored: Counts, ties: Ties = "equivalent") -> tuple[Stratum, ...]:
    """Verdicts per bucket. `scored`: the pairs of the whole experiment in each, judged or not."""
    counts = [dict.fromkeys((*VERDICTS, None), 0) for _ in scored]
    for pair in pairs:
        counts[pair.bucket][pair.judged.merge(ties).verdict] += 1
    return tuple(
        Stratum(size, found["better"], found["equivalent"], found["worse"], found[None])
        for size, found in zip(scored, counts, strict=True)
    )


def summarise(
    pairs: Sequence[JudgedPair],
    scored: Counts,
    spend_nano: int,
    ties: Ties = "equivalent",
    confidence: float = 0.95,
    whole: bool = False,
) -> Summary:
    """Summarise `pairs`. `whole`: the scored pairs are all of the traffic, not a sample of it.

    `confidence` is that of the traffic's rates: a run that stopped early passes what its look needed.
    """
    found = strata(pairs, scored, ties)
    merged = [pair.judged.merge(ties) for pair in pairs]
    grounds = [each.ground for each in merged]
    asked = len(pairs) - grounds.count("steered")
    pooled = breakdown(found)
    worse, better = (sum(each.count(verdict) for each in found) for verdict in ("worse", "better"))
    return Summary(
        pooled.n,
        grounds.count("unreadable"),
        grounds.count("steered"),
        pooled,
        {name: breakdown([each]) for name, each in zip(BUCKETS, found, strict=True)},
        {verdict: traffic_rate(found, verdict, confidence, whole) for verdict in VERDICTS},
        {verdict: bounds(found, verdict, confidence) for verdict in VERDICTS},
        worse_minus_better(found, confidence),
        discordance(worse, better, pooled.n),
        _length_controlled(pairs, [each.verdict for each in merged], found, confidence),
        orders([pair.judged for pair in pairs]),
        spend_nano / asked if asked else None,
    )


def _length_controlled(
    pairs: Sequence[JudgedPair], verdicts: Sequence[Verdict | None], found: Sequence[Stratum], confidence: float
) -> dict[Verdict, LengthControlled]:
    known = [(pair, verdict) for pair, verdict in zip(pairs, verdicts, strict=True) if verdict is not None]
    lengths = np.array([pair.log_length_ratio for pair, _ in known], np.float64)
    weight = np.array([found[pair.bucket].pairs / found[pair.bucket].judged for pair, _ in known], np.float64)
    asked: tuple[Verdict, ...] = ("better", "worse")
    return {
        each: length_controlled(
            np.array([verdict == each for _, verdict in known], np.float64), lengths, weight, confidence
        )
        for each in asked
    }
