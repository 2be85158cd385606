"""Choose which rows a pilot calls: spread over strata and costs, the costly likelier; a longer pilot starts the same.

A total is best known from a sample in which a row's chance grows with what it adds to the total's uncertainty (Särndal,
Swensson and Wretman 1992, section 3.6). The rows are laid end to end, ordered by stratum and cost, each as long as its
chance, and picked at the multiples of the golden ratio, which spread evenly for every number of picks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.draws import PILOT, Keys, uniform

_GOLDEN_RATIO = (5**0.5 - 1) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Pilot:
    """The rows to call, in order of calling, and with what chance each was chosen (for `Pairs.chance`)."""

    rows: Ints
    chance: Floats


def choose(size: int, keys: Keys, stratum: Ints, cost: Floats, seed: int) -> Pilot:
    """`size` different rows (all, where there are fewer), given each row's key, stratum and expected cost.

    Depends on the set of rows, not on their order. The rows of a smaller size are the first of a larger one's.
    """
    count = len(keys)
    size = min(size, count)
    if size == 0:
        return Pilot(np.zeros(0, np.int64), np.zeros(0))
    lengths = _lengths(cost)
    order = np.lexsort((keys, cost, stratum))
    ends = np.cumsum(lengths[order])
    rows = _picks(order, ends / ends[-1], size, uniform(seed & (1 << 64) - 1, PILOT))
    return Pilot(rows, np.ones(size) if size == count else _chances(lengths, size)[rows])


def _lengths(cost: Floats) -> Floats:
    """Between equal chances and chances by cost: residuals grow with the cost, but less than it does."""
    mean = float(np.mean(cost))
    if mean <= 0:
        return np.ones(len(cost))
    share = np.maximum(cost, 0) / mean
    return np.sqrt(share) + 0.5 * share + 0.1


def _picks(order: Ints, ends: Floats, size: int, start: float) -> Ints:
    """Row numbers at start + k times the golden ratio, without repeats; in the end that falls on every row."""
    found: dict[int, None] = {}
    step = 0
    while len(found) < size:
        at = int(np.searchsorted(ends, (start + step * _GOLDEN_RATIO) % 1.0, side="right"))
        found[int(order[min(at, len(order) - 1)])] = None
        step += 1
    return np.fromiter(found, np.int64, size)


def _chances(lengths: Floats, size: int) -> Floats:
    """In proportion to the lengths, at most 1; what is certain leaves the more to the others."""
    certain = np.zeros(len(lengths), bool)
    while True:
        chance = (size - int(certain.sum())) * lengths / float(lengths[~certain].sum())
        beyond = (chance > 1) & ~certain
        if not beyond.any():
            return np.where(certain, 1.0, chance)
        certain |= beyond
