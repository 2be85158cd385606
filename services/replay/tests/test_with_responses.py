"""An experiment with responses from its creation to its end; the sampler and its scores are played."""

from __future__ import annotations

import asyncio
import json
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from typing import Any

import pytest
from played import COST_NANO, EMBEDDER, Sampler, score_message, told
from replay_harness import Clock, Replay, fill
from responses_harness import CAP_NANO, WITH_RESPONSES, around, askable, may_call, prompt_sampler, rows_of

from modelux.config.v1 import admin_pb2 as config
from modelux.events.v1.experiment_pb2 import ExperimentSamples, SampledRow
from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.experiments import SILENT_US
from modelux_replay.pool import Pool
from modelux_replay.runs import Runs


async def test_a_sample_is_called_scored_and_summed_up(acme: Replay, runs: Runs) -> None:
    events = askable(acme, 230)
    for each in events[200:]:
        each.ClearField("request_body")
    await fill(runs.analytics, events)
    made = await acme.create(**{**WITH_RESPONSES, "sample": {"size": 1_000, "aaShare": 0.25}})
    assert made.budget_id.startswith("bud_")
    sampler = prompt_sampler(runs)
    async with around(runs, sampler):
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, found.rows_total, found.rows_done) == ("completed", 200, 200)
    rows = await rows_of(runs, made.id)
    assert [row["row"] for row in rows] == list(range(200)), "those without a body cannot be asked again"
    assert {row["evidence"] for row in rows} == {"observed"}
    assert {row["candidate_request_id"] for row in rows} == {f"req_call_candidate_{n}" for n in range(200)}
    called = {(row["candidate_cost_nano"], row["similarity"], row["embedder"], row["trace"]) for row in rows}
    assert called == {(COST_NANO, 0.9, EMBEDDER, '{"called":true}')}
    again = [row for row in rows if row["repeat_request_id"]]
    assert len(again) == 45, "a quarter of those that were answered"
    assert {(row["repeat_status"], row["repeat_similarity"]) for row in again} == {("ok", 0.9)}
    repeats = [row for unit in sampler.units for row in unit.rows if row.side == "baseline"]
    assert {(row.model, row.provider) for row in repeats} == {("gpt-4o", "openai")}
    assert {unit.budget_id for unit in sampler.units} == {made.budget_id}
    summary = json.loads(found.summary_json)
    assert summary["candidate_summary"]["mean_cost_usd"] == COST_NANO / 1e9
    assert summary["stopped_early"] is None
    drawn = {"method": "random", "size": 1_000, "drawn": 200, "askable": 200, "not_askable": 30}
    assert summary["sampling"] == drawn


async def test_rows_go_out_in_random_order_and_weigh_what_they_stand_for(acme: Replay, runs: Runs) -> None:
    await acme.tenant("UpdateProject", id=acme.tenant.project_id, experiment_sample_min=10)
    await fill(runs.analytics, askable(acme, 300))
    made = await acme.create(**{**WITH_RESPONSES, "sample": {"size": 60}})
    sampler = prompt_sampler(runs)
    async with around(runs, sampler):
        await runs.run(made.id)
    units = sorted(sampler.units, key=lambda unit: unit.unit)
    called = [row.row for unit in units for row in unit.rows]
    assert [len(unit.rows) for unit in units] == [20, 20, 20]
    assert len(set(called)) == 60
    assert called != sorted(called)
    assert max(called) > 200
    assert {row["weight"] for row in await rows_of(runs, made.id)} == {5.0}


async def test_rows_that_keep_the_logged_choice_are_called_only_where_asked(acme: Replay, runs: Runs) -> None:
    events = askable(acme, 100)
    for each in events[:70]:
        each.model = "gpt-4o-mini"
    await fill(runs.analytics, events)
    for unchanged, calls in ((False, 30), (True, 100)):
        made = await acme.create(**{**WITH_RESPONSES, "sample": {"size": 1_000, "callUnchanged": unchanged}})
        sampler = prompt_sampler(runs)
        async with around(runs, sampler):
            await runs.run(made.id)
        assert len(sampler.called) == calls
        rows = await rows_of(runs, made.id)
        assert sum(row["evidence"] == "reused" for row in rows) == 100 - calls
        assert (await acme.get(made.id)).rows_done == 100


async def test_a_cap_that_is_reached_cancels_and_keeps_what_came(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 200))
    made = await acme.create(**WITH_RESPONSES)
    assert await may_call(acme, made.id) is False, "it does not run yet"
    sampler = prompt_sampler(runs)

    def until_the_cap(unit: ExperimentSamples, row: SampledRow) -> dict[str, object]:
        if len(sampler.called) <= CAP_NANO // COST_NANO:
            return {}
        return {"outcome": "not_called", "error_code": "budget_exceeded", "cost_nano": 0, "charged_nano": 0}

    sampler.answer = until_the_cap
    async with around(runs, sampler):
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert found.status == "cancelled"
    assert found.status_reason == "The spend cap of $0.005 (spendCapUsd) was reached after 100 of 200 rows."
    assert found.spent_nano == CAP_NANO
    summary = json.loads(found.summary_json)
    assert summary["stopped_early"]["called"] == 100
    assert summary["coverage"]["evidence"] == {"observed": 100, "reused": 0, "projected": 0, "not_evaluable": 100}
    assert await may_call(acme, made.id) is False
    refused = await acme.refused(pb.PromoteRequest(id=made.id), pb.PromoteResponse)
    assert refused.code == "experiment_incomplete"


async def test_a_cancelled_run_begins_no_call_and_keeps_what_came(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 2_000))
    made = await acme.create(**{**WITH_RESPONSES, "sample": {"size": 2_000}})
    sampler = Sampler(runs.bus)
    async with around(runs, sampler), asyncio.TaskGroup() as group:
        running = group.create_task(runs.run(made.id))
        await sampler.heard.wait()
        assert await may_call(acme, made.id)
        cancelling = group.create_task(acme.ask(pb.CancelRequest(id=made.id), pb.CancelResponse))
        while await may_call(acme, made.id):
            await asyncio.sleep(0.01)
        sampler.go_on.set()
        await running
    found = await acme.get(made.id)
    assert cancelling.result().experiment.status == found.status == "cancelled"
    assert found.status_reason.startswith("Cancelled by a caller after ")
    assert len(sampler.called) <= 64 * 20 < 2_000
    stopped = json.loads(found.summary_json)["stopped_early"]
    assert (stopped["reason"], stopped["called"]) == (found.status_reason, len(sampler.called))


async def test_a_process_that_takes_over_calls_the_same_rows_and_none_twice(
    acme: Replay, runs: Runs, clock: Clock
) -> None:
    await fill(runs.analytics, askable(acme, 200))
    made = await acme.create(**WITH_RESPONSES)
    sampler = Sampler(runs.bus)
    async with around(runs, sampler), asyncio.TaskGroup() as group:
        dying = group.create_task(runs.run(made.id))
        await sampler.heard.wait()
        dying.cancel()
        await asyncio.wait([dying])
        late = askable(acme, 333)
        for each in late:
            each.request_id += "_late"
        await fill(runs.analytics, late)
        clock.us += SILENT_US + 1
        sampler.go_on.set()
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, found.rows_done) == ("completed", 200)
    first = {unit.unit: unit for unit in reversed(sampler.units)}
    assert all(list(unit.rows) == list(first[unit.unit].rows) for unit in sampler.units)
    assert len(sampler.called) == len(set(sampler.called)) == 200
    rows = await rows_of(runs, made.id)
    assert {row["request_id"] for row in rows} == {row.request_id for unit in first.values() for row in unit.rows}


async def test_scores_that_come_twice_or_late_change_nothing(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 40))
    made = await acme.create(**WITH_RESPONSES)
    sampler = prompt_sampler(runs)
    async with around(runs, sampler):
        await runs.run(made.id)
        before = await rows_of(runs, made.id)
        (unit, *_) = sampler.units
        await runs.pairs.add([told(unit, row, cost_nano=1, similarity=0.1) for row in unit.rows])
        assert (await runs.pairs.tally(made.id)).charged_nano == 40 * COST_NANO
        await runs.caps.close_left(runs.experiments)
        assert (await runs.pairs.tally(made.id)).known == 0, "what the run kept for itself is let go of"
        await runs.bus.publish([score_message(told(unit, row)) for row in unit.rows])
        await runs.pairs.add([told(unit, row) for row in unit.rows])
    assert (await runs.pairs.tally(made.id)).known == 0
    assert await rows_of(runs, made.id) == before


async def test_calls_that_nobody_knows_the_end_of_are_not_evaluable(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 60))
    made = await acme.create(**WITH_RESPONSES)
    outcomes: tuple[dict[str, object], ...] = (
        {"outcome": "interrupted", "charged_nano": 900, "trace_json": b""},
        {"outcome": "not_called", "error_code": "price_unknown", "cost_nano": 0, "charged_nano": 0},
        {"outcome": "error", "error_code": "http_500", "model": "gpt-4o-mini", "cost_nano": 0},
        {},
    )
    sampler = prompt_sampler(runs, answer=lambda unit, row: outcomes[row.row % 4])
    async with around(runs, sampler):
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, found.rows_done) == ("completed", 30)
    seen = {row["row"] % 4: (row["evidence"], row["candidate_error_code"]) for row in await rows_of(runs, made.id)}
    assert seen == {
        0: ("not_evaluable", "interrupted"),
        1: ("not_evaluable", "price_unknown"),
        2: ("observed", "http_500"),
        3: ("observed", ""),
    }
    coverage = json.loads(found.summary_json)["coverage"]
    assert coverage["evidence"]["not_evaluable"] == 30


async def test_after_its_time_no_call_begins_and_what_came_is_kept(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, askable(acme, 40))
    made = await acme.create(**WITH_RESPONSES)
    sampler = prompt_sampler(runs)
    async with around(runs, sampler):
        await runs.experiments.claim(made.id, clock())
        clock.us += 29 * 60 * 1_000_000
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, sampler.called) == ("cancelled", [])
    assert found.status_reason == "The time limit of 30 minutes was reached after 0 of 40 rows."


@pytest.mark.parametrize("method", ["random", "stratified", "semantic"])
async def test_where_nothing_can_be_asked_again_nothing_is_called(acme: Replay, runs: Runs, method: str) -> None:
    await fill(runs.analytics, askable(acme, 5, request_body=b""))
    made = await acme.create(**{**WITH_RESPONSES, "sample": {"size": 1_000, "method": method}})
    sampler = prompt_sampler(runs)
    async with around(runs, sampler):
        await runs.run(made.id)
    found = await acme.get(made.id)
    assert (found.status, found.rows_total, sampler.units) == ("completed", 0, [])
    summary = json.loads(found.summary_json)
    assert summary["sentence"].startswith("nothing to compare")
    assert summary["sampling"]["not_askable"] == 5


class DyingPool:
    """Its worker dies at the given piece of work, counted from 1."""

    def __init__(self, pool: Pool, at: int) -> None:
        self.workers = pool.workers
        self.left = at
        self._pool = pool

    async def run(self, work: Any, *arguments: Any) -> Any:
        self.left -= 1
        if not self.left:
            raise BrokenProcessPool
        return await self._pool.run(work, *arguments)

    def reset(self) -> None:
        """Nothing is broken in truth."""


async def test_a_worker_that_dies_after_the_calls_does_not_lose_them(acme: Replay, runs: Runs, clock: Clock) -> None:
    await fill(runs.analytics, askable(acme, 20))
    made = await acme.create(**WITH_RESPONSES)
    sampler = prompt_sampler(runs)
    # The draw, the simulation, and what gathers the answers.
    dying: Any = DyingPool(runs.pool, at=3)
    async with around(runs, sampler):
        await replace(runs, pool=dying).run(made.id)
        assert (await acme.get(made.id)).status == "running"
        assert len(sampler.called) == 20
        clock.us += SILENT_US + 1
        handed_out = len(sampler.units)
        await runs.run(made.id)
    assert (await acme.get(made.id)).status == "completed"
    assert len(sampler.units) == handed_out, "all is known already"


async def test_every_end_closes_the_cap(acme: Replay, runs: Runs) -> None:
    await fill(runs.analytics, askable(acme, 20))
    completed, cancelled = [await acme.create(**WITH_RESPONSES) for _ in range(2)]
    async with around(runs, prompt_sampler(runs)):
        await runs.run(completed.id)
        await acme.ask(pb.CancelRequest(id=cancelled.id), pb.CancelResponse)
        assert len(await runs.experiments.open_caps()) == 2
        await runs.caps.close_left(runs.experiments)
    assert await runs.experiments.open_caps() == []
    for made in (completed, cancelled):
        assert await disabled(acme, made.budget_id)


async def test_what_cannot_be_stored_leaves_no_cap_open(acme: Replay, runs: Runs) -> None:
    made = await asyncio.gather(*(acme.create(**WITH_RESPONSES) for _ in range(20)))
    problem = await acme.create_refused(**WITH_RESPONSES)
    assert (problem.status, problem.code) == (429, "too_many_experiments")
    assert "cancel one" in problem.hint
    await acme.ask(pb.CancelRequest(id=made[0].id), pb.CancelResponse)
    twice: list[Any] = await asyncio.gather(*(acme.create(key="k", **WITH_RESPONSES) for _ in range(2)))
    assert twice[0].id == twice[1].id
    caps = (await acme.tenant("ListBudgets", scope="experiment")).budgets
    open_ones = [each.scope_key for each in caps if not each.disabled]
    assert sorted(open_ones) == sorted({each.id for each in (*made, twice[0])})


async def disabled(acme: Replay, budget_id: str) -> bool:
    found = await acme.tenant("GetBudget", id=budget_id)
    assert isinstance(found, config.GetBudgetResponse)
    return found.budget.disabled
