"""Intervals that hold wherever a run stops, and the weights of rows that a stop left without their neighbours.

A run that ends when its money does has looked at its own results, in effect: an interval for a fixed number of rows
promises too much there. A confidence sequence (`sequential`) holds at every number of rows at once.
"""

from __future__ import annotations

from statistics import NormalDist

import numpy as np

from experiment_core.arrays import Bools, Floats, Ints
from experiment_core.sequential import ConfidenceSequence


def anytime(rows: float, planned: float, confidence: float = 0.95) -> float:
    """The confidence at which an interval for a fixed number of rows is as wide as the sequence is after `rows`.

    Whatever is asymptotically normal is made to hold under stopping by taking it at this confidence. Below 1, though
    near it where hardly anything came in; `confidence` itself without a plan or rows.
    """
    if rows < 1 or planned < 1:
        return confidence
    errors = ConfidenceSequence(round(planned), 1 - confidence).errors(round(rows))
    return min(2 * NormalDist().cdf(errors) - 1, 1 - 1e-9)


def carried(weight: Floats, stratum: Ints, came: Bools, never: Bools) -> Floats:
    """Weights after a stop: rows that were never called (0 now) hand theirs to those of their stratum that came in.

    As rows are called in random order, those that came in are a random part. A stratum of which none came in keeps its
    weights as they are: nothing stands for it, and coverage tells.
    """
    size = int(stratum.max()) + 1 if len(stratum) else 0
    known, lost = (np.bincount(stratum[rows], weight[rows], size) for rows in (came, never))
    factor = np.divide(known + lost, known, out=np.ones(size), where=known > 0)
    found = np.where(came, weight * factor[stratum], weight)
    return np.where(never & (known > 0)[stratum], 0.0, found)
