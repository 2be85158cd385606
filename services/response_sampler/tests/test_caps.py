"""Experiments whose providers tell wrong costs, break off or hang: what they spend stays under the cap."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

import pytest
from budget_books import PRICE
from calling_rig import CAP, Calls, calling
from sampler_rig import chat

from modelux_calling.caller import Called
from modelux_calling.clock import Clock
from modelux_calling.haste import Haste
from modelux_providers.client import Deadlines
from modelux_providers.simulator.calls import Call
from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario
from routing_core.bounds import TEMPLATE_TOKENS, Size
from routing_core.budgets import BudgetRule
from routing_core.ledger.meters import Meter
from routing_core.pricing import cost
from routing_core.types import Usage

ROWS = 6
AT_ONCE = 6
LIMIT = 50
"""Output tokens that every request asks for at most."""
DEADLINES = Deadlines(connect_s=1.0, first_byte_s=0.05, idle_s=0.05, total_s=0.3)
FAULTS: Sequence[Behaviour] = (
    Behaviour(usage="missing"),
    Behaviour(usage="null"),
    Behaviour(usage="negative"),
    Behaviour(usage="string"),
    Behaviour(usage="nan"),
    Behaviour(usage="after_done"),
    Behaviour(cut_after=3),
    Behaviour(reset_after=2),
    Behaviour(close_before=True),
    Behaviour(reset_before=True),
    Behaviour(bad_json_after=2),
    Behaviour(error_after=4),
    Behaviour(done="missing"),
    Behaviour(hang_headers=True),
    Behaviour(hang_after=2),
    Behaviour(ttft_ms=80.0),
    Behaviour(status=500),
    Behaviour(status=503, retry_after="1"),
    Behaviour(status=429, retry_after="1"),
    Behaviour(status=429),
    Behaviour(reasoning_tokens=LIMIT + 10),  # more than was asked for
    Behaviour(reasoning_tokens=30, usage="missing"),
    Behaviour(garbage=True),
    Behaviour(body="truncated"),
)
GREEDY = Behaviour(reasoning_tokens=40 * LIMIT)
"""Takes no notice of the limit at all."""
POLICIES: Sequence[object] = (
    {"strategy": "single", "model": "a"},
    {"strategy": "fallback", "attempts": [{"model": "a", "timeout_ms": 40}, {"model": "b"}]},
    {"strategy": "fallback", "attempts": ["a", "b", "c"]},
    {
        "strategy": "cascade",
        "attempts": [{"model": "a", "confidence": {"json_valid": True}}, {"model": "b"}],
    },
)


@dataclass
class Naps:
    """Pauses that take no time."""

    now_ns: int = 0

    async def __call__(self, seconds: float) -> None:
        self.now_ns += int(seconds * 1e9) + 1
        await asyncio.sleep(0)


def bound(body: bytes) -> int:
    return Size(len(body) + TEMPLATE_TOKENS).cost(PRICE, LIMIT)


def billed(call: Call) -> int:
    """What the provider bills by its own books: all that it made of a whole answer, of a stream what it had sent."""
    if call.status != 200:
        return 0
    return cost(PRICE, Usage(call.input_tokens, call.sent_tokens if call.stream else call.output_tokens))


async def experiment(
    it: Calls, random: Random, number: int, faults: Sequence[Behaviour]
) -> tuple[BudgetRule, list[Called]]:
    """One experiment under a cap of its own, which some of its rows fit under."""
    drawn = random.sample(faults, min(len(faults), random.randint(1, 4)))
    rules = [
        Rule(match=Match(model=random.choice(["a", "b", "*"])), behaviour=fault, rate=random.choice([0.2, 0.5, 1.0]))
        for fault in drawn
    ]
    normal = Behaviour(output_tokens=random.randint(1, LIMIT))
    it.simulator.use(Scenario(seed=number, rules=tuple(rules), behaviour=normal, keep_bodies=True))
    cap = replace(CAP, id=f"cap_{number}", cap_nano=int(bound(chat(number)) * random.uniform(0.5, 4)))
    it.books.caps[cap.id], it.books.rules[cap.id] = 0, cap
    policy = random.choice(POLICIES)
    room = asyncio.Semaphore(AT_ONCE)

    async def row(number: int) -> Called:
        async with room:
            return await it.call(policy, chat(number, stream=random.random() < 0.5), cap=cap)

    async with asyncio.TaskGroup() as group:
        rows = [group.create_task(row(number)) for number in range(ROWS)]
    return cap, [each.result() for each in rows]


async def settled(it: Calls, cap: BudgetRule) -> int:
    """What the ledger has for spent, once nothing is under way."""
    account = it.books.account(Meter(cap.id, "", "usd"))
    await it.books.until(lambda: not it.spender.reserved())
    return account.settled + account.leased


@pytest.mark.parametrize(
    ("seed", "experiments"),
    [(0, 20), *(pytest.param(seed, 250, marks=pytest.mark.nightly) for seed in (1, 2, 3, 4))],
)
async def test_no_experiment_spends_more_than_its_cap(tmp_path, seed, experiments):
    random, naps = Random(seed), Naps()
    haste = Haste(AT_ONCE, Clock(steady_ns=lambda: naps.now_ns), naps)
    spent, refused = 0, 0
    async with calling(tmp_path, haste=haste, deadlines=DEADLINES, lowers=True) as it:
        for number in range(experiments):
            cap, called = await experiment(it, random, number, FAULTS)
            truth = sum(map(billed, it.simulator.calls()))
            assert truth <= (cap.cap_nano or 0), f"experiment {number}"
            assert truth <= sum(each.charged_nano for each in called) <= await settled(it, cap)
            spent += truth
            refused += sum(each.refused_by == cap.id for each in called)
    assert spent > 0
    assert refused > experiments


async def test_a_provider_that_ignores_its_limit_takes_no_more_than_the_calls_that_were_under_way(tmp_path):
    """Of a whole answer nothing can be cut off; it is charged in full, and then nothing more leaves."""
    random = Random(1)
    async with calling(tmp_path, deadlines=DEADLINES) as it:
        for number in range(20):
            cap, called = await experiment(it, random, number, [GREEDY])
            calls = it.simulator.calls()
            excess = sum(max(billed(call) - bound(chat(0)), 0) for call in calls)  # of what was reserved for it
            assert sum(map(billed, calls)) <= (cap.cap_nano or 0) + excess
            assert sum(map(billed, calls)) <= sum(each.charged_nano for each in called)
