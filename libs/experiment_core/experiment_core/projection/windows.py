"""What a call of a target meets around one hour: a failure, or an answer as slow as those of its length were.

An answer takes the latency of a past answer of nearly as many output tokens, moved along the window's slope from
tokens to latency. So the projected latencies are spread as the real ones were.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Bools, Floats
from experiment_core.projection.calls import KINDS, Calls, Draw, Draws
from experiment_core.projection.draws import DONOR, FAILURE, uniform

NEAREST = 31
"""Answers of nearly the same length that lend their latency, at most; those of exactly this length count on top."""


@dataclass(frozen=True, slots=True, eq=False)
class Window:
    """Calls of one target around one hour: `answers` by length, `failures` in an order that their columns tell."""

    failure_rate: float
    answers: Calls
    failures: Calls
    slope: float
    """Milliseconds per output token."""
    fastest_ms: float
    nearest: int
    hours: int
    """How far from the row's hour the calls reach that the latencies come from."""

    @classmethod
    def of(cls, failure_rate: float, answers: Calls, failures: Calls, hours: int) -> Window:
        """The window of these calls, in any order."""
        answers, failures = answers.take(answers.order()), failures.take(failures.order())
        count = len(answers.kind)
        if not count:
            return cls(failure_rate, answers, failures, 0.0, 0.0, 0, hours)
        lengths, latency = answers.output_tokens, answers.latency_ms
        longer, slower = lengths - lengths.mean(), latency - latency.mean()
        spread = float((longer * longer).mean())
        slope = max(float((longer * slower).mean()) / spread, 0.0) if spread > 0 else 0.0
        nearest = min(NEAREST, 1 + count // 4)
        return cls(failure_rate, answers, failures, slope, float(latency.min()), nearest, hours)

    def draw(self, key: int, attempt: int, output_tokens: float) -> Draw:
        """What `draws` gives for one row."""
        donor = uniform(key, DONOR, attempt)
        if uniform(key, FAILURE, attempt) < self.failure_rate:
            failed, at = self.failures, int(donor * len(self.failures.kind))
            kind, latency = KINDS[int(failed.kind[at])], float(failed.latency_ms[at])
            return Draw(kind, int(failed.status[at]), latency, None, self.hours)
        lengths = self.answers.output_tokens
        first, last = bisect_left(lengths, output_tokens), bisect_right(lengths, output_tokens)
        start = min(max((first + last - self.nearest) // 2, 0), len(lengths) - self.nearest)
        low, high = min(first, start), max(last, start + self.nearest)
        at = low + int(donor * (high - low))
        moved = float(self.answers.latency_ms[at]) + self.slope * (output_tokens - float(lengths[at]))
        latency, ttft = max(moved, self.fastest_ms), float(self.answers.ttft_ms[at])
        known = ttft == ttft
        return Draw("ok", int(self.answers.status[at]), latency, min(ttft, latency) if known else None, self.hours)

    def draws(self, failing: Floats, donor: Floats, output_tokens: Floats) -> Draws:
        """What an attempt of each row meets here, from its chances for `FAILURE` and `DONOR`."""
        failed = failing < self.failure_rate
        found = Draws.unknown(len(donor))
        found.window_hours[:] = self.hours
        at = (donor[failed] * len(self.failures.kind)).astype(np.int64)
        found.kind[failed], found.status[failed] = self.failures.kind[at], self.failures.status[at]
        found.latency_ms[failed] = self.failures.latency_ms[at]
        answered = ~failed
        if answered.any():
            self._answer(found, answered, donor[answered], output_tokens[answered])
        return found

    def _answer(self, found: Draws, rows: Bools, donor: Floats, wanted: Floats) -> None:
        lengths = self.answers.output_tokens
        first, last = np.searchsorted(lengths, wanted, "left"), np.searchsorted(lengths, wanted, "right")
        start = np.clip((first + last - self.nearest) // 2, 0, len(lengths) - self.nearest)
        low, high = np.minimum(first, start), np.maximum(last, start + self.nearest)
        at = low + (donor * (high - low)).astype(np.int64)
        latency = np.maximum(self.answers.latency_ms[at] + self.slope * (wanted - lengths[at]), self.fastest_ms)
        found.status[rows], found.latency_ms[rows] = self.answers.status[at], latency
        found.ttft_ms[rows] = np.minimum(self.answers.ttft_ms[at], latency)
