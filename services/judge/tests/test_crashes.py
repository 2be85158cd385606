"""Processes that die at any moment: no question is bought twice, none goes untold, and the cap holds."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import pytest
from judge_rig import process_of, rows
from test_judge_life import guide

from modelux_calling.clock import Clock
from modelux_judge.calls import Asked, Calls, Place
from modelux_judge.records import SILENT_US, JudgeRun
from modelux_providers.simulator.calls import Call
from modelux_store.errors import Unavailable

STEPS = ("intend", "said", "withdraw", "draw", "asked", "pairs")


class Died(BaseException):
    """The process is gone: nothing runs any more, not even what cleans up."""


class Mortal:
    """What a process keeps, of one that dies right before or right after one of its steps."""

    def __init__(self, kept: Calls, steps: int, after: bool) -> None:
        self._kept = kept
        self._left = steps
        self._after = after

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._kept, name)
        if name not in STEPS:
            return step

        async def taken(*given: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0 or (self._left == 0 and not self._after):
                raise Died
            answer = await step(*given, **named)
            if self._left == 0:
                raise Died
            return answer

        return taken


class Flaky:
    """What a process keeps while the database comes and goes: steps fail before they are done, or after."""

    def __init__(self, kept: Calls, draw: random.Random) -> None:
        self._kept = kept
        self._draw = draw

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._kept, name)
        if name not in STEPS:
            return step

        async def taken(*given: Any, **named: Any) -> Any:
            drawn = self._draw.random()
            if drawn < 0.04:
                raise Unavailable("it is away")
            answer = await step(*given, **named)
            if drawn < 0.08:
                raise Unavailable("the connection broke")
            return answer

        return taken


def later(life: int) -> Clock:
    """Of a process so long after the first that a silent one counts as dead."""
    return Clock(now_ns=lambda: time.time_ns() + life * (SILENT_US + 1_000_000) * 1_000)


def questions(calls: Sequence[Call]) -> Counter[str]:
    """How often each question was put: its check is drawn for the pair and the order."""
    schemas = [json.loads(call.body or "")["response_format"]["json_schema"]["schema"] for call in calls]
    return Counter(schema["properties"]["check"]["enum"][0] for schema in schemas)


@pytest.mark.parametrize("after", [False, True], ids=["before a step", "after a step"])
async def test_a_process_that_dies_between_any_two_steps_buys_nothing_twice(judge, database, analytics, after):
    async with judge(wanted=guide()) as it:
        made = await it.create(stratification={"high": 20, "mild": 10, "major": 10})
        for life, steps in enumerate([*range(1, 16), 10_000]):
            mortal = process_of(
                database, analytics, it.calls, lambda kept, steps=steps: Mortal(kept, steps, after), later(life)
            )
            with suppress(Died, BaseExceptionGroup):
                await mortal.runs.run(made.id)
        found = await it.get(made.id)
        assert found.status == "completed"
        summary = json.loads(found.summary_json)
        assert max(questions(it.calls.simulator.calls()).values()) == 1
        told = await it.verdicts(found.id)
        assert len(told) == 80
        fates = Counter(row["verdict"] for row in told)
        assert fates["interrupted"] > 0
        assert summary["interrupted"] == len({row["row"] for row in told if row["verdict"] == "interrupted"})
        assert summary["judged_count"] + summary["interrupted"] == 40
        recorded = {call.request_id for call in it.recorded}
        assert {row["call_id"] for row in told} <= recorded


@pytest.mark.parametrize("seed", [0, *(pytest.param(more, marks=pytest.mark.nightly) for more in (1, 2))])
async def test_a_database_that_comes_and_goes_buys_nothing_twice_and_leaves_no_question_open(
    judge, database, analytics, seed
):
    draw = random.Random(seed)
    async with judge(wanted=rows("mild", 0, 30, 6)) as it:
        made = await it.create(stratification={"mild": 30}, spendCapNano=40_000_000)
        for life in range(40):
            flaky = process_of(database, analytics, it.calls, lambda kept: Flaky(kept, draw), later(life))
            await flaky.runs.run(made.id)
            if (await it.get(made.id)).status != "running":
                break
        found = await it.get(made.id)
        assert found.status == "completed", found.status_reason
        assert max(questions(it.calls.simulator.calls()).values()) == 1
        assert len(await it.verdicts(found.id)) == 60
        assert sum(call.cost_nano for call in it.recorded) <= 40_000_000


class Overtaken:
    """What a process keeps whose predecessor, only slow, withdraws all that it left open right after the first look."""

    def __init__(self, kept: Calls, predecessor: JudgeRun) -> None:
        self._kept = kept
        self._predecessor = predecessor
        self.withdrawn = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._kept, name)

    async def asked(self, run_id: str) -> Mapping[Place, Asked]:
        found = await self._kept.asked(run_id)
        for each in [] if self.withdrawn else found.values():
            if each.verdict is None:
                await self._kept.withdraw(self._predecessor, each.place)
                self.withdrawn += 1
        return found


async def test_what_a_predecessor_withdraws_late_is_asked_all_the_same(judge, database, analytics):
    async with judge(wanted=rows("mild", 0, 12, 6)) as it:
        made = await it.create(stratification={"mild": 12})
        mortal = process_of(database, analytics, it.calls, lambda kept: Mortal(kept, 8, True))
        with suppress(Died, BaseExceptionGroup):
            await mortal.runs.run(made.id)
        predecessor = await it.runs.records.find(made.id)
        other = process_of(database, analytics, it.calls, lambda kept: Overtaken(kept, predecessor), later(1))
        await other.runs.run(made.id)
        assert other.runs.calls.withdrawn > 0
        told = await it.verdicts(made.id)
        assert len(told) == 24
        assert "interrupted" not in {row["verdict"] for row in told}


async def test_two_processes_at_once_are_one_run(judge, database, analytics):
    """The second finds the first silent though it only was slow: whoever lost the run begins no further call."""
    async with judge(wanted=guide()) as it:
        made = await it.create(stratification={"high": 20, "mild": 10, "major": 10})
        other = process_of(database, analytics, it.calls, clock=later(1))
        async with asyncio.TaskGroup() as group:
            group.create_task(it.runs.run(made.id))
            await it.calls.simulator.until(lambda calls: len(calls) > 10)
            group.create_task(other.runs.run(made.id))
        found = await it.get(made.id)
        assert found.status == "completed"
        assert max(questions(it.calls.simulator.calls()).values()) == 1
        told = await it.verdicts(found.id)
        assert len(told) == 80
        assert json.loads(found.summary_json)["judged_count"] >= 30
