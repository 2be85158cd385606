"""Read the similarity of answer pairs: histogram, agreement and the buckets a judge samples from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.intervals import Estimate, independent_difference, proportion
from experiment_core.resampling import Units

BINS = 10
THRESHOLD = 0.85
HIGH, MILD = 0.95, 0.80
BUCKETS = ("high", "mild", "major")


@dataclass(frozen=True, slots=True)
class Agreement:
    """How many scored pairs reach a threshold."""

    threshold: float
    scored: int
    unscored: int
    """Pairs without a score. They are no disagreement."""
    rate: Estimate
    """Share of the scored pairs at or above the threshold, with Wilson's interval."""
    effective: float
    """As how many independent pairs the rate is known: fewer than scored where pairs come in runs or weigh unlike."""


def histogram(scores: Floats) -> tuple[int, ...]:
    """Counts in ten equal buckets of [0, 1]; a bucket holds its lower edge, the last one both. NaN is left out.

    Scores beyond [0, 1] (a cosine may be below 0) count in the outermost bucket.
    """
    scored = scores[~np.isnan(scores)]
    buckets = np.minimum(np.floor(np.clip(scored, 0.0, 1.0) * BINS + 1e-9), BINS - 1).astype(np.int64)
    return tuple(int(count) for count in np.bincount(buckets, minlength=BINS))


def agreement(
    scores: Floats, threshold: float = THRESHOLD, units: Units | None = None, confidence: float = 0.95
) -> Agreement:
    """Agreement at `threshold`, by the units that the scores belong to (each pair its own when None)."""
    scored = ~np.isnan(scores)
    count = int(np.count_nonzero(scored))
    agree = (scores[scored] >= threshold).astype(np.float64)
    weight = np.ones(count) if units is None else units.weight[scored]
    owners = Units.of(count) if units is None else Units.of(count, units.of_row[scored], weight)
    effective = owners.effective_rows(agree)
    rate = proportion(owners.mean(agree) * effective, effective, confidence)
    return Agreement(threshold, count, len(scores) - count, rate, effective)


def excess_disagreement(candidate: Agreement, floor: Agreement, confidence: float = 0.95) -> Estimate:
    """By how much more the candidate disagrees with the baseline than the baseline with itself.

    `floor` comes from calling the baseline again: a model that answers unlike itself has no business to be blamed for
    it twice. Both must have one threshold.
    """
    if candidate.threshold != floor.threshold:
        raise ValueError(
            f"agreement at {candidate.threshold} and at {floor.threshold} do not compare: use one threshold"
        )
    agreeing = ((side.rate.value or 0.0) * side.effective for side in (floor, candidate))
    return independent_difference(next(agreeing), floor.effective, next(agreeing), candidate.effective, confidence)


def buckets(scores: Floats, high: float = HIGH, mild: float = MILD) -> Ints:
    """For each pair its index in `BUCKETS`, or -1 where it has no score."""
    coded = np.where(scores >= high, 0, np.where(scores >= mild, 1, 2))
    return np.where(np.isnan(scores), -1, coded).astype(np.int64)
