"""Live arms of the tests' own: requests drawn by given rates, and rollouts that run over them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from modelux_replay.rollout.guards import Arm, Arms
from modelux_replay.rollout.stepping import Decided, Plan, Standing, decide

SECOND_US = 1_000_000


@dataclass(frozen=True)
class Traffic:
    """What an arm does: share of errors, median latency and mean cost. From `breaks_s` on every request fails."""

    errors: float = 0.01
    latency_ms: float = 400.0
    cost_nano: float = 1_000_000.0
    breaks_s: float | None = None

    def arm(self, draws: np.random.Generator, count: int, seconds: float) -> Arm:
        """`count` requests spread over the time."""
        at_us = np.sort(draws.integers(0, round(seconds * SECOND_US), count))
        ok = draws.random(count) >= self.errors
        if self.breaks_s is not None:
            ok &= at_us < self.breaks_s * SECOND_US
        latency = draws.lognormal(np.log(self.latency_ms * 1000), 0.5, count).astype(np.int64)
        cost = draws.gamma(2.0, self.cost_nano / 2, count).astype(np.int64)
        return Arm(at_us, ok, latency, cost)


def until(arm: Arm, us: int) -> Arm:
    """What has begun before."""
    last = int(np.searchsorted(arm.started_us, us))
    return Arm(arm.started_us[:last], arm.ok[:last], arm.latency_us[:last], arm.cost_nano[:last])


@dataclass(frozen=True)
class Ended:
    """How a rollout came out: at what share, after how many requests of the candidate there (since it broke, if it
    did), and why.
    """

    move: str
    percent: int
    requests: int
    reason: str


def play(
    plan: Plan,
    current: Traffic,
    candidate: Traffic,
    *,
    seed: int = 0,
    per_s: float = 20.0,
    poll_s: float = 5.0,
    most_s: float = 6_000.0,
) -> Ended:
    """A rollout over requests that come evenly; at `most_s` of a step it is given up as staying."""
    draws = np.random.default_rng(seed)
    for percent in plan.steps[:-1]:
        counts = [round(per_s * most_s * share / 100) for share in (100 - percent, percent)]
        whole = [each.arm(draws, count, most_s) for each, count in zip((current, candidate), counts, strict=True)]
        decided = _step(plan, whole, poll_s, most_s, candidate.breaks_s or 0.0)
        if decided[0].move != "go":
            return Ended(decided[0].move, percent, decided[1], decided[0].reason)
    return Ended("go", plan.steps[-1], 0, "")


def look(plan: Plan, standing: Standing, arms: Arms, now_us: int) -> Decided:
    """At arms that are read whole."""
    return decide(plan, standing, arms, arms, now_us)


def _step(plan: Plan, whole: list[Arm], poll_s: float, most_s: float, since_s: float) -> tuple[Decided, int]:
    decided = Decided("stay", "", Standing.new(0))
    seen = 0
    for number in range(1, round(most_s / poll_s)):
        now_us = round(number * poll_s * SECOND_US)
        arms = Arms(until(whole[0], now_us), until(whole[1], now_us))
        decided = look(plan, decided.standing, arms, now_us)
        seen = arms.candidate.since(round(since_s * SECOND_US)).requests
        if decided.move != "stay":
            break
    return decided, seen
