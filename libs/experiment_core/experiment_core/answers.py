"""How alike the answers of both sides are: of all rows, of the called ones, and against the baseline's own noise."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats
from experiment_core.intervals import Estimate
from experiment_core.resampling import Resampler
from experiment_core.similarity import THRESHOLD, Agreement, agreement, excess_disagreement, histogram

QUANTILES = (0.05, 0.10, 0.50)


@dataclass(frozen=True, slots=True)
class Scored:
    """Some of the pairs."""

    mean: Estimate
    agreement: Agreement
    histogram: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Floor:
    """The logged model asked once more: how far it differs from itself."""

    scored: Scored
    quantiles: dict[float, float]
    """Of its similarities, unweighted: a cut point below which the model's own answers rarely fall."""
    excess: Estimate
    """By how much more of the called pairs disagree than of the baseline's own; 0.1 for ten points."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What is known of the answers."""

    all: Scored
    """The traffic's: rows that keep the logged choice count as equal."""
    called: Scored
    reused: int
    """Rows of `all` that keep the logged choice: similarity 1 by construction."""
    floor: Floor | None
    """None where the logged model was not asked again."""


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Columns of the evaluable rows; NaN: not scored."""

    similarity: Floats
    repeat: Floats
    """Of the logged answer and that of the logged model asked again."""
    called: Bools
    reused: Bools


def compare_answers(pairs: Pairs, resampler: Resampler, threshold: float = THRESHOLD) -> Answers:
    """Intervals as the resampler has units, weights and confidence."""
    called = _scored(np.where(pairs.called, pairs.similarity, np.nan), resampler, threshold)
    return Answers(
        _scored(pairs.similarity, resampler, threshold),
        called,
        int(np.count_nonzero(pairs.reused & ~np.isnan(pairs.similarity))),
        _floor(pairs.repeat, called, resampler, threshold),
    )


def _scored(scores: Floats, resampler: Resampler, threshold: float) -> Scored:
    there = ~np.isnan(scores)
    mean = resampler.ratio(np.where(there, scores, 0.0), there.astype(np.float64))
    return Scored(mean, agreement(scores, threshold, resampler.units, resampler.confidence), histogram(scores))


def _floor(repeat: Floats, called: Scored, resampler: Resampler, threshold: float) -> Floor | None:
    known = repeat[~np.isnan(repeat)]
    if not len(known):
        return None
    scored = _scored(repeat, resampler, threshold)
    excess = excess_disagreement(called.agreement, scored.agreement, resampler.confidence)
    return Floor(scored, {q: float(np.quantile(known, q)) for q in QUANTILES}, excess)
