"""Which of several failures the caller hears of."""

from __future__ import annotations

import json

import pytest

from modelux_providers.simulator.scenario import Behaviour
from routing_core.types import Outcome, Target

BODY = json.dumps({"model": "@production", "messages": [{"role": "user", "content": "hi"}]}).encode()
POLICIES = {"production": {"strategy": "fallback", "attempts": ["a", "b", "c"]}}
LIMITED = Behaviour(status=429, retry_after="7")
LATER = Behaviour(status=503, retry_after="20")
GONE = Behaviour(close_before=True)


@pytest.mark.parametrize(
    ("behaviours", "status", "retry_after", "model"),
    [
        pytest.param([LIMITED, GONE, GONE], 429, "7", "a", id="a rate limit before a lost connection"),
        pytest.param([LIMITED, Behaviour(status=500), GONE], 429, "7", "a", id="before faults without advice"),
        pytest.param([LIMITED, GONE, Behaviour(status=429)], 429, "7", "a", id="before a rate limit without a time"),
        pytest.param([LIMITED, GONE, Behaviour(status=401)], 429, "7", "a", id="before a refused credential"),
        pytest.param([LATER, LIMITED, GONE], 429, "7", "b", id="the shortest wait"),
        pytest.param([LIMITED, GONE, LATER], 503, "20", "c", id="the last, where it has a time itself"),
        pytest.param([LIMITED, GONE, Behaviour(status=400)], 400, None, "c", id="the last, where the request is wrong"),
        pytest.param([Behaviour(status=500), GONE, GONE], 502, None, "c", id="the last, where nobody has a time"),
        pytest.param(
            [Behaviour(status=429, retry_after="7", error_code="insufficient_quota"), GONE, GONE],
            502,
            None,
            "c",
            id="no wait mends a spent quota",
        ),
    ],
)
async def test_the_caller_hears_when_to_come_back(start, behaviours, status, retry_after, model):
    async with start(POLICIES, rules=dict(zip("abc", behaviours, strict=True))) as rig:
        answered, headers, _ = await rig.request(body=BODY)
        (event,) = rig.events()
    assert (answered, headers.get("retry-after"), headers["x-modelux-model"]) == (status, retry_after, model)
    assert (event.status, len(event.attempts)) == (status, 3)


async def test_a_last_resort_that_fails_does_not_hide_the_rate_limit(start):
    policies = {"production": {"strategy": "fallback", "attempts": ["a", "b"]}}
    async with start(policies, rules={"a": GONE, "b": LIMITED}) as rig:
        for _ in range(5):
            rig.lane.registry.observe(Outcome(Target("a", "one", "pc_one"), "connect"), rig.lane.clock.steady_ms())
        answered, headers, _ = await rig.request(body=BODY)
        (event,) = rig.events()
    assert [attempt.model for attempt in event.attempts] == ["b", "a"], "the open circuit is tried last"
    assert (answered, headers.get("retry-after"), headers["x-modelux-model"]) == (429, "7", "b")
