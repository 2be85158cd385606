"""Limits on output tokens: always sent, lowered where a budget is short, never below the floor."""

from __future__ import annotations

from typing import Any

import pytest
from budget_rig import PRICE, bound, chat, rule

from modelux_providers.simulator.scenario import Behaviour
from routing_core.bounds import FLOOR_TOKENS, TEMPLATE_TOKENS, Size
from routing_core.pricing import cost
from routing_core.types import Usage

PLENTY = 10**12
TEXT = {"a": Behaviour(text="short")}


def limit_of(body: dict[str, Any]) -> int:
    (name,) = {"max_tokens", "max_completion_tokens"} & set(body)
    return int(body[name])


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("asked", "sent"),
    [
        pytest.param({}, 4096, id="none"),
        pytest.param({"max_tokens": None}, 4096, id="null"),
        pytest.param({"max_tokens": 7}, 7, id="max_tokens"),
        pytest.param({"max_completion_tokens": 9000}, 9000, id="max_completion_tokens"),
    ],
)
async def test_a_limit_always_goes_upstream(capped, asked, sent, stream):
    async with capped(rule(cap_nano=PLENTY), rules=TEXT) as it:
        status, headers, _ = await it.ask(chat(stream=stream, **asked))
        assert status == 200
        assert "x-modelux-max-tokens-clamped" not in headers
        assert limit_of(it.sent()[0]) == sent


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("asked", [{}, {"max_tokens": 2000}, {"max_completion_tokens": 100_000}])
async def test_a_limit_is_lowered_to_what_is_left(capped, asked, stream):
    body = chat(stream=stream, **asked)
    cap = bound(body, 1000)
    async with capped(rule(cap_nano=cap), rules=TEXT) as it:
        status, headers, _ = await it.ask(body)
        assert (status, headers["x-modelux-max-tokens-clamped"]) == (200, "1000")
        assert limit_of(it.sent()[0]) == 1000
        assert bound(body, 1001) > cap >= float(headers["x-modelux-reserved-usd"]) * 1e9
        await it.ended(1)
        await it.reported(lambda: it.account().settled > 0)
        assert it.account().settled <= cap


@pytest.mark.parametrize(
    ("asked", "room", "served"),
    [
        pytest.param({}, FLOOR_TOKENS, FLOOR_TOKENS, id="the floor"),
        pytest.param({}, FLOOR_TOKENS - 1, None, id="below the floor"),
        pytest.param({"max_tokens": 100}, 100, 100, id="asked for less than the floor"),
        pytest.param({"max_tokens": 100}, 99, None, id="less than was asked for below the floor"),
    ],
)
async def test_no_limit_is_lowered_below_the_floor(capped, asked, room, served):
    body = chat(**asked)
    async with capped(rule(cap_nano=bound(body, room)), rules=TEXT) as it:
        status, _, answer = await it.ask(body)
        if served is None:
            assert (status, answer["error"]["code"]) == (402, "budget_exceeded")
            assert it.sent() == []
        else:
            assert status == 200
            assert limit_of(it.sent()[0]) == served


@pytest.mark.parametrize(("room", "sent"), [(1300, 1300), (1256, 1256), (1255, None)])
async def test_a_limit_stays_above_the_thinking_budget(capped, room, sent):
    body = chat(max_tokens=4000, thinking={"type": "enabled", "budget_tokens": 1000})
    cap = Size(len(body) + TEMPLATE_TOKENS, thinking_tokens=1000).cost(PRICE, room)
    async with capped(rule(cap_nano=cap), rules=TEXT) as it:
        status, _, _ = await it.ask(body)
        assert status == (402 if sent is None else 200)
        assert [limit_of(each) for each in it.sent()] == ([] if sent is None else [sent])


async def test_every_answer_asked_for_is_reserved(capped):
    async with capped(rule(cap_nano=PLENTY), rules=TEXT) as it:
        body = chat(n=3, max_tokens=50)
        status, headers, _ = await it.ask(body)
        assert status == 200
        assert float(headers["x-modelux-reserved-usd"]) * 1e9 == Size(len(body) + TEMPLATE_TOKENS, 3).cost(PRICE, 50)


async def test_calls_one_after_the_other_never_pass_the_cap(capped):
    body = chat(max_tokens=400)
    cap = bound(body, 400) * 3
    async with capped(rule(cap_nano=cap), rules={"a": Behaviour(output_tokens=300)}) as it:
        served = 0
        while (await it.ask(body))[0] == 200:
            served += 1
            assert served < 100
        truth = sum(cost(PRICE, Usage(call.input_tokens, call.output_tokens)) for call in it.rig.simulator.calls())
        account = await it.settles(truth)
        assert cap - bound(body, FLOOR_TOKENS) < account.settled <= cap
        assert served >= 4
