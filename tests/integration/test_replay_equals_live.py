"""Replay equals live: what the proxy stored of real requests, run again through the engine, leaves the same trace.

Real HTTP to a real proxy, faulty simulated providers behind it, the events through the bus and the ingest service into
ClickHouse. Then each request and its world are made anew from the stored rows alone, with the versions and prices that
the rows name, and the unchanged policy must leave the identical trace, byte for byte.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from engines import NewUrl
from live_budgets import BUDGETS, budget_asks, live_spending
from live_budgets import CONFIGS as UNDER_BUDGETS
from live_corpus import CONFIGS, LATER, Ask, asks, scenario, special
from live_proxy import KEYS, Live, live_proxy
from live_recorded import Recorded, recorded
from live_simulated import Simulated, simulated

from modelux_providers.catalog import PriceOverride
from modelux_providers.simulator.server import Simulator
from modelux_store.analytics import Analytics

PHASE = 36
"""Requests per phase and strategy; four of them are this long."""
AT_ONCE = 6
LEAVES_AFTER_S = 0.05
DEARER = PriceOverride("po_1", "openai", "gpt-4o-mini", 9_000_000_000, 90_000_000_000)


@pytest.fixture
async def analytics(new_analytics: NewUrl) -> AsyncIterator[Analytics]:
    opened = await Analytics.open(await new_analytics())
    yield opened
    await opened.close()


async def drive(live: Live, strategy: str) -> int:
    """Calm, an outage of one provider, nothing in reach, half-open circuits, then new versions and prices."""
    live.publish(CONFIGS[strategy])
    await run(live, asks(strategy, 1, PHASE))
    live.simulator.use(scenario("anthropic", "openai1"))
    live.time.advance(9 * 3600)
    await run(live, asks(strategy, 2, PHASE))
    await live.simulator.refuse_connections()
    await run(live, asks(strategy, 3, PHASE // 2))
    await live.simulator.accept_connections()
    live.simulator.use(scenario())
    live.time.advance(65)
    await run(live, asks(strategy, 4, PHASE))
    live.publish(LATER[strategy], [DEARER])
    live.time.advance(400)
    await run(live, asks(strategy, 5, PHASE))
    return PHASE * 4 + PHASE // 2 + await unhurried(live, strategy)


async def unhurried(live: Live, strategy: str) -> int:
    """The special requests one by one, their circuits closed again: on a slow machine they fail among many at once."""
    wanted = [ask for phase in (6, 7, 8) for ask in special(strategy, phase)]
    for ask in wanted:
        live.time.advance(400)
        await run(live, [ask])
    return len(wanted)


async def run(live: Live, wanted: Sequence[Ask]) -> None:
    """Makes the requests, a few at a time, alternately for the two projects."""
    queue = iter(enumerate(wanted))

    async def worker() -> None:
        for number, ask in queue:
            await send(live.port, ask, list(KEYS.values())[number % 2])

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(worker())


async def send(port: int, ask: Ask, key: str) -> None:
    """One request on a connection of its own, read to its end, or left after a moment."""
    path, body = "/v1/chat/completions", {"model": ask.model, "stream": ask.stream, **ask.extra}
    body["messages"] = [{"role": "user", "content": ask.prompt}]
    if ask.embeddings:
        path, body = "/v1/embeddings", {"model": ask.model, "input": ask.prompt, **ask.extra}
    data = json.dumps(body).encode()
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\nconnection: close\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(f"{head}content-type: application/json\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)
        answer = await asyncio.wait_for(reader.read(), LEAVES_AFTER_S if ask.leaves else 20.0)
        assert int(answer.split(b" ", 2)[1]) in EXPECTED, answer
    except TimeoutError:
        assert ask.leaves, "an answer never ended"
    finally:
        writer.close()


EXPECTED = (200, 400, 402, 429, 500, 502, 503, 504)


@pytest.mark.parametrize("strategy", CONFIGS)
async def test_replay_equals_live(strategy: str, tmp_path: Path, analytics: Analytics) -> None:
    async with Simulator.start(scenario()) as simulator, live_proxy(tmp_path, simulator) as live:
        sent = await drive(live, strategy)
        await live.idle()
        assert await live.store(analytics) == sent
        found = await recorded(analytics, live.archive)
        again = [each async for each in simulated(analytics, live.archive, found)]
    assert len(found) == sent
    as_it_was(again, found)
    for each in found:
        assert not list(differences(json.loads(each.stored), json.loads(each.again())))
        assert each.again() == each.stored
        agree(each)
    lived_through(strategy, found)
    forgetting_is_noticed(strategy, found)


async def test_replay_equals_live_under_budgets(tmp_path: Path, analytics: Analytics) -> None:
    async with (
        Simulator.start(scenario()) as simulator,
        live_spending(tmp_path) as spending,
        live_proxy(tmp_path, simulator, spending=spending, budgets=BUDGETS) as live,
    ):
        live.publish(UNDER_BUDGETS)
        await run(live, budget_asks(PHASE * 5))
        await live.idle()
        assert await live.store(analytics) == PHASE * 5
        found = await recorded(analytics, live.archive)
        again = [each async for each in simulated(analytics, live.archive, found)]
    as_it_was(again, found)
    for each in found:
        assert each.again() == each.stored
        agree(each)
    text = b"\n".join(each.stored for each in found).decode()
    assert [sign for sign in BUDGET_SIGNS if sign not in text] == []
    poor = [each for each in found if _way(_seen(budgets=())(each).again()) != _way(each.stored)]
    assert len(poor) > PHASE, "requests replay the same without budgets"


def as_it_was(again: Sequence[Simulated], found: Sequence[Recorded]) -> None:
    """The replay service too leaves the same traces, and says that each outcome is a logged one."""
    assert len(again) == sum(each.row["outcome"] != "cancelled" for each in found)
    for each in again:
        assert not list(differences(json.loads(each.live.stored), each.trace))
        assert (each.row["reproduced"], each.row["evidence"]) == (True, "reused")


def differences(live: object, again: object, where: str = "") -> Iterator[str]:
    """Each place where two documents differ."""
    if isinstance(live, dict) and isinstance(again, dict) and live.keys() == again.keys():
        for name in live:
            yield from differences(live[name], again[name], f"{where}.{name}")
    elif isinstance(live, list) and isinstance(again, list) and len(live) == len(again):
        for index, pair in enumerate(zip(live, again, strict=True)):
            yield from differences(*pair, f"{where}[{index}]")
    elif live != again or type(live) is not type(again):
        yield f"{where}: live {live!r}, replayed {again!r}"


def agree(each: Recorded) -> None:
    """The columns of a request and of its attempts say the same as its trace."""
    row, trace = each.row, each.trace
    assert row["request_id"] == trace.request_id
    assert row["policy_type"] == trace.policy_type
    assert row["price_version"] == trace.saw.price_version
    assert row["attempts"] == len(trace.attempts) == len(each.attempts)
    assert row["cost_nano"] == round(trace.measured.cost_usd * 1e9)
    assert row["cost_nano"] == sum(int(str(attempt["cost_nano"])) for attempt in each.attempts)
    if trace.selected is not None:
        assert f"{row['model']}:{row['provider']}" == trace.selected
    for stored, told in zip(each.attempts, trace.attempts, strict=True):
        assert stored["number"] == told.number
        assert f"{stored['model']}:{stored['provider']}" == told.model
        assert stored["credential_id"] == told.credential_id
        assert stored["kind"] == told.outcome
        assert stored["status"] == (told.status or 0)
        assert stored["error_code"] == (told.error_code or "")
        assert stored["started_us"] == round(told.started_ms * 1000)
        assert stored["latency_us"] == round(told.latency_ms * 1000)
        assert stored["ttft_us"] == (None if told.ttft_ms is None else round(told.ttft_ms * 1000))
        assert stored["cost_nano"] == round(told.cost_usd * 1e9)
        usage = [stored[f"{name}_tokens"] for name in ("input", "output", "cache_read", "cache_write", "reasoning")]
        told_usage = told.usage
        assert usage == [
            told_usage.input, told_usage.output, told_usage.cache_read, told_usage.cache_write, told_usage.reasoning
        ]  # fmt: skip
        assert stored["usage_estimated"] == told_usage.estimated


def lived_through(strategy: str, found: Sequence[Recorded]) -> None:
    """The corpus was worth replaying: every fault, every state of a circuit, every config, every way to decide."""
    traces = [each.trace for each in found]
    assert {attempt.outcome for trace in traces for attempt in trace.attempts} >= FATES
    assert {health.state for trace in traces for health in trace.saw.health.values()} == {"closed", "open", "probe"}
    assert {each.row["outcome"] for each in found} == {"ok", "error", "cancelled"}
    assert {bool(each.row["stream"]) for each in found} == {True, False}
    assert {each.row["project_id"] for each in found} == set(KEYS)
    assert {each.row["logging_mode"] for each in found} == {"full", "metadata_only"}
    assert len({each.row["price_version"] for each in found}) == 2
    asked = {f"@{slug}" for slug in CONFIGS[strategy] if slug != "inner"}
    assert {str(each.row["requested_model"]) for each in found} >= asked | {f"{slug}:1" for slug in asked}
    text = b"\n".join(each.stored for each in found).decode()
    assert [sign for sign in SIGNS[strategy] if sign not in text] == []


def forgetting_is_noticed(strategy: str, found: Sequence[Recorded]) -> None:
    """Each thing that is stored for the replay's sake is needed: without it some request goes another way."""
    for name, (strategies, forget) in FORGETTING.items():
        if strategy in strategies:
            changed = [each for each in found if _way(forget(each).again()) != _way(each.stored)]
            assert changed, f"{strategy} replays the same without {name}"


def _way(trace: bytes) -> object:
    """What was decided, without the note of what was seen."""
    return {name: value for name, value in json.loads(trace).items() if name not in ("saw", "request_id")}


def _asked(**changes: object) -> Callable[[Recorded], Recorded]:
    return lambda each: replace(each, request=replace(each.request, **changes))


def _seen(**changes: object) -> Callable[[Recorded], Recorded]:
    return lambda each: replace(each, world=replace(each.world, **changes))


BUDGET_SIGNS = (
    "of $0.012 of budget 'runs' is used", "over budget; ", "of budget 'strong' was used", '"poor"', "budget_exceeded",
    "run_aborted", '"downgrade_to":"gpt-4o-mini"', '"downgrade_to":"@cheap"',
)  # fmt: skip
"""What traces under budgets hold: downgrades by share and after a denial, rules that read budgets, ended runs."""
FATES = {"ok", "status", "timeout", "connect", "cut", "invalid", "cancelled"}
FORGETTING: Mapping[str, tuple[Collection[str], Callable[[Recorded], Recorded]]] = {
    "health": (CONFIGS, _seen(health={})),
    "offers": (CONFIGS, _seen(offers={})),
    "active versions": (("ab_test", "custom_rules"), _seen(policies={})),
    "request_id": (("latency_optimized", "ab_test"), _asked(request_id="req_other")),
    "input_tokens": (("cost_optimized", "custom_rules"), _asked(input_tokens=0)),
    "max_tokens": (("cost_optimized", "custom_rules"), _asked(max_tokens=None)),
    "needs": (("cost_optimized", "latency_optimized", "custom_rules"), _asked(needs=frozenset())),
    "tags": (("ab_test", "custom_rules"), _asked(tags={})),
    "end_user_id": (("ab_test", "custom_rules"), _asked(end_user_id=None)),
    "key_id": (("ab_test",), _asked(key_id="")),
    "stream": (("latency_optimized", "custom_rules"), lambda each: _asked(stream=not each.request.stream)(each)),
    "at_ms": (("custom_rules",), _asked(at_ms=0)),
}
SIGNS: Mapping[str, Collection[str]] = {
    "single": ("the model asked for", "primary with credential pc_openai_2", "every circuit open"),
    "fallback": (
        "primary healthy", "secondary healthy", "primary circuit open", "after connection failed", "after timeout",
        "the retry budget of openai is used up", "not a fault to retry", "no credential offers it", "last resort",
    ),
    "cost_optimized": (
        "cheapest in allowlist", "of quality strong or better", "denied", "lacks logprobs", "circuit open",
    ),
    "latency_optimized": ("faster of two drawn", "exploration", "nothing measured yet", "lacks logprobs"),
    "ensemble": (
        "3 of 3 agree", "no two agree", "member, weight 3", "first valid answer", "first answer", "no valid answer",
        "lost_race", "step_timeout", "only member",
    ),
    "ab_test": (
        "by request_id", "by end_user_id", "by key_id", "by tag:run_id", "for it has no end_user_id",
        "for it has no tag:run_id", "@inner (v1)", "@inner (v2)", "pinned version", "active version",
    ),
    "cascade": (
        "mean log probability", "no log probabilities", "not valid JSON", "a refusal", "own score 0.2 below 0.7",
        "no score of its own", "pattern not matched", "the last answer stands", "the last answer given stands",
        "confident",
    ),
    "custom_rules": (
        '"gold"', '"team"', '"long"', '"wordy"', '"logs"', '"tooled"', '"night"', '"odd"', '"quick"', '"ill"',
        '"prompt_first"', '"cheap"', '"user"', "no rule holds", "broken: ", "@inner (v1)", "@inner (v2)",
    ),
}  # fmt: skip
"""Words that the traces of a strategy must hold: each is a way in which it decides."""
