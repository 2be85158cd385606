"""Calls that a budget does not let out: which answer the caller gets, and that nothing went to a provider."""

from __future__ import annotations

import json
from typing import Any

import pytest
from budget_rig import PACE, RUN, Capped, bound, chat, rule

from modelux_calling.blocked import Short, over
from routing_core.ledger.meters import AccountView, Meter

HI = chat()
BOUND = bound(HI)


async def refused(it: Capped, body: bytes, code: str, status: int = 402) -> dict[str, Any]:
    """The error of a request that was answered without asking a provider."""
    asked = len(it.rig.simulator.calls())
    got, headers, answer = await it.ask(body)
    error: dict[str, Any] = answer["error"]
    assert (got, error["code"]) == (status, code), answer
    assert len(it.rig.simulator.calls()) == asked
    if status == 402:
        assert headers["x-should-retry"] == "false"
        assert "retry-after" not in headers
    return error


async def test_a_call_over_the_cap_is_refused_as_documented(capped):
    async with capped(rule("bud_1", cap_nano=1000, name="small")) as it:
        error = await refused(it, HI, "budget_exceeded")
        needed = bound(HI, 256)
        assert error == {
            "message": "budget 'small' is used up: $0.00 of $0.000001 is spent and $0.00 reserved, "
            f"and this call may cost ${needed / 1e9:.9f}".rstrip("0"),
            "type": "budget_exceeded",
            "param": None,
            "code": "budget_exceeded",
            "budget": {
                "id": "bud_1", "name": "small", "scope": "organization", "scope_key": "", "value": "", "unit": "usd",
                "limit": "cost", "action": "block", "resets_at": None, "cap_usd": "0.000001000",
                "spent_usd": "0.000000000", "reserved_usd": "0.000000000", "needed_usd": f"{needed / 1e9:.9f}",
            },
        }  # fmt: skip
        (event,) = await it.ended(1)
        assert (event.status, event.error_code, event.outcome) == (402, "budget_exceeded", "error")
        assert (event.cost_nano, event.charged_nano) == (0, 0)


async def test_one_nano_left_is_too_little(capped):
    async with capped(rule(cap_nano=1)) as it:
        await refused(it, HI, "budget_exceeded")
        await it.settles(0)


async def test_a_refused_stream_is_a_plain_402(capped):
    async with capped(rule(cap_nano=1000)) as it:
        status, headers, answer = await it.ask(chat(stream=True))
        assert (status, headers["content-type"]) == (402, "application/json")
        assert answer["error"]["code"] == "budget_exceeded"


async def test_the_tightest_of_several_budgets_is_named(capped):
    async with capped(rule("wide", cap_nano=10**12), rule("tight", "model", scope_key="a", cap_nano=1000)) as it:
        error = await refused(it, HI, "budget_exceeded")
        assert (error["budget"]["id"], error["budget"]["scope"]) == ("tight", "model")
        assert (await it.settles(0, "wide")).leased < 10**12
        status, _, _ = await it.ask(chat("b"))
        assert status == 200


async def test_no_price_and_a_cap_is_not_let_out(capped):
    async with capped(rule(cap_nano=10**12)) as it:
        error = await refused(it, chat("unpriced"), "price_unknown")
        assert error["param"] == "model"
        assert "budget" not in error


@pytest.mark.parametrize(("spent", "words"), [(400, "has no room for now"), (401, "is used up")])
def test_a_refusal_tells_whether_what_is_reserved_would_be_enough(spent: int, words: str):
    meter = Meter("bud_1", "", "usd")
    view = AccountView(meter, 0, 0, 1000, spent, 1000 - spent, True)
    error = over(Short(rule("bud_1", cap_nano=1000, name="small"), meter, 600), view, "exceeded")
    assert error.message.startswith(f"budget 'small' {words}: ")


async def test_a_run_that_used_up_its_calls_is_aborted(capped):
    async with capped(rule("runs", **{**RUN, "max_calls": 2})) as it:
        for run in ("r1", "r1", "r2"):
            status, _, _ = await it.ask(chat(run=run))
            assert status == 200
        error = await refused(it, chat(run="r1"), "run_aborted")
        assert error["message"] == "the run 'r1' is aborted by budget 'runs': all of its 2 calls are made or under way"
        assert (error["budget"]["limit"], error["budget"]["unit"]) == ("calls", "calls")
        assert (error["budget"]["cap_calls"], error["budget"]["spent_calls"], error["budget"]["needed_calls"]) == (
            2,
            2,
            1,
        )
        status, _, _ = await it.ask(chat(run="r2"))
        assert status == 200
        status, _, _ = await it.ask(chat())  # no run, no guard
        assert status == 200


async def test_a_run_over_its_time_is_aborted(capped):
    async with capped(rule("runs", **{**RUN, "max_duration_s": 60})) as it:
        status, _, _ = await it.ask(chat(run="r1"))
        assert status == 200
        it.ledger.unit.now_us += 61_000_000
        error = await refused(it, chat(run="r1"), "run_aborted")
        assert error["message"] == "the run 'r1' is aborted by budget 'runs': it has lasted longer than 60 s"
        assert (error["budget"]["limit"], error["budget"]["max_duration_s"]) == ("duration", 60)
        assert "cap_calls" not in error["budget"], "their number has no limit"


async def test_a_run_without_money_is_told_from_a_budget_without_money(capped):
    async with capped(rule("runs", **{**RUN, "cap_nano": 1000}), rule("all", cap_nano=10**12)) as it:
        error = await refused(it, chat(run="r1"), "run_aborted")
        assert error["budget"]["limit"] == "cost"
        assert error["budget"]["value"] == "r1"
        error = await refused(it, chat(run="r1"), "run_aborted")
        assert it.account("runs", "r1").aborted


async def test_a_ledger_out_of_reach_is_a_503_to_try_again(capped):
    async with capped(rule(cap_nano=10**12), up=False) as it:
        error = await refused(it, HI, "budget_store_unavailable", 503)
        assert error["type"] == "server_error"
        _, headers, _ = await it.ask(HI)
        assert (headers["retry-after"], headers["retry-after-ms"]) == ("2", "2000")
        assert "x-should-retry" not in headers
        it.ledger.down = False
        await it.reported(lambda: it.ledger.calls.count("Join") > 1)
        while (await it.ask(HI))[0] != 200:
            assert PACE.longest_backoff_s < 1


async def test_without_a_spender_keys_with_budgets_are_refused(start):
    from routing_core.budgets import compile_rules

    matcher = compile_rules([rule(cap_nano=10**12)], "org_1", "proj_1", "key_1")
    async with start(budgets=matcher) as rig:
        for path, body in (("/v1/chat/completions", HI), ("/v1/embeddings", b'{"model": "embed", "input": "x"}')):
            status, _, answer = await rig.request(path, body)
            assert (status, json.loads(answer)["error"]["code"]) == (503, "budget_store_unavailable")
        assert rig.simulator.calls() == []


async def test_a_refusal_is_not_stored_for_repeats(capped):
    async with capped(rule(cap_nano=1000)) as it:
        status, _, _ = await it.ask(HI, idempotency_key="k1")
        assert status == 402
        it.account().cap = 10**12
        status, headers, _ = await it.ask(HI, idempotency_key="k1")
        assert status == 200
        assert "idempotent-replayed" not in headers


@pytest.mark.parametrize("stream", [False, True])
async def test_a_stored_answer_reserves_nothing(capped, stream):
    async with capped(rule(cap_nano=10**12)) as it:
        body = chat(stream=stream)
        status, _, first = await it.ask(body, idempotency_key="k1")
        assert status == 200
        (event,) = await it.ended(1)
        await it.settles(event.cost_nano)
        it.ledger.down = True
        status, headers, again = await it.ask(body, idempotency_key="k1")
        assert (status, again, headers["idempotent-replayed"]) == (200, first, "true")
        assert len(it.rig.simulator.calls()) == 1
        it.ledger.down = False
        await it.settles(event.cost_nano)
