"""Chance by hash: uniform numbers that depend on seed, request id, purpose and attempt alone, for columns or one row.

The mixing step is the finaliser of SplitMix64 (Steele, Lea and Flood 2014). Columns and single values agree bit by
bit, whatever the order of the rows and whatever else is in the column.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from experiment_core.arrays import Floats

Keys = npt.NDArray[np.uint64]
"""One number per row, from `row_keys`."""

PILOT, LENGTH, FAILURE, DONOR = range(4)
"""Purposes: which rows a pilot calls, how long an answer is, whether a call fails, whose latency it takes."""

_ALL = (1 << 64) - 1
_GOLDEN, _FIRST, _SECOND = 0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
_ULP = 2.0**-53


def row_keys(seed: int, ids: Sequence[str] | npt.NDArray[np.str_]) -> Keys:
    """A key for each request id. Equal ids have equal keys; ids that only differ in trailing NULs count as equal."""
    text = np.ascontiguousarray(ids, dtype=np.str_)
    if text.size == 0:
        return np.zeros(0, np.uint64)
    points = text.view(np.uint32).reshape(len(text), -1).astype(np.uint64)
    if points.shape[1] % 2:
        points = np.pad(points, ((0, 0), (0, 1)))
    words = points[:, ::2] | (points[:, 1::2] << np.uint64(32))
    keys = np.full(len(text), _mixed(seed * _GOLDEN & _ALL), np.uint64)
    for place, word in enumerate(words.T, 1):
        salted = _mix(keys ^ (word * np.uint64(_FIRST) + np.uint64(place * _GOLDEN & _ALL)))
        # a shorter id is padded with NULs, as many as the longest of the column asks for: they must not count
        keys = np.where(word == 0, keys, salted)
    return keys


def uniforms(keys: Keys, purpose: int, attempt: int = 0) -> Floats:
    """A number in [0, 1) for each key."""
    mixed = _mix(keys ^ np.uint64(_salt(purpose, attempt)))
    return (mixed >> np.uint64(11)).astype(np.float64) * _ULP


def uniform(key: int, purpose: int, attempt: int = 0) -> float:
    """What `uniforms` gives for one key."""
    return (_mixed(key ^ _salt(purpose, attempt)) >> 11) * _ULP


def _salt(purpose: int, attempt: int) -> int:
    return _mixed(((purpose << 32) + attempt + 1) * _GOLDEN & _ALL)


def _mix(values: Keys) -> Keys:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(_FIRST)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(_SECOND)
    return values ^ (values >> np.uint64(31))


def _mixed(value: int) -> int:
    value = (value ^ value >> 30) * _FIRST & _ALL
    value = (value ^ value >> 27) * _SECOND & _ALL
    return value ^ value >> 31
