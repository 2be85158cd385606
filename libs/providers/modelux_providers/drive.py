"""Carry out what a policy asks for: run the attempts of each step for real and feed their outcomes back.

Whoever drives supplies `begin`: it makes a `Trial`, one call that can be run, given up, and asked how it went. Losers
of a race are cancelled
and told to give up; what they cost so far counts. Cancelling the driver gives every trial up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

from routing_core.flow import Attempt, Decision, Step, Until
from routing_core.types import Outcome, OutcomeKind


class Trial(Protocol):
    """One attempt being made."""

    async def run(self) -> Outcome:
        """Makes the call. Returns at the first content byte where the step asked for the head, else when the whole is
        there.

        A provider's failure is an outcome; only cancellation is raised.
        """
        ...

    def give_up(self, kind: OutcomeKind, code: str) -> Outcome:
        """Stops the call if it still runs, with this outcome, and what it cost so far.

        One that had ended keeps its own.
        """
        ...

    def final(self) -> Outcome:
        """How it went, with what is known by now (a stream's usage and cost come at its end)."""
        ...


T = TypeVar("T", bound=Trial)
Begin = Callable[[int, Attempt, Until], T]
"""Makes the trial of the n-th attempt (from 1) of the whole request."""


class Course(Protocol):
    """A policy under way (`routing_core.engine.Run`)."""

    def start(self) -> Step | Decision: ...

    def send(self, outcomes: Sequence[Outcome]) -> Step | Decision: ...

    def abandon(self, reason: str, code: str = "abandoned") -> Decision: ...


class Driven(Generic[T]):
    """Where a drive stands, filled as it goes, so that it tells what happened even when it is cancelled half-way."""

    __slots__ = ("decision", "trials")

    def __init__(self) -> None:
        self.trials: list[T] = []
        self.decision: Decision | None = None

    @property
    def selected_index(self) -> int | None:
        return None if self.decision is None else self.decision.selected

    @property
    def selected(self) -> T | None:
        """The trial whose answer is to be returned."""
        if self.decision is None or self.decision.selected is None:
            return None
        return self.trials[self.decision.selected]

    def outcomes(self) -> tuple[Outcome, ...]:
        return tuple(trial.final() for trial in self.trials)


async def drive(
    course: Course, begin: Begin[T], driven: Driven[T], may_go_on: Callable[[Step], str | None] | None = None
) -> Decision:
    """Runs `course` to its decision, keeping `driven` up to date. What was not selected is given up before it returns.

    `may_go_on` is asked before every step but the first and may refuse it with a reason (the retry budget is used up).
    Cancelled, it still leaves a decision in `driven`: the one that the policy makes of attempts that were cancelled.
    """
    step = course.start()
    while type(step) is Step:
        if driven.trials and may_go_on is not None and (refusal := may_go_on(step)) is not None:
            step = course.abandon(refusal, "attempts_failed")
            break
        try:
            if len(step.attempts) == 1 and step.timeout_ms is None:
                trial = begin(len(driven.trials) + 1, step.attempts[0], step.until)
                driven.trials.append(trial)
                outcomes: tuple[Outcome, ...] = (await trial.run(),)
            else:
                outcomes = await _run_together(step, begin, driven)
        except asyncio.CancelledError:
            driven.decision = _left(course, step, driven)
            raise
        step = course.send(outcomes)
    assert isinstance(step, Decision)
    driven.decision = step
    if len(driven.trials) > 1:
        selected = driven.selected
        for trial in driven.trials:
            if trial is not selected:
                trial.give_up("cancelled", "not_selected")
    return step


def _left(course: Course, step: Step, driven: Driven[T]) -> Decision:
    """The caller left during `step`: everything is given up, and the policy concludes."""
    outcomes = [trial.give_up("cancelled", "caller_left") for trial in driven.trials]
    following = course.send(outcomes[-len(step.attempts) :])
    return course.abandon("the caller left", "cancelled") if isinstance(following, Step) else following


async def _run_together(step: Step, begin: Begin[T], driven: Driven[T]) -> tuple[Outcome, ...]:
    """All at once. A race ends with the first `ok`, any step with its timeout; the rest is given up."""
    first = len(driven.trials) + 1
    trials = [begin(first + index, attempt, step.until) for index, attempt in enumerate(step.attempts)]
    driven.trials.extend(trials)
    timeout_s = None if step.timeout_ms is None else step.timeout_ms / 1000
    loop = asyncio.get_running_loop()
    until = None if timeout_s is None else loop.time() + timeout_s
    timed_out = False
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(trial.run()) for trial in trials]
        pending = set(tasks)
        while pending:
            left = None if until is None else max(0.0, until - loop.time())
            when = asyncio.FIRST_COMPLETED if step.mode == "race" else asyncio.ALL_COMPLETED
            done, pending = await asyncio.wait(pending, timeout=left, return_when=when)
            timed_out = until is not None and loop.time() >= until
            if timed_out or (step.mode == "race" and any(_wins(step, task) for task in done)):
                break
        for task in pending:
            task.cancel()
    return _collect(step, trials, tasks, timed_out)


def _wins(step: Step, task: asyncio.Task[Outcome]) -> bool:
    if task.cancelled():
        return False
    outcome = task.result()
    return outcome.ok and (step.accept is None or step.accept(outcome))


def _collect(
    step: Step, trials: Sequence[T], tasks: Sequence[asyncio.Task[Outcome]], timed_out: bool
) -> tuple[Outcome, ...]:
    """Outcomes in the order of the attempts; of several streams that began at once only the first is kept."""
    outcomes: list[Outcome] = []
    won = False
    for trial, task in zip(trials, tasks, strict=True):
        if not task.cancelled():
            outcome = task.result()
        elif timed_out:
            outcome = trial.give_up("timeout", "step_timeout")
        else:
            outcome = trial.give_up("cancelled", "lost_race")
        if outcome.ok and won and step.mode == "race" and step.until == "head":
            outcome = trial.give_up("cancelled", "lost_race")
        won = won or outcome.ok
        outcomes.append(outcome)
    return tuple(outcomes)
