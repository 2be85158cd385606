"""A call that no proxy makes: answered, paid, recorded, patient with a provider that is asked too much."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from budget_books import bound, rule
from calling_rig import CAP, IDS, Calls, calling, chat

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_calling.caller import request_of
from modelux_calling.clock import Clock
from modelux_calling.haste import Haste
from modelux_calling.patience import ROUNDS
from modelux_contracts.errors import OpenAIError
from modelux_contracts.ids import new_id
from modelux_providers.simulator.scenario import Behaviour, Match, Rule
from routing_core.config import NamedPolicy, parse_policy
from routing_core.ledger.meters import Meter
from routing_core.ledger.slots import Held

SINGLE = {"strategy": "single", "model": "a"}
FALL = {"strategy": "fallback", "attempts": ["a", "b"]}


def on(model: str, times: int | None = None, skip: int = 0, **behaviour: object) -> Rule:
    return Rule(match=Match(model=model), behaviour=Behaviour(**behaviour), times=times, skip=skip)


class Naps:
    """A sleep that takes no time and is remembered, with the clock that it moves."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.now_ns = 0

    async def __call__(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_ns += int(seconds * 1e9) + 1


@pytest.fixture
def naps(monkeypatch: pytest.MonkeyPatch) -> Naps:
    return Naps()


def haste_of(naps: Naps, most: int = 8) -> Haste:
    return Haste(most, Clock(steady_ns=lambda: naps.now_ns), naps)


def text_of(answer: bytes) -> str:
    return json.loads(answer)["choices"][0]["message"]["content"]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_comes_whole_with_its_price_and_record(tmp_path, stream):
    async with calling(tmp_path, [on("a", text="some words")]) as it:
        called = await it.call(SINGLE, chat(stream))
        assert text_of(called.answer) == "some words"
        assert (called.error, called.sent, called.halted) == (None, True, None)
        assert called.target is not None
        assert called.target.name == "a:one"
        assert called.cost_nano == called.charged_nano > 0
        assert 0 < called.ttft_us <= called.latency_us
        event = RequestCompleted.FromString(called.event)
        assert (event.source, event.outcome, event.status, event.stream) == ("experiment", "ok", 200, stream)
        assert event.request_id == called.call_id != ""
        assert event.tags == {"experiment_id": "sim_1"}
        assert event.response_body.startswith(b"data: " if stream else b"{")
        assert event.trace_json == called.trace_json != b""
        assert it.simulator.calls()[0].stream is stream
        await it.books.until(lambda: it.books.account(Meter("cap", "", "usd")).settled == called.cost_nano)


async def test_a_provider_that_fails_gives_way_as_it_does_in_the_proxy(tmp_path):
    async with calling(tmp_path, [on("a", status=500), on("b", text="words")]) as it:
        called = await it.call(FALL, chat())
        assert [each.status for each in called.outcomes] == [500, 200]
        assert called.target is not None
        assert called.target.name == "b:two"
        called = await it.call(SINGLE, chat())
        assert (called.answer, called.error is not None, called.sent) == (b"", True, True)
        assert called.outcomes[-1].status == 500
        assert RequestCompleted.FromString(called.event).outcome == "error"


async def test_a_call_that_does_not_fit_under_the_cap_never_leaves(tmp_path):
    small = replace(CAP, cap_nano=5)
    async with calling(tmp_path, cap=small) as it:
        called = await it.call(SINGLE, chat(), cap=small)
        assert called.error is not None
        assert (called.error.code, called.sent, called.refused_by) == ("budget_exceeded", False, "cap")
        assert it.simulator.calls() == []
        assert "Refuse" not in it.books.calls  # no run of live traffic ends because of it


async def test_what_a_policy_would_do_without_its_first_choice_is_not_tried_under_a_spent_cap(tmp_path):
    fall = {"strategy": "fallback", "attempts": ["fee", "a"]}  # the second alone fits
    small = replace(CAP, cap_nano=bound(chat()))
    async with calling(tmp_path, cap=small) as it:
        called = await it.call(fall, chat(), cap=small)
        assert (called.halted, called.sent, called.answer) == ("budget_exceeded", False, b"")
        assert it.simulator.calls() == []


async def test_budgets_of_the_project_hold_beside_the_cap_and_guards_of_runs_do_not(tmp_path):
    guard = rule("runs", "tag", scope_key="run_id", each=True, max_calls=0)
    whole = rule("all", cap_nano=bound(chat()))
    tagged = chat(**{"mlx:tags": {"run_id": "r1"}})
    async with calling(tmp_path, [on("a", text="words")], budgets=[guard, whole]) as it:
        assert (await it.call(SINGLE, tagged)).refused_by == "all"
        assert (await it.call(SINGLE, chat())).error is None


async def test_too_many_calls_are_waited_out_and_no_policy_hears_of_it(tmp_path, naps):
    rules = [on("a", text="words"), on("a", times=3, status=429, retry_after="7"), on("b", text="other")]
    async with calling(tmp_path, rules, haste=haste_of(naps)) as it:
        called = await it.call(FALL, chat())
        assert text_of(called.answer) == "words"
        assert [each.kind for each in called.outcomes] == ["ok"]
        assert len(it.simulator.calls()) == 4
        assert naps.slept == [7.0] * 3
        assert it.caller.haste.limit("pc_one") == 2  # halved thrice, and one more for the success
        await it.books.until(lambda: it.books.account(Meter("cap", "", "usd")).settled == called.cost_nano)
        assert it.caller.registry.view(0)[called.outcomes[0].target].error_rate == 0


async def test_after_several_rounds_it_counts(tmp_path, naps):
    async with calling(tmp_path, [on("a", status=429)], haste=haste_of(naps)) as it:
        called = await it.call(SINGLE, chat())
        assert called.error is not None
        assert called.error.status == 429
        assert len(it.simulator.calls()) == ROUNDS
        assert naps.slept == [1.0, 2.0, 4.0, 8.0, 16.0]


async def test_a_halt_is_heard_before_each_call_and_while_waiting(tmp_path, naps):
    halts = iter([None, None, "stopped", "stopped"])
    async with calling(tmp_path, [on("a", status=429)], haste=haste_of(naps)) as it:
        called = await it.call(SINGLE, chat(), halt=lambda: next(halts))
        assert (called.halted, called.sent) == ("stopped", True)
        assert len(it.simulator.calls()) == 1
        called = await it.call(SINGLE, chat(), halt=lambda: "deadline")
        assert (called.halted, called.sent) == ("deadline", False)
        assert len(it.simulator.calls()) == 1


async def test_no_more_calls_at_a_time_than_a_credential_may_have(tmp_path, until):
    async with calling(tmp_path, [on("a", ttft_ms=20)], haste=Haste(2)) as it:
        async with asyncio.TaskGroup() as group:
            for _ in range(6):
                group.create_task(it.call(SINGLE, chat()))
        calls = it.simulator.calls()
        assert len(calls) == 6
        assert most_at_once([(call.at_s, call.ended_s) for call in calls]) == 2


def most_at_once(spans: list[tuple[float, float]]) -> int:
    return max(sum(start <= at < end for start, end in spans) for at, _ in spans)


async def test_what_is_no_request_is_refused(tmp_path):
    async with calling(tmp_path) as it:
        with pytest.raises(OpenAIError):
            await it.call(SINGLE, b"{}")


async def test_a_logged_request_is_asked_again_under_another_name(tmp_path):
    split = [{"weight": 1, "name": name, "policy": name} for name in ("a", "b")]
    tested = {"strategy": "ab_test", "split": split}
    request = replace(request_of(chat(), request_id="req_logged", project_id="proj_1", at_ms=1), key_id="key_1")
    async with calling(tmp_path) as it:
        named = NamedPolicy("", 0, parse_policy(tested))
        calls = [
            await it.caller.call(it.project, named, chat(), request, call_id=new_id("req_"), cap=CAP, ids=IDS)
            for _ in range(5)
        ]
        assert len({called.target for called in calls}) == 1  # drawn by the request, as it was logged
        events = [RequestCompleted.FromString(called.event) for called in calls]
        assert len({event.request_id for event in events}) == 5
        assert {event.key_id for event in events} == {""}


class Watched:
    """A spender and a client that note, in order, what is dispatched and what is sent."""

    def __init__(self, it: Calls) -> None:
        self.log: list[str] = []
        self.held: list[Held] = []
        self._it = it

    def __getattr__(self, name: str) -> Any:
        return getattr(self._it.spender, name)

    def dispatch(self, held: Held) -> None:
        self._it.spender.dispatch(held)
        self.log.append("dispatch")
        self.held.append(held)

    async def post(self, origin: Any, head: bytes, body: bytes, deadlines: Any) -> Any:
        self.log.append("post")
        return await self._it.caller.client.post(origin, head, body, deadlines)


SPENDING: Mapping[str, object] = {
    "fallback": {"strategy": "fallback", "attempts": ["c", "a", "b"]},
    "ensemble": {"strategy": "ensemble", "aggregation": "voting", "members": [{"model": "a"}, {"model": "b"}]},
    "cascade": {
        "strategy": "cascade",
        "attempts": [{"model": "a", "confidence": {"json_valid": True}}, {"model": "b"}],
    },
    "single, after a 429": {"strategy": "single", "model": "a"},
}


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("policy", SPENDING.values(), ids=SPENDING)
async def test_every_byte_follows_a_reservation_of_its_own(tmp_path, naps, policy, stream):
    whole = rule("all", cap_nano=10**12)
    rules = [on("c", status=500), on("a", times=2, status=429)]
    async with calling(tmp_path, rules, budgets=[whole], haste=haste_of(naps)) as it:
        watched = Watched(it)
        pays = replace(it.caller.spending, spender=watched)
        caller = replace(it.caller, client=watched, spending=pays)  # type: ignore[arg-type]
        called = await replace(it, caller=caller).call(policy, chat(stream))
        assert called.error is None
        assert watched.log == ["dispatch", "post"] * len(it.simulator.calls())
        assert len({id(held) for held in watched.held}) == len(watched.held) >= 3
        for held in watched.held:
            assert [want.meter.budget_id for want in held.wants] == ["all", "cap"]
            assert held.state == "done"
        for budget in ("all", "cap"):
            account = it.books.account(Meter(budget, "", "usd"))
            await it.books.until(lambda account=account: account.settled == called.charged_nano >= called.cost_nano)


async def test_a_cap_that_is_short_of_reservations_alone_lets_every_call_through_in_turn(tmp_path):
    """Each call reserves its worst case, of which the cap holds two, and costs a small part of it."""
    bodies = [chat(model="x", max_tokens=200) for _ in range(6)]
    cap = replace(CAP, cap_nano=round(2.5 * bound(bodies[0], 200)))
    async with calling(tmp_path, [on("a", output_tokens=1, ttft_ms=5)], cap=cap) as it:
        called = await asyncio.gather(*(it.call(SINGLE, body, cap=cap) for body in bodies))
    assert [each.error for each in called] == [None] * 6


async def test_a_limit_is_lowered_where_nothing_is_reserved_and_what_that_cuts_is_told(tmp_path):
    body = chat(model="x")
    cap = replace(CAP, cap_nano=bound(body, 300))
    async with calling(tmp_path, [on("a", output_tokens=400)], cap=cap, lowers=True) as it:
        called = await it.call(SINGLE, body, cap=cap)
    assert (called.error, called.cut) == (None, True)
