"""Judge runs that end before their last pair: by their cap, a caller, the clock, or as nothing more is needed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from dataclasses import replace
from typing import Any

from judge_rig import actor, rows
from test_judge_life import guide

from modelux.judge.v1 import judge_pb2 as pb
from modelux_calling.clock import Clock
from modelux_judge.hold import LIMIT_S
from modelux_providers.simulator.scenario import Behaviour, Match, Rule
from routing_core.budgets import BudgetRule

ALL = {"high": 60, "mild": 30, "major": 20}
SLOW = Rule(match=Match(), behaviour=Behaviour(ttft_ms=40.0))


async def test_a_spend_cap_is_never_crossed_and_ends_the_run_by_its_name(judge):
    async with judge(wanted=guide()) as it:
        found, summary = await it.done(stratification=ALL, spendCapNano=20_000_000)
        assert found.status == "cancelled"
        assert found.status_reason.startswith("The spend cap of $0.02 (spendCapUsd) was reached after ")
        assert found.status_reason.endswith(" of 110 pairs.")
        charged = sum(call.charged_nano or call.cost_nano for call in it.recorded)
        assert 0 < charged <= 20_000_000
        assert 0 < summary["pairs_asked"] < 110
        assert (summary["stopped_early"], summary["traffic"]["intervals"]) == (True, "anytime")
        assert summary["judged_count"] == summary["pairs_asked"]
        assert summary["stop_reason"] == found.status_reason
        assert (await it.event()).status == "cancelled"
        told = await it.verdicts(found.id)
        asked = Counter(row["row"] for row in told)
        assert sorted(asked.values())[-summary["pairs_asked"] :] == [2] * summary["pairs_asked"]


async def test_a_budget_of_the_project_ends_the_run_too(judge):
    poor = BudgetRule("bud_poor", "project", "org_1", "proj_1", name="poor", cap_nano=10_000_000)
    async with judge(wanted=guide(), budgets=[poor]) as it:
        found, _ = await it.done(stratification=ALL)
        assert found.status == "cancelled"
        assert "Budget bud_poor has no room" in found.status_reason
        assert sum(call.cost_nano for call in it.recorded) <= 10_000_000


async def test_a_caller_stops_a_run_and_keeps_what_came_in(judge):
    async with judge([SLOW], wanted=guide()) as it:
        made = await it.create(stratification=ALL)
        async with asyncio.TaskGroup() as group:
            group.create_task(it.runs.run(made.id))
            await it.calls.simulator.until(lambda calls: len(calls) > 20)
            cancel = pb.CancelRequest(actor=actor(), experiment_id="sim_1", id=made.id)
            stopping = (await it.desk.cancel(cancel)).run
            assert (stopping.status, stopping.status_reason) == ("running", "Cancelled by a caller.")
        found = await it.get(made.id)
        summary = json.loads(found.summary_json)
        assert found.status == "cancelled"
        assert found.status_reason == f"Cancelled by a caller after {summary['pairs_asked']} of 110 pairs."
        assert 0 < summary["pairs_asked"] < 110
        assert summary["stopped_early"] is True
        again = (await it.desk.cancel(cancel)).run
        assert again.finished_at_us == found.finished_at_us


async def test_what_nobody_runs_yet_is_cancelled_at_once(judge):
    async with judge(wanted=guide()) as it:
        made = await it.create(stratification=ALL)
        await it.desk.cancel(pb.CancelRequest(actor=actor(), experiment_id="sim_1", id=made.id))
        await it.runs.run(made.id)
        found = await it.get(made.id)
        assert (found.status, found.summary_json, it.calls.simulator.calls()) == ("cancelled", b"", [])
        await it.runs.ending.close_left()
        assert it.bank.closed == [f"bud_{made.id}"]


async def test_half_an_hour_is_the_limit(judge):
    async with judge(wanted=guide()) as it:
        made = await it.create(stratification=ALL)
        late = Clock(now_ns=lambda: (made.created_at_us + (LIMIT_S + 1) * 1_000_000) * 1_000)
        await it.runs.records.claim(made.id, made.created_at_us)
        await it.runs.records.release(await it.runs.records.find(made.id))
        await replace(it.runs, caller=replace(it.runs.caller, clock=late)).run(made.id)
        found = await it.get(made.id)
        assert (found.status, it.calls.simulator.calls()) == ("failed", [])
        assert found.status_reason == "It took longer than 30 minutes after 0 of 110 pairs."


async def test_a_run_ends_once_it_is_decided_and_says_so(judge):
    wanted = rows("major", 0, 300, 4)
    async with judge(wanted=wanted) as it:
        found, summary = await it.done(stratification={"major": 300}, stopWhenDecided={"worsePct": 20.0})
        assert (found.status, found.status_reason) == ("completed", "")
        assert summary["decided"] == "The traffic's worse rate is not below 20 %."
        assert (summary["stopped_early"], summary["traffic"]["intervals"]) == (True, "anytime")
        assert 50 <= summary["judged_count"] < 100
        assert summary["traffic"]["worse"]["lower"] > 0.2


async def test_what_is_not_decided_is_judged_to_the_end(judge):
    wanted = [*rows("major", 0, 30, 4), *rows("major", 100, 30, 5)]
    async with judge(wanted=wanted) as it:
        found, summary = await it.done(stratification={"major": 60}, stopWhenDecided={"worsePct": 50.0})
        assert (found.status, summary["judged_count"], summary["decided"]) == ("completed", 60, None)
        assert (summary["stopped_early"], summary["traffic"]["intervals"]) == (False, "anytime")


async def test_an_idempotency_key_makes_one_run(judge):
    async with judge(wanted=guide()) as it:
        one, other = await it.create("key-1", stratification=ALL), await it.create("key-1", stratification=ALL)
        assert one.id == other.id
        assert len(it.bank.opened) == 1
        refused = await it.refused("key-1", stratification={"high": 1})
        assert (refused.status, refused.code) == (409, "idempotency_key_reused")


async def test_only_so_many_runs_of_an_organization_wait_at_a_time(judge):
    async with judge(wanted=guide()) as it:
        for _ in range(5):
            await it.create(stratification=ALL)
        refused = await it.refused(stratification=ALL)
        assert (refused.status, refused.code) == (409, "too_many_runs")
        assert len(it.bank.closed) == 1, "the cap of the refused one"


async def test_experiments_without_answers_are_refused(judge):
    async with judge(wanted=guide()) as it:
        for changes, code in (
            ({"mode": "routing_only"}, "no_responses"),
            ({"status": "running"}, "experiment_not_completed"),
            ({"status": "cancelled"}, "experiment_not_completed"),
        ):
            record = it.neighbours.record
            it.neighbours.record = type(record)()
            it.neighbours.record.CopyFrom(record)
            it.neighbours.record.spec.mode = changes.get("mode", record.spec.mode)
            it.neighbours.record.status = changes.get("status", record.status)
            refused = await it.refused()
            assert (refused.status, refused.code) == (409, code)
            it.neighbours.record = record
        refused = await it.refused(experimentId="sim_2")
        assert refused.status == 404
    async with judge(policies={"jury": ENSEMBLE, "led": {"strategy": "single", "model": "a"}}) as it:
        refused = await it.refused(stratification={"high": 9, "highFrom": 0.999, "mildFrom": 0.99})
        assert (refused.status, refused.code) == (409, "no_pairs")
        refused = await it.refused(judgeModel="@jury")
        assert (refused.status, refused.code) == (422, "ensemble_judge")


ENSEMBLE: dict[str, Any] = {
    "strategy": "ensemble",
    "aggregation": "voting",
    "members": [{"model": "a"}, {"model": "b"}],
}
