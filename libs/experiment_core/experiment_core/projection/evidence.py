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
KEPT_WINDOWS = 4096
"""Windows remembered. Past it all are forgotten, which costs time when rows do not come by the hour."""


@dataclass(frozen=True, slots=True, eq=False)
class _History:
    """One target's calls by the hour, and the answers among them."""

    calls: Calls
    answers: Calls

    def window(self, hour: int) -> Window:
        called, _ = _around(self.calls, hour)
        answers, reach = _around(self.answers, hour)
        return Window.of(called, answers, reach)


class Evidence:
    """The past of all targets, as columns. What it answers depends on the set of calls, not on their order."""

    def __init__(self, calls: Calls) -> None:
        by_hour = np.lexsort((calls.hour, calls.target))
        calls = calls.take(by_hour)
        found = np.unique(calls.target, return_index=True, return_counts=True)
        self._histories: dict[int, _History] = {}
        for target, start, count in zip(*(column.tolist() for column in found), strict=True):
            own = calls.take(np.arange(start, start + count))
            self._histories[target] = _History(own, own.take(np.flatnonzero(own.kind == 0)))
        self._windows: dict[tuple[int, int], Window] = {}

    def lengths(self, target: int) -> Floats:
        """Output tokens of all answers of the target on record, for `TokenModel.with_history`."""
        history = self._histories.get(target)
        return np.zeros(0) if history is None else history.answers.output_tokens

    def window(self, target: int, hour: int) -> Window | None:
        """What is known of the target around an hour; None for a target without any call."""
        found = self._windows.get((target, hour))
        if found is None and target in self._histories:
            if len(self._windows) >= KEPT_WINDOWS:
                self._windows.clear()
            found = self._windows[target, hour] = self._histories[target].window(hour)
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


def _around(calls: Calls, hour: int) -> tuple[Calls, int]:
    """The calls of the narrowest window around `hour` that holds enough, and how far from the hour they may lie."""
    hours = calls.hour
    for radius in RADII:
        first, last = bisect_left(hours, hour - radius), bisect_right(hours, hour + radius)
        if last - first >= ENOUGH:
            return calls.take(np.arange(first, last)), radius
    reach = max(abs(hour - int(hours[0])), abs(hour - int(hours[-1]))) if len(hours) else 0
    return calls, reach
