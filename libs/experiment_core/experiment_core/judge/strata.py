"""How many pairs of each similarity bucket a judge sees, and which."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from experiment_core.arrays import Ints
from experiment_core.selection import FLOOR, Keys
from experiment_core.similarity import BUCKETS, HIGH, MILD
from routing_core.reading import Node

Counts = tuple[int, ...]
"""A number for each of `BUCKETS`."""
Allocation = Literal["fixed", "neyman"]
MOST_PAIRS = 1_500
DEFAULT_PAIRS = 100
_ALLOCATIONS: tuple[Allocation, ...] = ("fixed", "neyman")


@dataclass(frozen=True, slots=True)
class Stratification:
    """What a run asks for: pairs per bucket, and where the buckets begin."""

    asked: Counts = (DEFAULT_PAIRS,) * len(BUCKETS)
    allocation: Allocation = "fixed"
    """Neyman: the total of `asked` goes where it narrows the traffic's interval most."""
    high: float = HIGH
    mild: float = MILD
    """Similarity from which a pair is in that bucket."""


@dataclass(frozen=True, slots=True)
class Places:
    """Pairs to judge, per bucket, and a sentence for every departure from what was asked."""

    taken: Counts
    notes: tuple[str, ...]


def parse_stratification(doc: object, path: str = "stratification") -> Stratification:
    """Read `{"high": 100, "mild": 100, "major": 100}`; optional `allocation` and `cuts: {"high": .95, "mild": .8}`.

    A bucket that is not named gets none. Raises InvalidConfig with the field's path.
    """
    node = Node(doc, path)
    found = node.fields((*BUCKETS, "allocation", "cuts"))
    asked = tuple(found[name].integer(0, MOST_PAIRS) if name in found else 0 for name in BUCKETS)
    if sum(asked) == 0:
        raise node.error("asks for no pair at all", f"Ask for at least one, in any of {', '.join(BUCKETS)}.")
    if sum(asked) > MOST_PAIRS:
        raise node.error(f"asks for {sum(asked):,} pairs; a run judges at most {MOST_PAIRS:,}", "Ask for fewer.")
    chosen = found["allocation"].choice(_ALLOCATIONS) if "allocation" in found else "fixed"
    high, mild = _cuts(found["cuts"]) if "cuts" in found else (HIGH, MILD)
    return Stratification(asked, cast(Allocation, chosen), high, mild)


def redistribute(asked: Counts, available: Counts) -> Places:
    """Give what a short bucket cannot fill to the others, in proportion to what they asked for.

    A bucket that asked for none gets none. The traffic's weights do not move with it.
    """
    taken = [min(want, there) for want, there in zip(asked, available, strict=True)]
    left = sum(asked) - sum(taken)
    while left > 0:
        room = [there - has if want else 0 for want, there, has in zip(asked, available, taken, strict=True)]
        if not any(room):
            break
        shares = [float(want) if free else 0.0 for want, free in zip(asked, room, strict=True)]
        more = [min(extra, free) for extra, free in zip(_rounded(shares, left), room, strict=True)]
        taken = [has + extra for has, extra in zip(taken, more, strict=True)]
        left -= sum(more)
    notes = [
        f"bucket {name} has {there:,} of the {want:,} pairs asked for"
        for name, want, there in zip(BUCKETS, asked, available, strict=True)
        if there < want
    ]
    notes += [
        f"{got - want:,} more pairs of bucket {name} are judged instead"
        for name, want, got in zip(BUCKETS, asked, taken, strict=True)
        if got > want
    ]
    if left > 0:
        notes.append(f"{sum(taken):,} pairs are judged, {left:,} fewer than asked for: there are no more")
    return Places(tuple(taken), tuple(notes))


def neyman(
    total: int, available: Counts, weights: Sequence[float], rates: Sequence[float], floor: int = FLOOR
) -> Places:
    """Split `total` in proportion to weight x sqrt(rate (1 - rate)), each bucket with pairs getting at least `floor`.

    `rates` are what is expected of the rarer verdict, per bucket, from an earlier run.
    """
    least = [min(floor, there) if weight > 0 else 0 for there, weight in zip(available, weights, strict=True)]
    if total <= sum(least):
        return redistribute(tuple(_rounded(least, total)), available)
    spread = [weight * math.sqrt(rate * (1 - rate)) for weight, rate in zip(weights, rates, strict=True)]
    held: set[int] = set()
    while True:
        free = [0.0 if index in held else part for index, part in enumerate(spread)]
        if sum(free) == 0:
            free = [0.0 if index in held else weight for index, weight in enumerate(weights)]
        wanted = _rounded(free, total - sum(least[index] for index in held))
        wanted = [least[index] if index in held else want for index, want in enumerate(wanted)]
        short = {index for index, want in enumerate(wanted) if want < least[index]}
        if not short:
            return redistribute(tuple(wanted), available)
        held |= short


def in_turn(order: Keys, buckets: Ints, taken: Counts) -> Ints:
    """The pairs to judge, in the order to judge them: any first part holds the buckets in their proportion.

    `order` are the pairs' keys (`selection.keys`), `buckets` their indices into `BUCKETS`, negative for none. A run
    that stops early has thus judged a sample by the same rule.
    """
    chosen, turns = [], []
    for bucket, count in enumerate(taken):
        rows = np.flatnonzero(buckets == bucket)
        first = rows[np.argsort(order[rows], kind="stable")][:count]
        chosen.append(first)
        turns.append((np.arange(len(first)) + 0.5) / max(count, 1))
    return np.concatenate(chosen)[np.argsort(np.concatenate(turns), kind="stable")].astype(np.int64)


def _cuts(node: Node) -> tuple[float, float]:
    found = node.fields(("high", "mild"), required=("high", "mild"))
    high, mild = found["high"].number(0, 1), found["mild"].number(0, 1)
    if mild >= high:
        raise found["mild"].error(f"{mild:g} is not below high, {high:g}", "Exchange them.")
    return high, mild


def _rounded(shares: Sequence[float], total: int) -> list[int]:
    """Whole numbers in proportion to `shares` that sum to `total` (largest remainders)."""
    whole = math.fsum(shares)
    if whole <= 0:
        return [0] * len(shares)
    exact = [total * share / whole for share in shares]
    found = [math.floor(each) for each in exact]
    by_remainder = sorted(range(len(exact)), key=lambda index: (found[index] - exact[index], index))
    for index in by_remainder[: total - sum(found)]:
        found[index] += 1
    return found
