"""Budgets that change a call instead of refusing it, runs that end, and runs that go round in circles."""

from __future__ import annotations

import json

import pytest
from budget_rig import RUN, bound, chat, rule

from modelux_providers.simulator.scenario import Behaviour

PLENTY = 10**12
AT_80 = {"action": "downgrade", "downgrade_to": "b", "downgrade_at_ppm": 800_000}
TEXT = {model: Behaviour(text="short") for model in "abc"}


def models(it) -> list[str]:
    return [call.model for call in it.rig.simulator.calls()]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("used", "model"), [(799_999, "a"), (800_000, "b")])
async def test_from_its_share_on_the_cheaper_model_serves_first(capped, used, model, stream):
    async with capped(rule(name="team", cap_nano=PLENTY, **AT_80), rules=TEXT) as it:
        it.account().settled = PLENTY // 1_000_000 * used
        assert (await it.ask(chat("c")))[0] == 200  # what the ledger says is known from the first grant on
        status, headers, _ = await it.ask(chat(stream=stream))
        assert (status, headers["x-modelux-model"]) == (200, model)
        assert models(it) == ["c", model]
        event = (await it.ended(2))[1]
        trace = json.loads(event.trace_json)
        assert ("80.0 % of $1,000.00 of budget" in event.trace_json.decode()) == (model == "b")
        assert trace["selected"] == f"{model}:{'one' if model == 'a' else 'two'}"


@pytest.mark.parametrize("stream", [False, True])
async def test_what_does_not_fit_is_served_by_the_cheaper_model(capped, stream):
    dear = rule("dear", "model", scope_key="a", cap_nano=1000)
    async with capped(dear, rule("all", cap_nano=PLENTY, name="all", **AT_80), rules=TEXT) as it:
        status, headers, _ = await it.ask(chat(stream=stream))
        assert (status, headers["x-modelux-model"], headers["x-modelux-attempts"]) == (200, "b", "2")
        (event,) = await it.ended(1)
        assert [(each.model, each.kind, each.error_code) for each in event.attempts] == [
            ("a", "connect", "budget_exceeded"),
            ("b", "ok", ""),
        ]
        assert event.attempts[0].cost_nano == 0
        assert models(it) == ["b"]


async def test_a_downgrade_by_slug(capped):
    cheap = rule(cap_nano=PLENTY, **AT_80 | {"downgrade_to": "@fall"})
    dear = rule("dear", "provider", scope_key="three", cap_nano=1000)
    async with capped(cheap, dear, rules=TEXT) as it:
        status, headers, _ = await it.ask(chat("c"))
        assert (status, headers["x-modelux-model"]) == (200, "a")


async def test_where_nothing_cheaper_fits_the_call_is_refused(capped):
    async with capped(rule(cap_nano=1000, **AT_80), rules=TEXT) as it:
        status, headers, answer = await it.ask(chat())
        assert (status, answer["error"]["code"], headers["x-modelux-attempts"]) == (402, "budget_exceeded", "2")
        assert answer["error"]["budget"]["action"] == "downgrade"
        assert models(it) == []


async def test_a_run_is_downgraded_and_then_aborted(capped):
    guard = rule("runs", **RUN, cap_nano=3 * bound(chat(run="r1"), 256), max_calls=200, **AT_80)
    dear = rule("dear", "model", scope_key="a", cap_nano=1000)
    async with capped(guard, dear, rules={"b": Behaviour(output_tokens=200)}) as it:
        told = []
        while (answer := await it.ask(chat(run="r1")))[0] == 200:
            told.append(answer[1]["x-modelux-model"])
            assert len(told) < 50
        assert set(told) == {"b"}
        status, headers, body = answer
        assert (status, body["error"]["code"], headers["x-should-retry"]) == (402, "run_aborted", "false")
        assert body["error"]["budget"]["id"] == "runs"
        assert it.account("runs", "r1").aborted
        sent = len(models(it))
        assert (await it.ask(chat(run="r1", max_tokens=1)))[2]["error"]["code"] == "run_aborted"
        assert len(models(it)) == sent
        assert (await it.ask(chat(run="r2")))[0] == 200


@pytest.mark.parametrize("stream", [False, True])
async def test_a_loop_is_told_once_for_each_run_and_body(capped, stream):
    async with capped(rule("runs", **RUN, max_calls=100, loop_calls=3), rules=TEXT) as it:
        same, other = chat(run="r1", stream=stream), chat(run="r1", stream=stream, seed=1)
        for body in [same, other, same, same, same, other, other, chat(run="r2"), same]:
            assert (await it.ask(body))[0] == 200
        found = [event.repeats for event in await it.ended(9)]
        told = [(each.budget_id, each.tag, each.value, each.calls) for each in found if each.calls]
        assert told == [("runs", "run_id", "r1", 3)] * 2
        assert [place for place, each in enumerate(found) if each.calls] == [3, 6]


async def test_an_idempotent_repeat_is_no_loop(capped):
    async with capped(rule("runs", **RUN, max_calls=100, loop_calls=2), rules=TEXT) as it:
        for _ in range(3):
            assert (await it.ask(chat(run="r1"), idempotency_key="k"))[0] == 200
        assert (await it.ask(chat(run="r1"), idempotency_key="other"))[0] == 200
        assert [event.repeats.calls for event in await it.ended(2)] == [0, 2]
