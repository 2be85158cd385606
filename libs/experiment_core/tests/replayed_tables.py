"""Make tables of rows for the tests."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from experiment_core.arrays import Ints
from experiment_core.rows import PROJECTED, REUSED, Rows, Side

MODELS = ("strong", "quick", "spare")


def side(seed: int, rows: int, price: float = 1.0, speed: float = 1.0, errors: float = 0.01, model: int = 0) -> Side:
    """Calls with heavy-tailed tokens, latency that grows with them, and independent failures."""
    rng = np.random.default_rng(seed)
    inputs, outputs = (np.maximum(1, rng.lognormal(mean, 1, rows)).astype(np.int64) for mean in (6, 4))
    latency = speed * (400 + outputs * 12 * rng.lognormal(0, 0.3, rows))
    cost = np.rint(price * (inputs * 150 + outputs * 600)).astype(np.int64)
    return Side(cost, latency, rng.random(rows) >= errors, inputs, outputs, np.full(rows, model))


def table(baseline: Side, candidate: Side, cluster: Ints | None = None, similarity: float = np.nan) -> Rows:
    """A projected table of independent rows, unless told otherwise."""
    rows = len(baseline)
    return Rows(
        baseline,
        candidate,
        MODELS,
        np.full(rows, PROJECTED, dtype=np.int8),
        np.full(rows, similarity),
        np.full(rows, -1) if cluster is None else cluster,
        np.ones(rows),
    )


def unchanged(baseline: Side, cluster: Ints | None = None) -> Rows:
    """The table of a policy that was replayed over its own traffic."""
    same = table(baseline, baseline, cluster, 1.0)
    return replace(same, evidence=np.full(len(same), REUSED, dtype=np.int8))
