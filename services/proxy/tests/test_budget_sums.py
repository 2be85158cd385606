"""Whatever happens to calls, what the ledger settled is what the events say was charged, and never above the cap."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from random import Random

import pytest
from budget_rig import PRICE, RUN, Capped, bound, chat, rule

from modelux_providers.client import Deadlines
from modelux_providers.simulator.scenario import Behaviour, Match, Rule, Scenario
from routing_core.pricing import cost
from routing_core.types import Usage

FATES = [
    Behaviour(status=429),
    Behaviour(status=400),
    Behaviour(status=401),
    Behaviour(status=503),
    Behaviour(hang_headers=True),
    Behaviour(hang_after=5),
    Behaviour(close_before=True),
    Behaviour(cut_after=7),
    Behaviour(reset_after=3),
    Behaviour(error_after=4),
    Behaviour(body="html"),
    Behaviour(garbage=True),
    Behaviour(usage="missing"),
    Behaviour(usage="every_chunk"),
    Behaviour(refusal=" ".join("abcdefghijklmnop"[: 1 + number * 7 % 15] for number in range(600))),
    Behaviour(headers_ms=60),
    Behaviour(done="missing"),
]
MODELS = ["a", "b", "@one", "@fall", "@both", "@race", "embed"]
DEADLINES = Deadlines(connect_s=1.0, first_byte_s=0.2, idle_s=0.2, total_s=2.0)
REQUESTS = 40


def scenario(seed: int) -> Scenario:
    rules = [
        Rule(match=Match(model=model), behaviour=fate, rate=0.06) for fate in FATES for model in ("a", "b", "embed")
    ]
    return Scenario(seed=seed, rules=tuple(rules), behaviour=Behaviour(output_tokens=40, per_token_ms=1.0))


async def request(it: Capped, random: Random, number: int) -> None:
    """One call of many, now and then left before it has ended."""
    model, run = random.choice(MODELS), f"r{random.randrange(4)}"
    body, path = (
        chat(model, run=run, stream=random.random() < 0.5, max_tokens=random.choice([5, 50, 2000]), seed=number),
        "",
    )
    if model == "embed":
        body = json.dumps({"model": model, "input": f"text {number}", "mlx:tags": {"run_id": run}}).encode()
        path = "/v1/embeddings"
    reader, writer = await asyncio.open_connection("127.0.0.1", it.rig.proxy_port)
    head = f"POST {path or '/v1/chat/completions'} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {it.rig.key}\r\n"
    writer.write(f"{head}connection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
    with suppress(TimeoutError):
        await asyncio.wait_for(reader.read(), random.choice([0.01, 0.05]) if random.random() < 0.25 else 10)
    writer.close()


@pytest.mark.parametrize("seed", range(6))
async def test_the_ledger_settles_what_the_events_tell(capped, seed):
    random = Random(seed)
    cap = bound(chat("@one"), 2000) * random.choice([6, 15, 10_000])
    rules = (
        rule("all", cap_nano=cap),
        rule(
            "runs",
            **RUN,
            cap_nano=cap // 3,
            max_calls=30,
            action="downgrade",
            downgrade_to="b",
            downgrade_at_ppm=500_000,
        ),
        rule("two", "provider", scope_key="two", cap_nano=cap // 2),
    )
    on_cancel = random.choice(["strict", "standard"])
    async with capped(*rules, deadlines=DEADLINES, on_cancel=on_cancel) as it:
        it.rig.simulator.use(scenario(seed))
        for start in range(0, REQUESTS, 5):
            it.ledger.down = random.random() < 0.15
            async with asyncio.TaskGroup() as group:
                for number in range(start, start + 5):
                    group.create_task(request(it, random, number))
        it.ledger.down = False
        events = await it.ended(REQUESTS)
        total = sum(event.charged_nano or event.cost_nano for event in events)
        account = await it.settles(total, "all")
        attempts = [(event, attempt) for event in events for attempt in event.attempts]
        assert total == sum(attempt.charged_nano or attempt.cost_nano for _, attempt in attempts)
        await it.settles(sum(a.charged_nano or a.cost_nano for _, a in attempts if a.provider == "two"), "two")
        for run in {event.tags["run_id"] for event in events}:
            mine = [event for event in events if event.tags["run_id"] == run]
            await it.settles(sum(event.charged_nano or event.cost_nano for event in mine), "runs", run)
        assert account.settled <= cap + account.overrun
        calls = it.rig.simulator.calls()
        truth = sum(cost(PRICE, Usage(call.input_tokens, call.sent_tokens)) for call in calls if call.status == 200)
        assert truth <= account.settled
    assert it.account("all").leased == 0
