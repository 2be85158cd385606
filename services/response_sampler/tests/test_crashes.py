"""Processes that die at any moment: no row is bought twice, and none goes untold."""

from __future__ import annotations

import asyncio
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from budget_books import Books, served
from sampler_rig import CAP, Sampler, row, sampler_of, unit

from modelux.events.v1.experiment_pb2 import ExperimentPair, ExperimentSamples
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_providers.simulator.calls import Call
from modelux_providers.simulator.scenario import Behaviour, Scenario
from modelux_providers.simulator.server import Simulator
from modelux_response_sampler.units import Known, Place, Unit, Units
from modelux_store.errors import Unavailable
from routing_core.ledger.meters import Meter

PROCESS = Path(__file__).with_name("sampler_process.py")


class Died(BaseException):
    """The process is gone: nothing runs any more, not even what cleans up."""


class Mortal:
    """The database as a process has it that dies right before or right after one of its steps."""

    def __init__(self, units: Units, steps: int, after: bool) -> None:
        self._units = units
        self._left = steps
        self._after = after
        self.silent_s = units.silent_s

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._units, name)

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
    """The database as a process has it while it comes and goes: steps fail before they are done, or after."""

    def __init__(self, units: Units, random: random.Random) -> None:
        self._units = units
        self._random = random
        self.silent_s = units.silent_s

    def __getattr__(self, name: str) -> Any:
        step = getattr(self._units, name)

        async def taken(*given: Any, **named: Any) -> Any:
            draw = self._random.random()
            if draw < 0.15:
                raise Unavailable("it is away")
            answer = await step(*given, **named)
            if draw < 0.3:
                raise Unavailable("the connection broke")
            return answer

        return taken


def units_of(rows: int) -> list[ExperimentSamples]:
    return [
        unit(number, [row(each) for each in range(start, min(start + 20, rows))])
        for number, start in enumerate(range(0, rows, 20))
    ]


def questions(calls: Sequence[Call]) -> Counter[str]:
    """How often each row's request was sent."""
    return Counter(json.loads(call.body or "")["messages"][0]["content"] for call in calls)


async def accounted(it: Sampler, rows: int) -> Counter[str]:
    """Every row has exactly one fate; the fates."""
    told: dict[int, set[str]] = {}
    for pair in await it.told(ExperimentPair):
        told.setdefault(pair.row, set()).add(pair.outcome)
    assert sorted(told) == list(range(rows))
    assert all(len(fates) == 1 for fates in told.values())
    return Counter(next(iter(fates)) for fates in told.values())


@pytest.mark.parametrize("after", [False, True], ids=["before a step", "after a step"])
async def test_a_process_that_dies_between_any_two_steps_buys_nothing_twice(sampler, database, after):
    rows = 60
    async with sampler(silent_s=0.05) as it:
        await it.units.put(units_of(rows))
        for steps in [*range(1, 21), 10_000]:
            mortal = sampler_of(database, it.calls, lambda units, steps=steps: Mortal(units, steps, after), 0.05)
            for number in range(rows):
                mortal.log.add(number)
            await lives(it, mortal)
        await it.until_done(1)
        calls = it.calls.simulator.calls()
        assert max(questions(calls).values()) == 1
        fates = await accounted(it, rows)
        assert fates["ok"] > 0
        assert fates["ok"] + fates["interrupted"] == rows


class Overtaken:
    """The database of a process whose predecessor, only slow, withdraws what it left open after the first look."""

    def __init__(self, units: Units, predecessor: Unit) -> None:
        self._units = units
        self._predecessor = predecessor
        self.withdrawn = 0
        self.silent_s = units.silent_s

    def __getattr__(self, name: str) -> Any:
        return getattr(self._units, name)

    async def known(self, unit: Unit) -> Mapping[Place, Known]:
        found = await self._units.known(unit)
        for place, each in {} if self.withdrawn else found.items():
            if each.pair is None:
                await self._units.withdraw(self._predecessor, place)
                self.withdrawn += 1
        return found


async def test_what_a_predecessor_withdraws_late_is_called_all_the_same(sampler, database):
    rows = 12
    async with sampler() as it:
        await it.units.put(units_of(rows))
        predecessor = await it.units.claim()
        for number in range(3):
            assert await it.units.begin(predecessor, Place(number, "candidate"), f"req_{number:026d}")
        await it.units.leave(predecessor, done=False)
        overtaken: list[Overtaken] = []

        def wrapped(units: Units) -> Overtaken:
            overtaken.append(Overtaken(units, predecessor))
            return overtaken[-1]

        other = sampler_of(database, it.calls, wrapped)
        for number in range(rows):
            other.log.add(number)
        await lives(it, other)
        await it.until_done(1)
        assert overtaken[-1].withdrawn == 3
        assert await accounted(it, rows) == {"ok": rows}


@pytest.mark.parametrize("seed", [0, *(pytest.param(more, marks=pytest.mark.nightly) for more in (1, 2))])
async def test_a_database_that_comes_and_goes_costs_no_row_and_buys_nothing_twice(sampler, seed):
    rows = 60
    draw = random.Random(seed)
    async with sampler(silent_s=2.0, wrapped=lambda units: Flaky(units, draw)) as it:
        for number in range(rows):
            it.log.add(number)
        await Units(it.database).put(units_of(rows))
        async with asyncio.TaskGroup() as group:
            running = group.create_task(it.work.run())
            await it.until_done()
            running.cancel()
        assert set(questions(it.calls.simulator.calls()).values()) == {1}
        assert await accounted(it, rows) == {"ok": rows}


async def lives(it: Sampler, mortal: Sampler) -> None:
    """Lets a process work until it dies, or everything is done."""
    with suppress(BaseExceptionGroup):
        async with asyncio.TaskGroup() as group:
            running = group.create_task(mortal.work.run())
            await it.until_done()
            running.cancel()


class Killed:
    """Runs the process, kills it, runs it again."""

    def __init__(self, options: dict[str, Any]) -> None:
        self._options = json.dumps(options)
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(sys.executable, str(PROCESS), self._options)

    async def kill(self) -> None:
        assert self._process is not None
        assert self._process.returncode is None, "the process ended by itself"
        self._process.kill()
        await self._process.wait()


@pytest.mark.parametrize(
    ("rows", "kills"),
    [pytest.param(300, 3, id="300"), pytest.param(5_000, 20, id="5000", marks=pytest.mark.nightly)],
)
async def test_a_process_that_is_killed_buys_nothing_twice_and_owes_no_row(
    sampler, database, postgres, tmp_path, rows, kills
):
    """The next process finds the leases of the one before, so the ledger knows what every call cost or may have."""
    draw = random.Random(rows)
    books = Books({CAP.id: 0})
    books.rules = {CAP.id: CAP}
    folder = tmp_path / "own"
    folder.mkdir()
    slow = Behaviour(ttft_ms=20.0, ttft_sigma=0.5, output_tokens=20)
    async with (
        Simulator.start(Scenario(behaviour=slow, keep_bodies=True)) as simulator,
        served(books, folder) as ledger,
        sampler() as it,
    ):
        await it.units.put(units_of(rows))
        options = {"port": simulator.port, "ledger": ledger, "folder": str(folder), "rows": rows, "silent_s": 1.5}
        process = Killed(options | {"database": database._url})
        for number in range(kills):
            await process.start()
            wanted = (number + draw.random()) * rows / (kills + 1)
            await simulator.until(lambda calls, wanted=wanted: len(calls) > wanted, within_s=60)
            await process.kill()
        await process.start()
        await it.until_done(200)
        await process.kill()
        calls = simulator.calls()
        assert max(questions(calls).values()) == 1
        fates = await accounted(it, rows)
        assert fates["ok"] + fates["interrupted"] == rows
        assert fates["ok"] <= len(calls) <= rows
        recorded = Counter(call.request_id for call in await it.told(RequestCompleted))
        assert len(recorded) == rows
        account = books.account(Meter(CAP.id, "", "usd"))
        charged = sum(pair.charged_nano for pair in await it.told(ExperimentPair))
        assert account.settled + account.leased >= charged > 0
