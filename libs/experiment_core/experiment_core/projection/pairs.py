"""Calls of a candidate on requests that a baseline answered: what token ratios are learned from."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.draws import Keys


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Columns of such calls that were answered, of one baseline and one candidate: a pilot's, and earlier runs'.

    `key`: the request's, from `row_keys` with the projection's seed; a row of the window with the same key counts as
    called, and keeps what the call met. `chance`: with what probability the row was chosen out of the window (from
    `choose`, or size over rows for a plain draw), above 0 to 1; 0 for a pair from elsewhere. `ttft_ms` is NaN where it
    was not measured.
    """

    key: Keys
    stratum: Ints
    input_base: Floats
    output_base: Floats
    input: Floats
    output: Floats
    latency_ms: Floats
    ttft_ms: Floats
    chance: Floats

    def __len__(self) -> int:
        return len(self.key)

    def ordered(self) -> Pairs:
        """The same pairs in an order that only they tell, so that sums of floats come out the same."""
        columns = (self.output, self.input, self.output_base, self.input_base, self.stratum, self.key)
        return self.take(np.lexsort(columns).astype(np.int64))

    def take(self, rows: Ints) -> Pairs:
        """The pairs of these row numbers."""
        return Pairs(*(getattr(self, column.name)[rows] for column in fields(Pairs)))

    def called(self, keys: Keys) -> tuple[Ints, Ints]:
        """Places in `keys` of rows that were called, and the pair of each. Asks for pairs that are `ordered`."""
        if not len(self):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        at = np.minimum(np.searchsorted(self.key, keys), len(self) - 1)
        same = self.key[at] == keys
        return np.flatnonzero(same), at[same]

    def stand_for(self) -> Floats:
        """For each pair how many uncalled rows it speaks for, up to a common factor.

        A pair from elsewhere speaks for as many as the average pair of the window does.
        """
        inside = self.chance > 0
        others = np.where(inside, 1 / np.where(inside, self.chance, 1.0) - 1, 0.0)
        return np.where(inside, others, float(others[inside].mean()) if inside.any() else 1.0)
