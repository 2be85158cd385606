"""What budgets are charged for each way in which an attempt may end, and what of it the event tells."""

from __future__ import annotations

import asyncio
import json

import pytest
from budget_rig import PRICE, bound, chat, rule

from modelux_providers.simulator.scenario import Behaviour
from routing_core.pricing import cost
from routing_core.types import Usage

PLENTY = 10**12
LIMITED = chat(max_tokens=300)
WHOLE = bound(LIMITED, 300)
USAGE = {"stream_options": {"include_usage": True}}


async def test_an_answer_is_charged_by_its_usage_and_the_rest_comes_back(capped):
    async with capped(rule(cap_nano=PLENTY)) as it:
        status, headers, answer = await it.ask(LIMITED)
        assert status == 200
        used = Usage(answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"])
        account = await it.settles(cost(PRICE, used))
        assert (account.unknown, account.overrun) == (0, 0)
        (event,) = await it.ended(1)
        assert (event.cost_nano, event.charged_nano) == (account.settled, 0)
        assert float(headers["x-modelux-reserved-usd"]) == WHOLE / 1e9
        assert float(headers["x-modelux-budget-remaining-usd"]) == (PLENTY - WHOLE) / 1e9


@pytest.mark.parametrize("usage", [{}, USAGE])
async def test_a_stream_is_settled_by_the_usage_at_its_end(capped, usage):
    async with capped(rule(cap_nano=PLENTY)) as it:
        status, _, _ = await it.ask(chat(max_tokens=300, stream=True, **usage))
        assert status == 200
        (call,) = it.rig.simulator.calls()
        account = await it.settles(cost(PRICE, Usage(call.input_tokens, call.output_tokens)))
        assert account.unknown == 0


@pytest.mark.parametrize(
    ("behaviour", "charged"),
    [
        pytest.param(Behaviour(status=429), 0, id="429"),
        pytest.param(Behaviour(status=400), 0, id="400"),
        pytest.param(Behaviour(status=401), 0, id="401"),
        pytest.param(Behaviour(status=500), WHOLE, id="500"),
        pytest.param(Behaviour(status=503), WHOLE, id="503"),
        pytest.param(Behaviour(hang_headers=True), WHOLE, id="silence"),
        pytest.param(Behaviour(close_before=True), WHOLE, id="closed before an answer"),
        pytest.param(Behaviour(reset_before=True), WHOLE, id="reset before an answer"),
        pytest.param(Behaviour(body="html"), WHOLE, id="a page"),
        pytest.param(Behaviour(body="truncated"), WHOLE, id="half an answer"),
        pytest.param(Behaviour(usage="missing"), WHOLE, id="no usage told"),
        pytest.param(Behaviour(usage="negative"), WHOLE, id="a usage below nothing"),
    ],
)
async def test_what_is_not_proved_free_is_charged_whole(capped, behaviour, charged):
    policies = {"one": {"strategy": "single", "model": "a", "timeout_ms": 300}}
    body = chat("@one", max_tokens=300)
    async with capped(rule(cap_nano=PLENTY), policies=policies, rules={"a": behaviour}) as it:
        await it.ask(body)
        whole = bound(body, 300) if charged else 0
        account = await it.settles(whole)
        assert account.unknown == whole
        (event,) = await it.ended(1)
        (attempt,) = event.attempts
        assert (attempt.charged_nano or attempt.cost_nano) == whole
        assert (event.charged_nano or event.cost_nano) == whole


async def test_a_provider_that_cannot_be_reached_is_not_charged(capped):
    async with capped(rule(cap_nano=PLENTY)) as it:
        await it.rig.simulator.refuse_connections()
        status, _, _ = await it.ask(LIMITED)
        assert status == 503
        await it.settles(0)
        (event,) = await it.ended(1)
        assert (event.cost_nano, event.charged_nano, event.attempts[0].kind) == (0, 0, "connect")


@pytest.mark.parametrize("behaviour", [Behaviour(status=400), Behaviour(status=429), None])
async def test_a_call_that_nobody_took_costs_no_fee(capped, behaviour):
    async with capped(rule(cap_nano=PLENTY), rules={"fee": behaviour} if behaviour else {}) as it:
        if behaviour is None:
            await it.rig.simulator.refuse_connections()
        await it.ask(chat("fee"))
        (event,) = await it.ended(1)
        assert (event.cost_nano, event.attempts[0].cost_nano, event.charged_nano) == (0, 0, 0)
        await it.settles(0)


async def test_a_fee_is_reserved_and_charged(capped):
    async with capped(rule(cap_nano=PLENTY)) as it:
        status, headers, answer = await it.ask(chat("fee"))
        assert status == 200
        used = Usage(answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"])
        assert float(headers["x-modelux-reserved-usd"]) * 1e9 == bound(chat("fee")) + 5_000_000
        await it.settles(cost(PRICE, used) + 5_000_000)


@pytest.mark.parametrize("stream", [False, True])
async def test_each_attempt_of_a_failover_is_charged_for_itself(capped, stream):
    rules = {"a": Behaviour(hang_headers=True), "b": Behaviour(text="hello")}
    async with capped(
        rule(cap_nano=PLENTY), rule("two", "provider", scope_key="two", cap_nano=PLENTY), rules=rules
    ) as it:
        body = chat("@fall", max_tokens=300, stream=stream, **(USAGE if stream else {}))
        status, _, _ = await it.ask(body)
        assert status == 200
        (event,) = await it.ended(1)
        first, second = event.attempts
        assert (first.charged_nano, second.charged_nano) == (bound(body, 300), 0)
        assert event.charged_nano == first.charged_nano + second.cost_nano
        await it.settles(event.charged_nano)
        await it.settles(second.cost_nano, "two")


async def test_every_member_of_an_ensemble_reserves_its_own_worst_case(capped):
    body = chat("@both", max_tokens=300)
    each = bound(body, 300)
    hang = {"a": Behaviour(text="yes", headers_ms=300), "b": Behaviour(text="yes", headers_ms=300)}
    async with capped(rule(cap_nano=PLENTY), rules=hang) as it:
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(it.ask(body))
            await it.rig.simulator.until(lambda calls: len(calls) == 2)
            assert it.spender.reserved() == 2 * each
        assert asking.result()[0] == 200
        (event,) = await it.ended(1)
        await it.settles(sum(attempt.cost_nano for attempt in event.attempts))


async def test_of_an_ensemble_only_the_members_that_fit_are_asked(capped):
    body = chat("@both", max_tokens=256)
    async with capped(
        rule(cap_nano=bound(body, 256) * 3 // 2), rules={m: Behaviour(text="yes", headers_ms=100) for m in "ab"}
    ) as it:
        await it.ask(body)
        assert len(it.rig.simulator.calls()) == 1
        (event,) = await it.ended(1)
        assert sorted(attempt.error_code for attempt in event.attempts) == ["", "budget_exceeded"]
        await it.settles(sum(attempt.cost_nano for attempt in event.attempts))


async def test_the_losers_of_a_race_are_cancelled_and_charged(capped):
    rules = {"a": Behaviour(text="quick", headers_ms=150), "b": Behaviour(hang_headers=True)}
    async with capped(rule(cap_nano=PLENTY), rules=rules) as it:
        body = chat("@race", max_tokens=300)
        status, _, _ = await it.ask(body)
        assert status == 200
        calls = await it.rig.simulator.until(lambda calls: len(calls) == 2 and all(c.ended != "open" for c in calls))
        assert [call.ended for call in sorted(calls, key=lambda call: call.model)] == ["completed", "cancelled"]
        (event,) = await it.ended(1)
        won, lost = event.attempts
        assert (won.kind, won.charged_nano, lost.kind, lost.error_code) == ("ok", 0, "cancelled", "lost_race")
        assert lost.charged_nano == bound(body, 300)  # of a whole answer nothing is seen before it is there
        await it.settles(won.cost_nano + lost.charged_nano)


LEFT = [
    pytest.param(Behaviour(hang_headers=True), True, "strict", True, id="strict, before the head"),
    pytest.param(Behaviour(hang_after=6), True, "strict", True, id="strict, in the stream"),
    pytest.param(Behaviour(hang_after=6), True, "standard", False, id="standard, in the stream"),
    pytest.param(Behaviour(hang_headers=True), False, "standard", True, id="standard, a whole answer"),
]


@pytest.mark.parametrize(("behaviour", "stream", "on_cancel", "whole"), LEFT)
async def test_a_caller_that_leaves_is_charged(capped, behaviour, stream, on_cancel, whole):
    body = chat(max_tokens=2000, stream=stream)
    async with capped(rule(cap_nano=PLENTY), rules={"a": behaviour}, on_cancel=on_cancel) as it:
        reader, writer = await asyncio.open_connection("127.0.0.1", it.rig.proxy_port)
        head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {it.rig.key}\r\n"
        writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode() + body)
        await it.rig.simulator.until(lambda calls: len(calls) == 1)
        if behaviour.hang_after > 0:
            for _ in range(4):
                await reader.readuntil(b"data: ")
        writer.close()
        (event,) = await it.ended(1)
        (attempt,) = event.attempts
        assert (event.outcome, attempt.kind, attempt.usage.estimated) == ("cancelled", "cancelled", True)
        seen = Usage(attempt.usage.input * 6 // 5, attempt.usage.output * 6 // 5 + 256)
        amount = bound(body, 2000) if whole else cost(PRICE, seen)
        assert attempt.charged_nano == event.charged_nano == amount > attempt.cost_nano
        await it.settles(amount)


def endless(count: int, per_token_ms: float = 0) -> Behaviour:
    """An answer of so many tokens, whatever the limit."""
    text = " ".join("abcdefghijklmnop"[: 1 + number * 7 % 15] for number in range(count))
    return Behaviour(refusal=text, per_token_ms=per_token_ms)


async def test_a_stream_beyond_its_limit_is_cut_off_and_charged(capped):
    body = chat(max_tokens=20, stream=True)
    async with capped(rule(cap_nano=PLENTY), rules={"a": endless(2000, 2.0)}) as it:
        status, _, answer = await it.ask(body)
        assert status == 200
        *_, last = [line for line in answer.decode().split("\n\n") if line]
        assert json.loads(last.removeprefix("data: "))["error"]["code"] == "output_limit_ignored"
        (event,) = await it.ended(1)
        (attempt,) = event.attempts
        assert (event.outcome, attempt.kind, attempt.error_code) == ("error", "cut", "output_limit_ignored")
        assert 20 < attempt.usage.output < 2000
        assert attempt.charged_nano >= bound(body, 20)
        account = await it.settles(attempt.charged_nano)
        assert account.overrun == attempt.charged_nano - bound(body, 20)


async def test_a_whole_answer_beyond_its_limit_is_charged_and_told_as_an_overrun(capped):
    body = chat(max_tokens=20)
    async with capped(rule(cap_nano=PLENTY), rules={"a": endless(2000)}) as it:
        status, _, answer = await it.ask(body)
        assert status == 200
        amount = cost(PRICE, Usage(answer["usage"]["prompt_tokens"], answer["usage"]["completion_tokens"]))
        assert answer["usage"]["completion_tokens"] >= 2000
        account = await it.settles(amount)
        assert account.overrun == amount - bound(body, 20) > 0


async def test_embeddings_reserve_their_input(capped):
    async with capped(rule(cap_nano=PLENTY)) as it:
        body = json.dumps({"model": "embed", "input": ["one", "two"]}).encode()
        status, headers, answer = await it.ask(body, "/v1/embeddings")
        assert status == 200, answer
        assert float(headers["x-modelux-reserved-usd"]) == bound(body, 0) / 1e9
        await it.settles(cost(PRICE, Usage(answer["usage"]["prompt_tokens"])))
        assert "x-modelux-max-tokens-clamped" not in headers
        assert set(it.sent()[0]) == {"model", "input"}


async def test_embeddings_over_the_cap_are_refused(capped):
    async with capped(rule(cap_nano=100)) as it:
        body = json.dumps({"model": "embed", "input": "x"}).encode()
        status, headers, answer = await it.ask(body, "/v1/embeddings")
        assert (status, headers["x-should-retry"], answer["error"]["code"]) == (402, "false", "budget_exceeded")
        assert it.rig.simulator.calls() == []
