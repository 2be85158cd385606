"""Steps carried out for real: order, races, timeouts, and what is left behind when somebody leaves."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from modelux_providers.drive import Driven, drive
from routing_core.flow import Attempt, Decision, Step, Until
from routing_core.types import Outcome, OutcomeKind, Target


class Call:
    """A call that ends as it is told, when it is told."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.ended: Outcome | None = None
        self.given_up = ""

    async def run(self) -> Outcome:
        kind, _, delay = self.target.model.partition(" ")
        if delay == "never":
            await asyncio.Event().wait()
        await asyncio.sleep(float(delay or 0))
        self.ended = Outcome(self.target, "ok" if kind == "ok" else "status", 200 if kind == "ok" else 500)
        return self.ended

    def give_up(self, kind: OutcomeKind, code: str) -> Outcome:
        if self.ended is None:
            self.given_up = code
            self.ended = Outcome(self.target, kind, error_code=code)
        return self.ended

    def final(self) -> Outcome:
        return self.ended or Outcome(self.target, "cancelled")


class Course:
    """Yields steps in turn and remembers what came back."""

    def __init__(self, *steps: Step) -> None:
        self.steps = list(steps)
        self.received: list[list[str]] = []
        self.abandoned = ""

    def start(self) -> Step | Decision:
        return self._next()

    def send(self, outcomes: Sequence[Outcome]) -> Step | Decision:
        self.received.append([each.error_code or each.kind for each in outcomes])
        won = next((index for index, each in enumerate(outcomes) if each.ok), None)
        return Decision(won, "won") if won is not None and len(self.steps) == 0 else self._next()

    def abandon(self, reason: str, code: str = "abandoned") -> Decision:
        self.abandoned = reason
        return Decision(None, reason, code=code)

    def _next(self) -> Step | Decision:
        return self.steps.pop(0) if self.steps else Decision(None, "nothing left")


def step(*models: str, **options: object) -> Step:
    return Step(tuple(Attempt(Target(model, "p", "c")) for model in models), **options)  # type: ignore[arg-type]


def begin(number: int, attempt: Attempt, until: Until) -> Call:
    return Call(attempt.target)


async def test_steps_run_one_after_the_other():
    course, driven = Course(step("bad"), step("ok")), Driven[Call]()
    decision = await drive(course, begin, driven)
    assert decision.selected == 0
    assert course.received == [["status"], ["ok"]]
    assert len(driven.trials) == 2


async def test_the_first_to_succeed_wins_a_race_and_the_others_are_given_up():
    course, driven = Course(step("ok never", "bad", "ok 0.01", mode="race")), Driven[Call]()
    decision = await drive(course, begin, driven)
    assert decision.selected == 2
    assert course.received == [["lost_race", "status", "ok"]]


async def test_an_answer_that_the_policy_does_not_accept_does_not_win():
    accept = lambda outcome: outcome.target.model != "ok"  # noqa: E731
    course = Course(step("ok", "ok 0.01", mode="race", until="body", accept=accept))
    await drive(course, begin, Driven[Call]())
    assert course.received == [["ok", "ok"]]


async def test_all_waits_for_all():
    course = Course(step("ok 0.01", "ok", mode="all", until="body"))
    await drive(course, begin, Driven[Call]())
    assert course.received == [["ok", "ok"]]


async def test_a_step_that_takes_too_long_is_timed_out():
    course = Course(step("ok never", "ok", mode="all", until="body", timeout_ms=20))
    await drive(course, begin, Driven[Call]())
    assert course.received == [["step_timeout", "ok"]]


async def test_a_single_attempt_is_timed_out_too():
    course = Course(step("ok never", timeout_ms=20))
    await drive(course, begin, Driven[Call]())
    assert course.received == [["step_timeout"]]


async def test_going_on_can_be_refused():
    course, driven = Course(step("bad"), step("ok")), Driven[Call]()
    decision = await drive(course, begin, driven, lambda step: "no budget")
    assert decision.reason == "no budget"
    assert len(driven.trials) == 1


@pytest.mark.parametrize("models", [("ok never",), ("ok never", "ok never")])
async def test_when_the_caller_leaves_everything_is_given_up_and_decided(models):
    course, driven = Course(step(*models, mode="race"), step("ok")), Driven[Call]()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(drive(course, begin, driven))
        while not driven.trials:
            await asyncio.sleep(0)
        task.cancel()
    assert [each.given_up for each in driven.trials] == ["caller_left"] * len(models)
    assert driven.decision is not None
    assert driven.decision.code == "cancelled"
