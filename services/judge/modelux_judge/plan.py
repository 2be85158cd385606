"""Which pairs a run judges: so many of each bucket, and the canaries among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from experiment_core.judge.canaries import KINDS
from experiment_core.judge.strata import Counts, Places, Stratification, neyman, redistribute
from experiment_core.similarity import BUCKETS
from modelux_judge.population import Pair, Shares
from modelux_judge.verdicts import Answer, canaries_for

PILOT = 20
"""Pairs of each bucket that a Neyman run judges first, where no earlier run tells how the buckets differ."""
ASSUMED = (0.05, 0.15, 0.35)
"""Rates of "worse" per bucket that an estimate goes by before there is any."""
_PILOT_NOTE = (
    f"the split is an estimate: the run judges {PILOT} pairs of each bucket first and splits the rest by what they show"
)
_EARLIER_NOTE = "the split follows what an earlier run of this experiment found per bucket"


@dataclass(frozen=True, slots=True)
class Rates:
    """Verdicts "worse" per bucket among those judged, of an earlier run or a pilot."""

    worse: Counts
    judged: Counts

    def smoothed(self) -> tuple[float, ...]:
        """Never 0 or 1, whatever few pairs say."""
        return tuple((worse + 1) / (judged + 2) for worse, judged in zip(self.worse, self.judged, strict=True))

    @classmethod
    def of(cls, found: Sequence[Answer]) -> Rates:
        merged = [(each.pair.bucket, each.judged.merge().verdict) for each in found if each.pair.kind == "pair"]
        worse = tuple(merged.count((name, "worse")) for name in BUCKETS)
        judged = tuple(sum(bucket == name and verdict is not None for bucket, verdict in merged) for name in BUCKETS)
        return cls(worse, judged)


def places(cuts: Stratification, shares: Shares, rates: Rates | None) -> Places:
    """Pairs per bucket of the whole run. `rates` of None: none are known yet."""
    if cuts.allocation == "fixed":
        return redistribute(cuts.asked, shares.pairs)
    known = rates.smoothed() if rates is not None else ASSUMED
    found = neyman(sum(cuts.asked), shares.pairs, shares.weights, known)
    return replace(found, notes=(*found.notes, _PILOT_NOTE if rates is None else _EARLIER_NOTE))


def pilot(cuts: Stratification, shares: Shares) -> Counts:
    """Pairs per bucket that are judged before a Neyman split is known: at most a third of all."""
    most = max(sum(cuts.asked) // (3 * len(BUCKETS)), 1)
    return tuple(min(PILOT, most, there) for there in shares.pairs)


def counts(pairs: Sequence[Pair]) -> Counts:
    """Pairs per bucket, canaries aside."""
    return tuple(sum(pair.kind == "pair" and pair.bucket == name for pair in pairs) for name in BUCKETS)


def at_least(taken: Counts, had: Counts) -> Counts:
    """No bucket gets fewer pairs than it had."""
    return tuple(max(pair) for pair in zip(taken, had, strict=True))


def with_canaries(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs, and canaries made of some of them, spread over the run."""
    each = canaries_for(len(pairs))
    found = list(pairs)
    for number in range(each * len(KINDS)):
        model = pairs[number * len(pairs) // (each * len(KINDS))]
        found.append(replace(model, row=-1 - number, kind=KINDS[number % len(KINDS)]))
    return sorted(found, key=lambda pair: (pair.place, -pair.row))


def calls(pairs: int, orders: str) -> int:
    """Calls that a run of so many pairs makes, repairs aside."""
    return pairs * (2 if orders == "both" else 1) + canaries_for(pairs) * len(KINDS)
