"""Decide a rollout's next move from its two live arms: go on, stay, or back; looks share one budget of error."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from experiment_core.criteria import Criteria
from experiment_core.sequential import spent
from modelux_replay.rollout.guards import Arms, shown_broken, shown_to_hold, suddenly_broken

ALPHA = 0.05
"""Chance that a rollout whose candidate keeps to the guards is rolled back; and, for each step, to go on with one that
does not.
"""
GROWTH = 0.1
"""Looks at all requests of a step come after so much of the time since it began, but ..."""
SOONEST_US, LATEST_US = 1_000_000, 300_000_000
"""... not sooner and not later than this after one another."""
WAITS_STEPS, WAITS_LEAST_US = 10, 3_600_000_000
"""How long a step may stay open beyond its time, in steps, and at least, before somebody is told."""
WHOLE = 100

Move = Literal["stay", "go", "back"]


@dataclass(frozen=True, slots=True)
class Plan:
    """What the rollout was started with. `steps` in percent, ascending, the last one 100."""

    steps: tuple[int, ...]
    step_us: int
    step_requests: int
    criteria: Criteria

    @property
    def alpha(self) -> float:
        """For one step and one of its two kinds of looks: all, and the newest requests alone."""
        return ALPHA / max(len(self.steps) - 1, 1) / 2


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a step is. Looks are counted, as each spends its part of the budget."""

    began_us: int
    next_look_us: int
    looks: int = 0
    quick_looks: int = 0
    hold_looks: int = 0
    seen_us: int = 0
    """Start of the newest request of the candidate that was looked at."""
    span_us: int = 0
    """How far back the newest requests are looked for."""
    told: bool = False
    """That the step stays open."""

    @classmethod
    def new(cls, now_us: int) -> Standing:
        return cls(now_us, now_us + SOONEST_US)


@dataclass(frozen=True, slots=True)
class Decided:
    """The move, the plain reason with its figures (empty: nothing new), and what was spent on it."""

    move: Move
    reason: str
    standing: Standing
    tells: bool = False
    """Whether it is to be told although it stays."""


def decide(plan: Plan, standing: Standing, newest: Arms, whole: Arms | None, now_us: int) -> Decided:
    """A look whenever one likes: what is not due is not looked at, and spends nothing.

    `newest`: the newest requests of both arms at this step; `whole`: all of them, or as many drawn, where it is due.
    """
    candidate = newest.candidate
    if candidate.requests and int(candidate.started_us[-1]) > standing.seen_us:
        looks = standing.quick_looks + 1
        standing = replace(standing, quick_looks=looks, seen_us=int(candidate.started_us[-1]))
        found = suddenly_broken(plan.criteria, newest, spent(plan.alpha, looks))
        if found.outcome == "fail":
            return Decided("back", found.reason, standing)
    if whole is None or now_us < standing.next_look_us:
        return Decided("stay", "", standing)
    return _whole_look(plan, standing, whole, now_us)


def _whole_look(plan: Plan, standing: Standing, arms: Arms, now_us: int) -> Decided:
    due = replace(standing, next_look_us=_next(plan, standing, now_us))
    if not arms.candidate.requests:
        return _waiting(plan, due, "the candidate's arm has had no requests yet", now_us)
    looked = replace(due, looks=due.looks + 1)
    broken = shown_broken(plan.criteria, arms, spent(plan.alpha, looked.looks))
    if broken.outcome == "fail":
        return Decided("back", broken.reason, looked)
    short = plan.step_requests - arms.candidate.requests
    if now_us - standing.began_us < plan.step_us:
        return Decided("stay", f"no guard is broken after {arms.candidate.requests:,} requests", looked)
    if short > 0:
        return _waiting(plan, looked, f"the candidate's arm needs {short:,} more requests", now_us)
    tried = replace(looked, hold_looks=looked.hold_looks + 1)
    held = shown_to_hold(plan.criteria, arms, spent(ALPHA, tried.hold_looks))
    if held.outcome == "pass":
        return Decided("go", held.reason, tried)
    return _waiting(plan, tried, held.reason, now_us)


def _waiting(plan: Plan, standing: Standing, reason: str, now_us: int) -> Decided:
    bound_us = plan.step_us + max(WAITS_STEPS * plan.step_us, WAITS_LEAST_US)
    if now_us - standing.began_us < bound_us:
        return Decided("stay", reason, standing)
    text = f"the step stays open long after its time, look at it: {reason}"
    return Decided("stay", text, replace(standing, told=True), tells=not standing.told)


def _next(plan: Plan, standing: Standing, now_us: int) -> int:
    since_us = now_us - standing.began_us
    next_us = now_us + min(max(round(since_us * GROWTH), SOONEST_US), LATEST_US)
    end_us = standing.began_us + plan.step_us
    return min(next_us, end_us) if now_us < end_us else next_us
