"""Columns of past calls, and of what projected calls met."""

from __future__ import annotations

from dataclasses import dataclass
from typing import get_args

import numpy as np

from experiment_core.arrays import Floats, Ints
from routing_core.types import OutcomeKind

KINDS: tuple[OutcomeKind, ...] = get_args(OutcomeKind)
"""What the codes in columns of kinds stand for; 0 is `ok`."""


@dataclass(frozen=True, slots=True, eq=False)
class Calls:
    """Columns of past calls. `hour`: hours since the epoch. `kind`: index in `KINDS`. `status`: 0 where none came.

    `ttft_ms` is NaN where it was not measured. Output tokens of calls that failed are not looked at.
    """

    target: Ints
    hour: Ints
    output_tokens: Floats
    latency_ms: Floats
    ttft_ms: Floats
    kind: Ints
    status: Ints

    def take(self, rows: Ints) -> Calls:
        """The calls of these row numbers."""
        return Calls(
            self.target[rows],
            self.hour[rows],
            self.output_tokens[rows],
            self.latency_ms[rows],
            self.ttft_ms[rows],
            self.kind[rows],
            self.status[rows],
        )

    def part(self, first: int, last: int) -> Calls:
        """The calls from row `first` to before row `last`, not copied."""
        return Calls(
            self.target[first:last],
            self.hour[first:last],
            self.output_tokens[first:last],
            self.latency_ms[first:last],
            self.ttft_ms[first:last],
            self.kind[first:last],
            self.status[first:last],
        )

    def order(self) -> Ints:
        """Row numbers by length, then by all else: equal sets of calls come out equal, however they came in."""
        return np.lexsort((self.status, self.kind, self.ttft_ms, self.latency_ms, self.output_tokens))


@dataclass(frozen=True, slots=True)
class Draw:
    """What one attempt met. `ttft_ms` is None where the past does not tell it; `status` 0 where none came."""

    kind: OutcomeKind
    status: int
    latency_ms: float
    ttft_ms: float | None
    window_hours: int


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """`Draw` in columns. Where nothing is known of a row's target, latency is NaN and `window_hours` -1."""

    kind: Ints
    status: Ints
    latency_ms: Floats
    ttft_ms: Floats
    window_hours: Ints

    @classmethod
    def unknown(cls, count: int) -> Draws:
        """`count` rows of which nothing is known."""
        nothing = np.full(count, np.nan)
        zeros = np.zeros(count, np.int64)
        return cls(zeros, zeros.copy(), nothing, nothing.copy(), np.full(count, -1, np.int64))

    def take(self, rows: Ints) -> Draws:
        """The figures of these row numbers."""
        return Draws(
            self.kind[rows], self.status[rows], self.latency_ms[rows], self.ttft_ms[rows], self.window_hours[rows]
        )

    def put(self, rows: Ints, part: Draws) -> None:
        """Write the figures of `part` at these row numbers, while the columns are being made."""
        self.kind[rows], self.status[rows], self.window_hours[rows] = part.kind, part.status, part.window_hours
        self.latency_ms[rows], self.ttft_ms[rows] = part.latency_ms, part.ttft_ms
