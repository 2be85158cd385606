"""Sampled rows: called once under the cap, told with both answers, told again when asked again."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from sampler_rig import CAP, SINGLE, chat, row, unit

from modelux.events.v1.experiment_pb2 import ExperimentPair
from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_providers.simulator.scenario import Behaviour, Match, Rule
from modelux_response_sampler.units import Place
from routing_core.budgets import BudgetRule

NOW = 1_700_000_000_000_000


def on(model: str, **behaviour: object) -> Rule:
    return Rule(match=Match(model=model), behaviour=Behaviour(**behaviour))


async def test_a_row_is_called_and_told_with_both_answers_and_the_call_is_logged(sampler):
    async with sampler([on("b", text="the new answer")]) as it:
        (pair,) = await it.done(unit(0, [it.sample(7, tags={"team": "search"}, end_user_id="u1")]))
        (call,) = await it.told(RequestCompleted)
        assert (pair.row, pair.side, pair.outcome, pair.error_code) == (7, "candidate", "ok", "")
        assert (pair.logged_answer, pair.answer) == ("the logged answer", "the new answer")
        assert (pair.model, pair.provider, pair.status, pair.attempts) == ("b", "two", 200, 1)
        assert pair.call_id == call.request_id != pair.request_id
        assert (call.source, call.project_id) == ("experiment", "proj_1")
        assert call.tags == {"team": "search", "experiment_id": call.tags["experiment_id"]}
        assert pair.charged_nano == pair.cost_nano == call.cost_nano > 0
        assert pair.usage == call.usage
        assert pair.latency_us > 0
        assert pair.trace_json == call.trace_json
        assert it.work.rows.meters.value("rows", "ok") == 1


async def test_the_logged_target_is_called_for_the_baseline(sampler):
    async with sampler([on("a", text="the logged model"), on("b", text="the candidate")]) as it:
        it.log.add(1)
        target = {"model": "a", "provider": "one", "credential_id": "pc_one"}
        pairs = await it.done(unit(0, [row(1), row(1, "baseline", **target)]))
        assert [(pair.side, pair.answer) for pair in pairs] == [
            ("baseline", "the logged model"),
            ("candidate", "the candidate"),
        ]


async def test_a_logged_stream_is_called_as_a_stream(sampler):
    async with sampler([on("b", text="in pieces")]) as it:
        streamed = b'data: {"choices":[{"index":0,"delta":{"content":"it was"}}]}\n\n'
        streamed += b'data: {"choices":[{"index":0,"delta":{"content":" streamed"}}]}\n\n'
        body = chat(1, stream=True)
        sample = it.sample(1, stream=True, request_body=body, response_body=streamed)
        (pair,) = await it.done(unit(0, [sample]))
        assert (pair.logged_answer, pair.answer) == ("it was streamed", "in pieces")
        assert 0 < pair.ttft_us <= pair.latency_us
        assert it.calls.simulator.calls()[0].stream


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"request_body": b""}, "no_logged_request"),
        ({"request_body": b"not JSON"}, "no_logged_request"),
        ({"endpoint": "embeddings"}, "not_a_chat"),
    ],
)
async def test_what_cannot_be_asked_again_is_not_called(sampler, changes, code):
    async with sampler() as it:
        (pair,) = await it.done(unit(0, [it.sample(1, **changes)]))
        assert (pair.outcome, pair.error_code, pair.call_id) == ("not_called", code, "")
        assert it.calls.simulator.calls() == []
        assert await it.told(RequestCompleted) == []


async def test_a_row_that_the_log_has_lost_or_of_another_project_is_not_called(sampler):
    async with sampler() as it:
        pairs = await it.done(
            unit(0, [row(5)]), unit(1, [it.sample(6)], project_id="proj_2"),
        )  # fmt: skip
        assert [pair.error_code for pair in pairs] == ["no_logged_request", "project_not_found"]


async def test_a_provider_that_fails_is_an_error_of_the_candidate(sampler):
    async with sampler([on("b", status=500)]) as it:
        (pair,) = await it.done(unit(0, [it.sample(1)]))
        assert (pair.outcome, pair.status, pair.answer, pair.attempts) == ("error", 500, "", 1)
        assert len(await it.told(RequestCompleted)) == 1


async def test_what_the_cap_refuses_is_not_called_and_says_so(sampler):
    small = replace(CAP, cap_nano=7)
    async with sampler(cap=small) as it:
        (pair,) = await it.done(unit(0, [it.sample(1)], cap=small))
        assert (pair.outcome, pair.error_code, pair.charged_nano) == ("not_called", "budget_exceeded", 0)
        assert it.calls.simulator.calls() == []


async def test_what_a_budget_of_the_project_refuses_goes_by_another_name(sampler):
    budget = BudgetRule("own", "project", "org_1", "proj_1", cap_nano=7)
    async with sampler(budgets=[budget]) as it:
        (pair,) = await it.done(unit(0, [it.sample(1)]))
        assert (pair.outcome, pair.error_code) == ("not_called", "project_budget_exceeded")


async def test_an_experiment_that_no_longer_runs_calls_nothing(sampler):
    async with sampler() as it:
        it.may_call[0] = False
        pairs = await it.done(unit(0, [it.sample(1), it.sample(2)]))
        assert [(pair.outcome, pair.error_code) for pair in pairs] == [("not_called", "stopped")] * 2
        assert it.calls.simulator.calls() == []


async def test_no_call_begins_after_the_deadline(sampler):
    async with sampler() as it:
        (pair,) = await it.done(unit(0, [it.sample(1)], deadline_us=NOW))
        assert (pair.outcome, pair.error_code) == ("not_called", "deadline")


async def test_a_unit_that_comes_again_is_told_again_and_not_called_again(sampler):
    async with sampler() as it:
        units = [unit(0, [it.sample(1), it.sample(2, request_body=b"")])]
        first = await it.done(*units)
        again = await it.done(*units)
        assert [pair for pair in again if pair.row == 1] == [first[0]] * 2
        assert [pair for pair in again if pair.row == 2] == [first[1]] * 2
        assert len(it.calls.simulator.calls()) == 1
        assert len(await it.told(RequestCompleted)) == 1


async def test_a_call_whose_process_died_is_told_as_interrupted_and_not_made_again(sampler):
    async with sampler(silent_s=0.05) as it:
        samples = unit(0, [it.sample(1), it.sample(2)])
        await it.units.put([samples])
        dead = await it.units.claim()
        assert await it.units.begin(dead, Place(1, "candidate"), "req_dead")
        pairs = await it.done()
        assert [(pair.outcome, pair.call_id) for pair in pairs[:1]] == [("interrupted", "req_dead")]
        assert pairs[1].outcome == "ok"
        assert len(it.calls.simulator.calls()) == 1
        records = {call.request_id: call.outcome for call in await it.told(RequestCompleted)}
        assert records["req_dead"] == "unknown"


async def test_an_owner_that_lost_its_unit_begins_and_tells_nothing(sampler):
    async with sampler(silent_s=0.0) as it:
        await it.units.put([unit(0, [it.sample(1), it.sample(2)])])
        slow = await it.units.claim()
        assert await it.units.begin(slow, Place(1, "candidate"), "req_slow")
        assert await it.units.begin(slow, Place(1, "candidate"), "req_slow")  # said again after a lost answer
        quick = await it.units.claim()
        assert (slow.epoch, quick.epoch) == (1, 2)
        assert not await it.units.beat(slow)
        assert not await it.units.begin(slow, Place(2, "candidate"), "req_other")
        told = ExperimentPair(experiment_id="sim_1", row=2, side="candidate", outcome="not_called")
        assert not await it.units.skip(slow, told)
        gone = ExperimentPair(experiment_id="sim_1", row=1, side="candidate", outcome="interrupted")
        assert await it.units.interrupt(quick, gone, b"")
        late = ExperimentPair(experiment_id="sim_1", row=1, side="candidate", outcome="ok", call_id="req_slow")
        assert not await it.units.answer(slow, late, b"\n\x08req_slow")
        assert [pair.outcome for pair in await it.pairs()] == ["interrupted"]
        assert [call.request_id for call in await it.told(RequestCompleted)] == ["req_slow"]  # it was paid for


async def test_while_the_ledger_is_away_rows_wait(sampler):
    async with sampler() as it:
        it.calls.books.down = True
        await it.units.put([unit(0, [it.sample(1)])])
        async with asyncio.TaskGroup() as group:
            running = group.create_task(it.work.run())
            await it.calls.books.until(lambda: it.calls.books.calls)
            assert it.calls.simulator.calls() == []
            it.calls.books.down = False
            await it.until_done()
            running.cancel()
        assert [pair.outcome for pair in await it.pairs()] == ["ok"]


async def test_a_stop_lets_calls_end_and_leaves_the_rest(sampler):
    async with sampler([on("b", ttft_ms=150)]) as it:
        await it.units.put([unit(0, [it.sample(number) for number in range(20)])])
        async with asyncio.TaskGroup() as group:
            running = group.create_task(it.work.run())
            await it.calls.simulator.until(lambda calls: len(calls) == 8)
            assert await it.work.stop(10)
            await running
        calls = it.calls.simulator.calls()
        assert len(calls) < 20
        assert {pair.outcome for pair in await it.pairs()} == {"ok"}
        assert len(await it.pairs()) == len(calls)
        assert await it.open_units() == 1


async def test_old_units_are_forgotten_with_what_they_called(sampler):
    async with sampler() as it:
        await it.done(unit(0, [it.sample(1)], deadline_us=NOW), unit(1, [it.sample(2)]))
        await it.units.sweep(NOW + 25 * 3600 * 1_000_000)
        async with it.database.transaction() as tx:
            assert [each["unit"] for each in await tx.fetch_all("SELECT unit FROM sampler.units")] == [1]
            assert [each["row"] for each in await tx.fetch_all("SELECT row FROM sampler.calls")] == [2]


async def test_the_same_policy_document_goes_by_its_name(sampler):
    async with sampler() as it:
        (pair,) = await it.done(unit(0, [it.sample(1)], SINGLE, candidate_slug="cheap", candidate_version=3))
        (call,) = await it.told(RequestCompleted)
        assert (call.config_slug, call.config_version) == ("cheap", 3)
        assert json.loads(pair.trace_json)
