"""Choose the rows of a sample: the same for the same seed, and part of every larger one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

import numpy as np
import numpy.typing as npt

from experiment_core.arrays import Floats, Ints

Keys = npt.NDArray[np.uint64]

FLOOR = 30
"""Rows that each stratum gives, if it has them, before shares count."""
RARE = 0.5
"""The power of a topic's size that its share follows in a semantic sample: large topics give way to rare ones."""


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Chosen rows, in the order to run them: any first part is a sample by the same rule."""

    rows: Ints
    """Indices into the window."""
    probability: Floats
    """Of each chosen row to be chosen, so that 1 / probability weighs it.

    The weights sum to the rows of the strata that were reached: all of the window, unless `size` is less than the
    number of strata.
    """


def keys(ids: Sequence[str], seed: str) -> Keys:
    """Each row's place in the order of a seed: 64 bits of SHA-256 over the seed and the row's id.

    It depends on nothing else, so a run that is resumed, sharded or given more rows keeps its order. Pass the id of
    the run instead of the request's to choose whole runs.
    """
    prefix = sha256(f"{len(seed)}:{seed}".encode())
    digests = bytearray()
    for name in ids:
        hashed = prefix.copy()
        hashed.update(name.encode("utf-8", "surrogatepass"))
        digests += hashed.digest()[:8]
    return np.frombuffer(bytes(digests), dtype=">u8").astype(np.uint64)


def random(order: Keys, size: int) -> Sample:
    """The first `size` rows in the order of their keys."""
    chosen = np.argsort(order, kind="stable")[:size].astype(np.int64)
    return Sample(chosen, np.full(len(chosen), len(chosen) / max(len(order), 1)))


def stratified(order: Keys, strata: Ints, size: int, floor: int = FLOOR, power: float = 1.0) -> Sample:
    """Up to `floor` rows of each stratum, then each in proportion to (its rows) ** `power`.

    Places go to the strata by the divisor method of Sainte-Laguë, which never takes one back when `size` grows: that
    is why a larger sample contains a smaller one. Within a stratum rows come in the order of their keys.
    """
    by_key = np.argsort(order, kind="stable")
    grouped = by_key[np.argsort(strata[by_key], kind="stable")]
    _, first, sizes = np.unique(strata[grouped], return_index=True, return_counts=True)
    stratum = np.repeat(np.arange(len(sizes)), sizes)
    rank = np.arange(len(order)) - first[stratum]
    late = rank >= floor
    turn = np.where(late, (rank + 0.5) / sizes[stratum].astype(np.float64) ** power, rank)
    picked = np.lexsort((order[grouped], turn, late))[:size]
    taken = np.bincount(stratum[picked], minlength=len(sizes))
    return Sample(grouped[picked].astype(np.int64), (taken / sizes)[stratum[picked]])


def semantic(order: Keys, topics: Ints, size: int, floor: int = FLOOR) -> Sample:
    """A sample over topics (the cluster of each prompt) in which rare ones have more than their share."""
    return stratified(order, topics, size, floor, RARE)
