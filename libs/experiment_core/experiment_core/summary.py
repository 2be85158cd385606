"""Summarise a replayed table: each side, what changes with its 95 % interval, and one plain sentence."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Ints, inner
from experiment_core.intervals import NOTHING, Estimate, Interval, proportion
from experiment_core.percentiles import Change, Column, change
from experiment_core.resampling import Resampler, Units, paired_share
from experiment_core.rows import EVIDENCE, REUSED, Rows, Side
from experiment_core.similarity import THRESHOLD, Agreement, agreement, histogram

PERCENTILES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
TAIL = 0.99
"""The winsorised line cuts costs at this quantile; the rows beyond it are the tail."""
NEVER_MS = 1e300
"""Sorts a request that never succeeds behind all that do."""


@dataclass(frozen=True, slots=True)
class Route:
    """The traffic that one model answers."""

    model: str
    baseline_share: float
    candidate_share: float
    change: Estimate


@dataclass(frozen=True, slots=True)
class SideSummary:
    """One side over the evaluable rows. Totals and rates are of the window where the table is a weighted sample."""

    requests: int
    cost_nano: int
    """In total; nano-USD."""
    mean_cost_nano: Estimate
    latency_ms: dict[str, Estimate]
    """Percentiles of the requests that succeeded."""
    time_to_success_ms: dict[str, float | None]
    """Percentiles over all requests, where a failed one never succeeds: None where that many fail."""
    error_rate: Estimate
    mean_input_tokens: Estimate
    mean_output_tokens: Estimate


@dataclass(frozen=True, slots=True)
class Delta:
    """Candidate against baseline."""

    absolute: Estimate
    """Candidate minus baseline, per request, in the unit of the metric."""
    percent: Estimate
    """The same in percent of the baseline (of an error rate: in percentage points)."""


@dataclass(frozen=True, slots=True)
class Coverage:
    """How much of the window the comparison rests on, and on what evidence."""

    rows: int
    evaluable: int
    evidence: dict[str, int]
    cost_weighted: float
    """Share of the baseline's cost that the evaluable rows hold; 1 where nothing cost anything."""
    rerouted: Estimate
    """Share of the evaluable rows that another model answers."""
    units: int
    """Independent units among the evaluable rows: runs where rows belong to runs."""


@dataclass(frozen=True, slots=True)
class Tail:
    """How much of the cost change hangs on the dearest rows. A sensitivity, never the headline."""

    top_share: float
    """Share of the baseline's cost in its dearest 1 % of rows."""
    winsorised_percent: Estimate
    """The cost change in percent with both sides' costs cut at their common 99th percentile."""


@dataclass(frozen=True, slots=True)
class Summary:
    """The whole comparison."""

    baseline: SideSummary
    candidate: SideSummary
    deltas: dict[str, Delta]
    """By metric: cost_nano, latency_p50_ms, latency_p95_ms, latency_p99_ms, error_rate, input_tokens, output_tokens."""
    routes: tuple[Route, ...]
    similarity: Estimate
    similarity_histogram: tuple[int, ...]
    agreement: Agreement
    coverage: Coverage
    tail: Tail


def summarise(rows: Rows, seed: int, threshold: float = THRESHOLD, confidence: float = 0.95) -> Summary:
    """Compare the sides of `rows`. The same rows and seed give the same answer to the last digit.

    Rows that cannot be evaluated are counted and left out on both sides. Intervals are paired; by cluster where rows
    have one; weighted where rows weigh unlike; at 95 %, or another confidence (see `stopping`). They tell the error of
    sampling rows. What a projection may be off by comes on top: `Estimate.widened`.
    """
    kept = rows.take(rows.evaluable())
    units = kept.units()
    resampler = Resampler(units, seed, confidence)
    latency = _latency_changes(kept, units, seed, confidence)
    deltas = {"cost_nano": _paired(resampler, kept.baseline.cost_nano, kept.candidate.cost_nano)}
    deltas |= {f"latency_{name}_ms": Delta(c.absolute, c.relative.scaled(100)) for name, c in latency.items()}
    deltas["error_rate"] = _error_delta(kept, units, confidence)
    for name in ("input_tokens", "output_tokens"):
        deltas[name] = _paired(resampler, getattr(kept.baseline, name), getattr(kept.candidate, name))
    scored = ~np.isnan(kept.similarity)
    return Summary(
        _side(kept.baseline, resampler, {name: c.baseline for name, c in latency.items()}),
        _side(kept.candidate, resampler, {name: c.candidate for name, c in latency.items()}),
        deltas,
        _routes(kept, units, confidence),
        resampler.ratio(np.where(scored, kept.similarity, 0.0), scored.astype(np.float64)),
        histogram(kept.similarity),
        agreement(kept.similarity, threshold, units, confidence),
        _coverage(rows, kept, units, confidence),
        _tail(kept, resampler),
    )


def _side(side: Side, resampler: Resampler, latency: dict[str, Estimate]) -> SideSummary:
    units = resampler.units
    cost = side.cost_nano.astype(np.float64)
    return SideSummary(
        len(side),
        round(inner(units.weight, cost)) if not _even(units) else int(side.cost_nano.sum()),
        resampler.mean(cost),
        latency,
        _time_to_success(side, units),
        _rate(~side.ok, units, resampler.confidence),
        resampler.mean(side.input_tokens.astype(np.float64)),
        resampler.mean(side.output_tokens.astype(np.float64)),
    )


def _even(units: Units) -> bool:
    """Whether the table is no sample: every row stands for itself alone."""
    return bool(np.all(units.weight == 1.0))


def _rate(marked: Bools, units: Units, confidence: float) -> Estimate:
    """The share of marked rows: Wilson on as many rows as the units are worth."""
    values = marked.astype(np.float64)
    effective = units.effective_rows(values)
    return proportion(units.mean(values) * effective, effective, confidence)


def _paired(resampler: Resampler, baseline: Ints, candidate: Ints) -> Delta:
    before, after = baseline.astype(np.float64), candidate.astype(np.float64)
    return Delta(resampler.mean(after - before), resampler.ratio(after, before).scaled(100, -100))


def _error_delta(rows: Rows, units: Units, confidence: float) -> Delta:
    """The change of the error rate, from the rows that fail on one side alone."""
    absolute = _share_change(~rows.baseline.ok, ~rows.candidate.ok, rows, units, confidence)
    return Delta(absolute, absolute.scaled(100))


def _share_change(before: Bools, after: Bools, rows: Rows, units: Units, confidence: float) -> Estimate:
    """The change of the share of marked rows; 0 by construction where every row reuses the logged call."""
    if len(rows) and np.all(rows.evidence == REUSED):
        return Estimate(0.0, Interval(0.0, 0.0))
    return paired_share(before, after, units, confidence)


def _latency_changes(rows: Rows, units: Units, seed: int, confidence: float) -> dict[str, Change]:
    columns = [Column(np.where(side.ok, side.latency_ms, np.nan), units) for side in (rows.baseline, rows.candidate)]
    return {name: change(columns[0], columns[1], units, q, seed, confidence) for name, q in PERCENTILES.items()}


def _time_to_success(side: Side, units: Units) -> dict[str, float | None]:
    column = Column(np.where(side.ok, side.latency_ms, NEVER_MS), units)
    found = {name: column.at(q) for name, q in PERCENTILES.items()}
    return {name: None if value is None or value > NEVER_MS / 1e9 else value for name, value in found.items()}


def _routes(rows: Rows, units: Units, confidence: float) -> tuple[Route, ...]:
    """Models by their share of the candidate's traffic, largest first; requests that reached none are left out."""
    found = []
    for code, name in enumerate(rows.models):
        before, after = rows.baseline.model == code, rows.candidate.model == code
        if before.any() or after.any():
            first, second = (units.mean(marked.astype(np.float64)) for marked in (before, after))
            found.append(Route(name, first, second, _share_change(before, after, rows, units, confidence)))
    return tuple(sorted(found, key=lambda route: (-route.candidate_share, route.model)))


def _coverage(rows: Rows, kept: Rows, units: Units, confidence: float) -> Coverage:
    counts = np.bincount(rows.evidence, minlength=len(EVIDENCE))
    spend, known = (inner(table.weight, table.baseline.cost_nano.astype(np.float64)) for table in (rows, kept))
    return Coverage(
        len(rows),
        len(kept),
        {name: int(count) for name, count in zip(EVIDENCE, counts, strict=True)},
        known / spend if spend > 0 else 1.0,
        _rate(kept.rerouted(), units, confidence),
        units.count,
    )


def _tail(rows: Rows, resampler: Resampler) -> Tail:
    before, after = (side.cost_nano.astype(np.float64) for side in (rows.baseline, rows.candidate))
    if not len(rows):
        return Tail(0.0, NOTHING)
    dearest = np.sort(before)[-max(1, len(rows) // 100) :]
    cut = float(np.quantile(np.concatenate([before, after]), TAIL))
    trimmed = resampler.ratio(np.minimum(after, cut), np.minimum(before, cut)).scaled(100, -100)
    return Tail(float(dearest.sum()) / max(float(before.sum()), 1.0), trimmed)
