"""One request under the candidate: the engine's run, fed with the outcomes that the log knows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from modelux_replay.simulation.carry import Purse
from modelux_replay.simulation.logged import Logged
from routing_core.engine import Run
from routing_core.flow import Attempt, Decision, Step
from routing_core.pricing import bound
from routing_core.types import BUDGET_EXCEEDED, Answer, Outcome, Target, Traits

Belief = Literal["drawn", "always", "never"]
"""Whether a cascade's rule believes an answer that nobody has read: as drawn for the row, or in every case."""

PROJECTED = -1
LOST_RACE = "lost_race"
"""Error code of an attempt that another one made needless."""
_NONE: frozenset[int] = frozenset()
_BELIEVED = Answer(logprob_mean=0.0, traits=Traits("", json=True, refusal=False, score=1.0, matches=True))
"""Stands for an answer that shows whatever a rule asks."""


class Case:
    """A run on its way. While there is a `step`, fill in what is `missing` of its `outcomes`, then `advance`."""

    __slots__ = (
        "_assumed",
        "_read",
        "_used",
        "belief",
        "ended",
        "index",
        "logged",
        "matches",
        "missing",
        "outcomes",
        "purse",
        "run",
        "step",
        "unmeasured",
        "unpriced",
    )

    def __init__(
        self,
        index: int,
        logged: Logged,
        run: Run,
        belief: Belief,
        *,
        read: bool,
        purse: Purse | None = None,
    ) -> None:
        """`run`: the candidate's, not yet started. `read`: whether the log tells of answers all that the candidate's
        rules ask. `purse`: the budgets, where the candidate's own spend is carried.
        """
        self.purse = purse if purse is not None and purse.moved else None
        self.index = index
        self.logged = logged
        self.run = run
        self.belief: Belief = belief
        self.ended: list[Outcome] = []
        self.matches: list[int] = []
        """For each attempt the logged one, counted from 0, whose outcome it has, or `PROJECTED`."""
        self.unmeasured = self.unpriced = False
        """Whether nobody knows how long an attempt takes, or what it costs."""
        self.outcomes: list[Outcome | None] = []
        self.missing: list[int] = []
        self._read = read
        self._used: set[int] = set()
        self._assumed: set[int] = set()
        self.step: Step | None = None
        self._go(self.run.start())

    def denied(self, target: Target, input_tokens: int, output_tokens: int) -> bool:
        """Whether the most that a call can cost is more than the budgets have left, as the candidate meets them."""
        price, purse = self.logged.moment.price(target), self.purse
        left = purse.left(target) if purse is not None else None
        if price is None or left is None:
            return False
        limit = self.logged.request.max_tokens or output_tokens
        spent = sum([outcome.cost_nano for outcome in self.ended])
        return bound(price, input_tokens, limit, audio=False, images=False) + spent > left

    @property
    def unsure(self) -> bool:
        """Whether a rule met an answer that nobody has read."""
        return bool(self._assumed)

    @property
    def as_logged(self) -> bool:
        """Whether the candidate has done just what the logged request did."""
        return not self._assumed and self.matches == list(range(len(self.logged.ended)))

    def advance(self, believes: Callable[[int, int], bool]) -> None:
        """Hands the outcomes of the step on. `believes` draws for attempt number n, from 1, of the row at an index."""
        step = self.step
        assert step is not None
        told = []
        for outcome in self.outcomes:
            assert outcome is not None
            told.append(self._told(outcome, step, believes))
            self.ended.append(outcome)
        self._go(self.run.send(told))

    def assumed(self, number: int) -> bool:
        """Whether the answer of attempt `number` is none that somebody gave: no part of the trace."""
        return number in self._assumed

    def _told(self, outcome: Outcome, step: Step, believes: Callable[[int, int], bool]) -> Outcome:
        """The outcome as the policy hears of it: a stream that broke had been a success."""
        number = len(self.ended) + 1
        match = self.matches[number - 1]
        if step.until == "head":
            trace = self.logged.trace
            broke = not outcome.ok and match != PROJECTED and trace is not None and trace.selected_attempt == match + 1
            return replace(outcome, kind="ok") if broke else outcome
        if not outcome.ok or (match != PROJECTED and self._read and outcome.answer is not None):
            return outcome
        self._assumed.add(number)
        believed = believes(self.index, number) if self.belief == "drawn" else self.belief == "always"
        return replace(outcome, answer=_BELIEVED if believed else None)

    def _go(self, step: Step | Decision) -> None:
        self.step = None
        if not isinstance(step, Step):
            return
        refused = self.logged.refused
        if refused and self.as_logged and [attempt.target for attempt in step.attempts] == list(refused):
            assert self.logged.trace is not None
            self.run.abandon(self.logged.trace.selection_reason)
            return
        self.step = step
        ended = self._ended(step)
        self.outcomes = [self._recorded(attempt, ended) for attempt in step.attempts]
        self.missing = [place for place, outcome in enumerate(self.outcomes) if outcome is None]

    def _ended(self, step: Step) -> frozenset[int]:
        """The logged attempts that were cancelled and would be again: where the logged request took this very step,
        whoever lost its race loses it again, and whom its run's end stopped is stopped again.
        """
        made, logged = len(self.ended), self.logged
        end = made + len(step.attempts)
        cancelled = [made + n for n, each in enumerate(logged.ended[made:end]) if each.kind == "cancelled"]
        if not cancelled or self._assumed or self.matches != list(range(made)):
            return _NONE
        if [attempt.target for attempt in step.attempts] != [each.target for each in logged.ended[made:end]]:
            return _NONE
        if [attempt.timeout_ms for attempt in step.attempts] != list(logged.timeouts[made:end]):
            return _NONE
        races = self._read and step.mode == "race"
        return frozenset([number for number in cancelled if races or logged.ended[number].error_code != LOST_RACE])

    def _recorded(self, attempt: Attempt, ended: frozenset[int]) -> Outcome | None:
        """The outcome of the same attempt of the logged request: at the same target, and under the same timeout. One
        that was cancelled tells nothing, unless it would be again.
        """
        logged, target = self.logged, attempt.target
        for number, outcome in enumerate(logged.ended):
            made = outcome.target
            same = made == target or (
                not made.credential_id and (made.model, made.provider) == (target.model, target.provider)
            )
            if not same or number in self._used:
                continue
            self._used.add(number)
            bounded = number < len(logged.timeouts) and logged.timeouts[number] != attempt.timeout_ms
            if bounded or (outcome.kind == "cancelled" and number not in ended):
                break
            if self.purse is not None and outcome.error_code == BUDGET_EXCEEDED:
                break
            if self.purse is not None and not outcome.unsent:
                usage = outcome.usage
                if self.denied(target, usage.input or logged.request.input_tokens, usage.output):
                    self.matches.append(PROJECTED)
                    return Outcome(target, "connect", error_code=BUDGET_EXCEEDED)
            self.matches.append(number)
            return outcome
        self.matches.append(PROJECTED)
        return None
