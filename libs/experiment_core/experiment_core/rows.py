"""The columns of a replayed table: what happened, and what happens under the candidate, row by row."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.resampling import Units

EVIDENCE = ("observed", "reused", "projected", "not_evaluable")
"""How the candidate's side of a row is known; a row's evidence is an index into this.

Observed: the candidate was called. Reused: it chooses what was logged, so the logged call is its call. Projected: cost
and latency come from a model of the candidate. Not evaluable: nothing can be said; such rows enter no comparison.
"""
OBSERVED, REUSED, PROJECTED, NOT_EVALUABLE = range(4)


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One side of a table, a column each, all of one length."""

    cost_nano: Ints
    """Of all attempts, failed ones too; nano-USD."""
    latency_ms: Floats
    """From the request to its end, over all attempts. NaN: unknown."""
    ok: Bools
    input_tokens: Ints
    output_tokens: Ints
    model: Ints
    """Index into the names of `Rows.models`; -1 where no model was reached."""

    def __len__(self) -> int:
        return len(self.ok)

    def take(self, kept: Bools) -> Side:
        """The rows that `kept` marks."""
        return Side(*(getattr(self, column.name)[kept] for column in fields(Side)))


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Baseline and candidate over the same requests. Raises ValueError when the columns differ in length."""

    baseline: Side
    candidate: Side
    models: tuple[str, ...]
    evidence: npt.NDArray[np.int8]
    similarity: Floats
    """Of the two answers, 0 to 1. NaN: not scored."""
    cluster: Ints
    """The code of the run or session that the row belongs to; negative: none."""
    weight: Floats
    """For how many rows of the window this one stands: 1 / its probability to be in the sample."""

    def __post_init__(self) -> None:
        sides = {
            f"{name}.{column.name}": getattr(side, column.name)
            for name, side in self._sides()
            for column in fields(Side)
        }
        columns = sides | {name: getattr(self, name) for name in ("evidence", "similarity", "cluster", "weight")}
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"the columns of a table must have one length, but have {lengths}")

    def __len__(self) -> int:
        return len(self.evidence)

    def evaluable(self) -> Bools:
        """Marks the rows of which the candidate's side is known."""
        return np.not_equal(self.evidence, NOT_EVALUABLE)

    def rerouted(self) -> Bools:
        """Marks the rows that another model answers."""
        return np.not_equal(self.baseline.model, self.candidate.model)

    def take(self, kept: Bools) -> Rows:
        """The rows that `kept` marks: these themselves where it marks all."""
        if kept.all():
            return self
        return Rows(
            self.baseline.take(kept),
            self.candidate.take(kept),
            self.models,
            self.evidence[kept],
            self.similarity[kept],
            self.cluster[kept],
            self.weight[kept],
        )

    def units(self) -> Units:
        """The independent units of the table: its clusters, else its rows."""
        return Units.of(len(self), self.cluster, self.weight)

    def _sides(self) -> tuple[tuple[str, Side], tuple[str, Side]]:
        return ("baseline", self.baseline), ("candidate", self.candidate)
