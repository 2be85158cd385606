"""What a live split says of the candidate: its cost, latency and errors, from requests that chance sent its way."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats
from experiment_core.estimate import OffPolicy, RewardModel, off_policy
from experiment_core.intervals import Estimate
from experiment_core.resampling import Units
from experiment_core.rows import OBSERVED, REUSED, Rows
from experiment_core.sentence import amount
from modelux_replay.summary.shapes import NANO, Json, estimate

LIKE_ARMS = (
    "the rows that chance sent the candidate's way weigh {mean:.2f} times what they should: several arms of the logged "
    "split do what the candidate does, and a trace tells the share of one"
)
_FAR = 5.0
"""Standard errors by which the mean weight may differ from 1."""
_FEWEST_FITTED = 10


@dataclass(frozen=True, slots=True, eq=False)
class Splits:
    """What the splits of the log did with each row; NaN where it met none."""

    propensity: Floats
    """How likely they led it where it went."""
    draw: Floats
    """Where its user, run, key or itself fell: the same draw for all rows of a unit that is always sent one way."""

    def take(self, kept: Bools) -> Splits:
        return Splits(self.propensity[kept], self.draw[kept])


def from_splits(rows: Rows, splits: Splits) -> Json | None:
    """The estimates over rows with a propensity, or why there are none; None where no row has one.

    A row counts as the candidate's where its whole course would be the logged one.
    """
    known = ~np.isnan(splits.propensity) & rows.evaluable()
    if not known.any():
        return None
    kept, splits = rows.take(known), splits.take(known)
    same = (kept.evidence == REUSED) | ((kept.evidence == OBSERVED) & ~kept.rerouted())
    scale = kept.weight / float(kept.weight.mean())
    target = np.where(same, scale, 0.0)
    weight = target / splits.propensity
    found: Json = {"rows": len(kept), "as_candidate": int(same.sum()), "mean_weight": float(weight.mean())}
    by_metric = {name: _estimated(kept, values, splits, target) for name, values in _rewards(kept).items()}
    first = by_metric["cost_usd"]
    refusal = first.refusal or _unlike(weight, _units(kept, splits))
    found |= {"effective_rows": first.effective_rows, "largest_weight_share": first.largest_share, "refusal": refusal}
    if refusal is not None:
        return found | {"estimates": None, "sentence": f"no estimate from the live split: {refusal}"}
    estimates = {name: _shown(each, _SCALES[name]) for name, each in by_metric.items() if each.refusal is None}
    return found | {"estimates": estimates, "sentence": _sentence(first, len(kept))}


_SCALES: Mapping[str, float] = {"cost_usd": 1 / NANO, "latency_ms": 1.0, "error_rate": 1.0}


def _rewards(rows: Rows) -> Mapping[str, Floats]:
    """Of the logged side; NaN: not known."""
    logged = rows.baseline
    return {
        "cost_usd": logged.cost_nano.astype(np.float64),
        "latency_ms": np.where(logged.ok, logged.latency_ms, np.nan),
        "error_rate": (~logged.ok).astype(np.float64),
    }


def _estimated(rows: Rows, rewards: Floats, splits: Splits, target: Floats) -> OffPolicy:
    known = ~np.isnan(rewards)
    kept, rewards, splits = rows.take(known), rewards[known], splits.take(known)
    return off_policy(rewards, splits.propensity, target[known], _model(kept, rewards), _units(kept, splits))


def _units(rows: Rows, splits: Splits) -> Units:
    """What is independent: what was drawn, or the runs, whichever takes in the other."""
    _, drawn = np.unique(splits.draw, return_inverse=True)
    drawn = np.where(np.isnan(splits.draw), -1, drawn)
    return min((Units.of(len(rows), cluster) for cluster in (rows.cluster, drawn)), key=lambda units: units.count)


def _model(rows: Rows, rewards: Floats) -> RewardModel:
    """What a call is expected to bring, by the model that answers and the length of its input."""
    length = rows.baseline.input_tokens.astype(np.float64)
    of_logged, of_target = (np.full(len(rewards), rewards.mean() if len(rewards) else 0.0) for _ in range(2))
    for code in np.unique(rows.baseline.model).tolist():
        mine = rows.baseline.model == code
        level, slope = _line(length[mine], rewards[mine])
        for side, expected in ((rows.baseline.model, of_logged), (rows.candidate.model, of_target)):
            expected[side == code] = level + slope * length[side == code]
    return RewardModel(of_logged, of_target)


def _line(length: Floats, rewards: Floats) -> tuple[float, float]:
    """Level and slope of the least squares; no slope from few rows or of equal length."""
    spread = float(np.var(length))
    if len(length) < _FEWEST_FITTED or spread <= 0:
        return float(rewards.mean()), 0.0
    slope = float(np.mean((length - length.mean()) * (rewards - rewards.mean()))) / spread
    return float(rewards.mean()) - slope * float(length.mean()), slope


def _unlike(weight: Floats, units: Units) -> str | None:
    """Why the weights cannot be those of the logged split: they do not average to 1."""
    mean = float(weight.mean())
    error = math.sqrt(units.variance_of_sum(weight - mean)) / len(weight)
    return LIKE_ARMS.format(mean=mean) if abs(mean - 1) > _FAR * error else None


def _shown(found: OffPolicy, scale: float) -> Json:
    kinds = {"ips": found.ips, "snips": found.snips, "doubly_robust": found.doubly_robust}
    return {name: estimate(each.scaled(scale)) for name, each in kinds.items() if each is not None}


def _sentence(found: OffPolicy, rows: int) -> str:
    assert found.snips is not None, "it was not refused"
    micros: Estimate = found.snips.scaled(1 / 1000)
    return f"{rows:,} requests of a live split say that it costs {amount(micros, 'µ$')} a request"
