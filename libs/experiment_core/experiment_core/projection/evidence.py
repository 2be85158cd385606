"""Past calls of every target, by the hour: which of them tell what a call at a given hour would have met."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass

import numpy as np

from experiment_core.arrays import Floats, Ints
from experiment_core.projection.calls import Calls, Draw, Draws
from experiment_core.projection.draws import DONOR, FAILURE, Keys, uniforms
from experiment_core.projection.windows import Window

ENOUGH = 30
"""A window is widened until it holds this many calls, and for latencies as many answers."""
RADII = (0, 1, 2, 4, 8, 16, 24, 48, 96, 168)
"""Hours to either side of the row's hour, tried in turn; after the last, all that is known of the target."""
_TWO_BYTES = 65_535
KEPT_WINDOWS = 4096
"""Windows remembered. Past it all are forgotten, which costs time when rows do not come by the hour."""


@dataclass(frozen=True, slots=True, eq=False)
class _ByHour:
    """Calls of one target and their hours, ascending: each hour once, with the row that it starts at."""

    calls: Calls
    hours: list[int]
    starts: list[int]
    """And the number of all calls."""

    @classmethod
    def of(cls, calls: Calls) -> _ByHour:
        fresh = np.flatnonzero(np.diff(calls.hour, prepend=calls.hour[:1] - 1))
        return cls(calls, calls.hour[fresh].tolist(), [*fresh.tolist(), len(calls.hour)])

    def around(self, hour: int, radius: int) -> tuple[int, int]:
        """The first row of a window, and the row after its last."""
        hours, starts = self.hours, self.starts
        return starts[bisect_left(hours, hour - radius)], starts[bisect_right(hours, hour + radius)]


@dataclass(frozen=True, slots=True, eq=False)
class Nearby:
    """Calls of one target around one hour, in no certain order: `called` in all, with `failures` among them.

    `answers` may come from further away, up to `hours` from the hour.
    """

    called: int
    failures: Calls
    answers: Calls
    hours: int

    @property
    def failure_rate(self) -> float:
        return len(self.failures.kind) / self.called if len(self.answers.kind) else 1.0


@dataclass(frozen=True, slots=True, eq=False)
class _History:
    """One target's calls."""

    answers: _ByHour
    failures: _ByHour

    def nearby(self, hour: int) -> Nearby:
        """The narrowest windows that hold enough calls, and enough answers."""
        answers, failures = self.answers, self.failures
        failed, called = (0, len(failures.calls.hour)), len(failures.calls.hour) + len(answers.calls.hour)
        for radius in RADII:
            first, last = answers.around(hour, radius)
            start, end = failures.around(hour, radius)
            if last - first + end - start >= ENOUGH:
                failed, called = (start, end), last - first + end - start
                break
        return Nearby(called, failures.calls.part(*failed), *self._answers(hour))

    def _answers(self, hour: int) -> tuple[Calls, int]:
        """And how far from the hour they may lie."""
        of, hours = self.answers, self.answers.hours
        for radius in RADII:
            first, last = of.around(hour, radius)
            if last - first >= ENOUGH:
                return of.calls.part(first, last), radius
        return of.calls, max(abs(hour - hours[0]), abs(hour - hours[-1])) if hours else 0


class Evidence:
    """The past of all targets, as columns. What it answers depends on the set of calls, not on their order."""

    def __init__(self, calls: Calls) -> None:
        failed = calls.kind != 0
        calls = calls.take(np.lexsort((_narrow(calls.hour), failed, _narrow(calls.target))))
        targets, starts, counts = np.unique(calls.target, return_index=True, return_counts=True)
        self._histories: dict[int, _History] = {}
        for target, start, count in zip(targets.tolist(), starts.tolist(), counts.tolist(), strict=True):
            own = calls.part(start, start + count)
            answers = count - int(np.count_nonzero(own.kind))
            self._histories[target] = _History(_ByHour.of(own.part(0, answers)), _ByHour.of(own.part(answers, count)))
        self._windows: dict[tuple[int, int], Window] = {}

    def lengths(self, target: int) -> Floats:
        """Output tokens of all answers of the target on record, for `TokenModel.with_history`."""
        history = self._histories.get(target)
        return np.zeros(0) if history is None else history.answers.calls.output_tokens

    def nearby(self, target: int, hour: int) -> Nearby | None:
        """The calls that tell of the target around an hour; None for a target without any."""
        history = self._histories.get(target)
        return None if history is None else history.nearby(hour)

    def window(self, target: int, hour: int) -> Window | None:
        """What a call of the target meets around an hour; None for a target without any call on record."""
        found = self._windows.get((target, hour))
        if found is None and target in self._histories:
            if len(self._windows) >= KEPT_WINDOWS:
                self._windows.clear()
            near = self._histories[target].nearby(hour)
            found = Window.of(near.failure_rate, near.answers, near.failures, near.hours)
            self._windows[target, hour] = found
        return found

    def draw(self, target: int, hour: int, key: int, attempt: int, output_tokens: float) -> Draw | None:
        """What attempt number `attempt` of the row with this key meets; None for a target without any call."""
        window = self.window(target, hour)
        return None if window is None else window.draw(key, attempt, output_tokens)

    def draws(self, targets: Ints, hours: Ints, keys: Keys, attempt: int, output_tokens: Floats) -> Draws:
        """`draw` for columns of rows: the same figures, bit by bit."""
        found = Draws.unknown(len(keys))
        failing, donor = uniforms(keys, FAILURE, attempt), uniforms(keys, DONOR, attempt)
        order = np.lexsort((hours, targets))
        changed = (np.diff(targets[order]) != 0) | (np.diff(hours[order]) != 0)
        for rows in np.split(order, np.flatnonzero(changed) + 1) if len(order) else ():
            window = self.window(int(targets[rows[0]]), int(hours[rows[0]]))
            if window is not None:
                found.put(rows, window.draws(failing[rows], donor[rows], output_tokens[rows]))
        return found


def _narrow(column: Ints) -> Ints:
    """In the same order; as two bytes where they fit, which are sorted by counting."""
    if not len(column) or int(column.max()) - int(column.min()) > _TWO_BYTES:
        return column
    narrow: Ints = (column - column.min()).astype(np.uint16)
    return narrow
