"""Stop a judge run once its question is decided, with an interval that looking did not spoil."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from experiment_core.intervals import Estimate, Interval
from experiment_core.judge.rates import Stratum, normal_rate, traffic_rate
from experiment_core.sequential import ConfidenceSequence, Decision, Threshold
from experiment_core.verdicts import Verdict

LOOK_EVERY = 50


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a running judge run shows."""

    decision: Decision
    """Undecided: go on, if there are pairs left."""
    estimate: Estimate
    """The traffic's rate, valid however often one looks, and whenever and why the run ends."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """A claim about the traffic's rate of a verdict, and a sequence to decide it by.

    The pairs must come in the order of `strata.in_turn`, whose first parts are samples by the same rule.
    """

    threshold: Threshold
    """As a rate, not in percent."""
    planned: int
    """Pairs of the whole run; the sequence is narrowest after half of them."""
    verdict: Verdict = "worse"
    alpha: float = 0.05

    def due(self, judged: int) -> bool:
        """Whether it is time to look: every 50 pairs, and at the end."""
        return judged > 0 and (judged % LOOK_EVERY == 0 or judged >= self.planned)

    def look(self, strata: Sequence[Stratum]) -> Look:
        """Decide by the verdicts so far. A bucket that holds pairs but no verdict keeps the interval wide."""
        sequence = ConfidenceSequence(max(self.planned // 2, 1), self.alpha)
        judged = sum(stratum.judged for stratum in strata)
        found = sequence.look(judged, lambda confidence: self._widest(strata, confidence))
        return Look(self.threshold.decide(found.interval), found)

    def _widest(self, strata: Sequence[Stratum], confidence: float) -> Estimate:
        """The hull of the normal interval, which sequences rest on, and MOVER-Wilson's, which knows rare rates."""
        found = traffic_rate(strata, self.verdict, confidence)
        both = found.interval, normal_rate(strata, self.verdict, confidence).interval
        lower = min(each.lower or 0.0 for each in both)
        return Estimate(found.value, Interval(lower, max(1.0 if each.upper is None else each.upper for each in both)))
