"""Budgets without their ledger, budgets that only alert, and budgets that are deleted while calls are on them."""

from __future__ import annotations

import asyncio

import pytest
from budget_rig import RUN, bound, chat, rule

from modelux_providers.simulator.scenario import Behaviour

PLENTY = 10**12
ALERT = {"action": "alert"}
TEXT = {model: Behaviour(text="short") for model in "abc"}
HI = chat(max_tokens=300)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["@one", "@both", "@race", "@fall", "unpriced"])
@pytest.mark.parametrize("up", [True, False])
async def test_what_only_alerts_never_refuses(capped, up, model, stream):
    rules = [
        rule("cap", cap_nano=1, **ALERT),
        rule("calls", "key", each=True, max_calls=1, **ALERT),
        rule("runs", **RUN, cap_nano=1, loop_calls=2, **ALERT),
        rule("one", "provider", scope_key="one", cap_nano=1, **ALERT),
    ]
    async with capped(*rules, up=up, rules=TEXT) as it:
        for _ in range(3):
            status, headers, answer = await it.ask(chat(model, run="r1", stream=stream))
            assert status == 200, answer
            assert "x-modelux-max-tokens-clamped" not in headers
        events = await it.ended(3)
        total = sum(event.charged_nano or event.cost_nano for event in events)
        await it.settles(total if up else 0, "cap")


async def test_slices_serve_without_the_ledger_and_then_calls_are_refused(capped):
    costly = {"a": Behaviour(text="short", usage="missing")}  # each is charged whole
    async with capped(rule(cap_nano=PLENTY), rule("soft", cap_nano=1, **ALERT), rules=costly) as it:
        for _ in range(3):
            assert (await it.ask(HI))[0] == 200
        it.ledger.down = True
        answers = [await it.ask(HI) for _ in range(60)]
        served = [status for status, _, _ in answers].index(503)
        assert served > 0
        assert {status for status, _, _ in answers[served:]} == {503}
        assert answers[-1][2]["error"]["code"] == "budget_store_unavailable"
        assert len(it.rig.simulator.calls()) == 3 + served
        it.ledger.down = False
        events = await it.ended(63)
        await it.settles(sum(event.charged_nano or event.cost_nano for event in events))


async def test_without_the_ledger_only_hard_budgets_hold_calls_back(capped):
    hard = rule("hard", "model", scope_key="a", cap_nano=PLENTY)
    async with capped(hard, rule("soft", cap_nano=1, **ALERT), rule("loops", **RUN, loop_calls=2), up=False) as it:
        assert (await it.ask(chat("b", run="r1")))[0] == 200
        assert (await it.ask(chat("a", run="r1")))[0] == 503


async def test_a_call_is_charged_although_the_ledger_went_away_under_it(capped):
    async with capped(rule(cap_nano=PLENTY), rules={"a": Behaviour(text="short", headers_ms=200)}) as it:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(it.ask(HI))
            await it.rig.simulator.until(lambda calls: len(calls) == 1)
            it.ledger.down = True
        assert asking.result()[0] == 200
        (event,) = await it.ended(1)
        it.ledger.down = False
        await it.settles(event.cost_nano)


@pytest.mark.parametrize("action", ["block", "alert"])
async def test_a_deleted_budget_holds_nothing_back(capped, action):
    async with capped(rule("gone", cap_nano=PLENTY, action=action), rule("kept", cap_nano=PLENTY), rules=TEXT) as it:
        it.ledger.delete("gone")
        status, _, answer = await it.ask(HI)
        assert status == 200, answer
        (event,) = await it.ended(1)
        await it.settles(event.cost_nano, "kept")
        await it.settles(0, "gone")


async def test_a_budget_deleted_alone_holds_nothing_back(capped):
    async with capped(rule("gone", cap_nano=PLENTY), rules=TEXT) as it:
        it.ledger.delete("gone")
        assert (await it.ask(HI))[0] == 200


async def test_a_budget_deleted_under_a_call_is_still_charged(capped):
    async with capped(rule("gone", cap_nano=PLENTY), rules={"a": Behaviour(text="short", headers_ms=200)}) as it:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(it.ask(HI))
            await it.rig.simulator.until(lambda calls: len(calls) == 1)
            account = it.account("gone")
            assert account.leased >= bound(HI, 300)
            it.ledger.delete("gone")
        assert asking.result()[0] == 200
        (event,) = await it.ended(1)
        await it.settles(event.cost_nano, "gone")
    assert (account.leased, account.forfeited) == (0, 0)


@pytest.mark.parametrize("model", ["@one", "@both", "@fall"])
async def test_a_caller_that_leaves_while_the_ledger_is_asked_is_charged_nothing(capped, model):
    async with capped(rule(cap_nano=PLENTY), rules=TEXT) as it:
        granting = it.ledger.held["Grant"] = asyncio.Event()
        body = chat(model)
        _, writer = await asyncio.open_connection("127.0.0.1", it.rig.proxy_port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {it.rig.key}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await it.reported(lambda: "Grant" in it.ledger.calls)
        writer.close()
        (event,) = await it.ended(1)
        granting.set()
        assert (event.outcome, event.cost_nano, event.charged_nano) == ("cancelled", 0, 0)
        assert {attempt.kind for attempt in event.attempts} == {"cancelled"}
        assert it.rig.simulator.calls() == []
        assert (await it.ask(HI))[0] == 200
        settled = (await it.ended(2))[1].cost_nano
        account = await it.settles(settled)
    assert account.leased == 0
