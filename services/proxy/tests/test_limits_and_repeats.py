"""Rate limits and repeated requests, by themselves and over HTTP."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_contracts.errors import OpenAIError
from modelux_providers.simulator.scenario import Behaviour
from modelux_proxy.idempotency import WINDOW_S, Idempotency, Stored
from modelux_proxy.rate_limits import RateLimits

BODY = json.dumps({"model": "a", "messages": [{"role": "user", "content": "hi"}]}).encode()


def test_a_minute_holds_as_many_requests_as_allowed_and_refills_evenly():
    limits = RateLimits()
    for _ in range(60):
        limits.admit("k", 60, 0, 0, now=0.0)
    with pytest.raises(OpenAIError) as refused:
        limits.admit("k", 60, 0, 0, now=0.0)
    assert refused.value.status == 429
    assert ("retry-after", "2") in refused.value.headers
    limits.admit("k", 60, 0, 0, now=1.0)
    with pytest.raises(OpenAIError):
        limits.admit("k", 60, 0, 0, now=1.0)


def test_a_refused_token_request_costs_no_request():
    limits = RateLimits()
    limits.admit("k", 10, 100, 100, now=0.0)
    with pytest.raises(OpenAIError, match="tokens"):
        limits.admit("k", 10, 100, 50, now=0.0)
    assert b"x-ratelimit-remaining-requests: 8" in limits.admit("k", 10, 0, 0, now=0.0)


def test_what_was_used_replaces_the_estimate():
    limits = RateLimits()
    limits.admit("k", 0, 100, 100, now=0.0)
    limits.settle("k", 100, 10)
    assert b"remaining-tokens: 0" in limits.admit("k", 0, 100, 90, now=0.0)


@given(st.lists(st.floats(0, 5), max_size=200))
def test_no_minute_ever_admits_more_than_twice_the_limit(gaps):
    limits, now, admitted = RateLimits(), 0.0, []
    for gap in gaps:
        now += gap
        try:
            limits.admit("k", 5, 0, 0, now)
            admitted.append(now)
        except OpenAIError:
            continue
    for start in admitted:
        assert len([at for at in admitted if start <= at < start + 60]) <= 10


async def test_limits_are_told_in_headers_and_kept(start):
    async with start(requests_per_minute=2) as rig:
        status, headers, _ = await rig.request(body=BODY)
        assert status == 200
        assert headers["x-ratelimit-limit-requests"] == "2"
        assert headers["x-ratelimit-remaining-requests"] == "1"
        await rig.request(body=BODY)
        status, headers, body = await rig.request(body=BODY)
        assert status == 429
        assert int(headers["retry-after"]) > 0
        assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
        assert len(rig.simulator.calls()) == 2


def test_the_window_ends_and_memory_is_bounded():
    table = Idempotency(max_entries=3, max_bytes=1600)
    for n in range(10):
        assert table.begin("k", str(n), "/", b"x", 0.0) is None
        table.finish("k", str(n), Stored(200, b"", b"y" * 90))
    assert table.begin("k", "9", "/", b"x", WINDOW_S - 1) is not None
    assert table.begin("k", "9", "/", b"x", WINDOW_S + 1) is None
    assert table.begin("k", "0", "/", b"x", 0.0) is None, "the oldest were forgotten"
    assert len(table._entries) <= 3


@pytest.mark.parametrize("key", ["", "x" * 256, "a\tb"])
def test_bad_keys_are_refused(key):
    with pytest.raises(OpenAIError) as refused:
        Idempotency().begin("k", key, "/", b"", 0.0)
    assert refused.value.status == 400


async def test_a_repeated_request_gets_the_first_answer(start):
    async with start() as rig:
        first = await rig.request(body=BODY, headers={"idempotency-key": "one"})
        again = await rig.request(body=BODY, headers={"idempotency-key": "one"})
        assert (again[0], again[2]) == (first[0], first[2])
        assert again[1]["idempotent-replayed"] == "true"
        assert again[1]["x-request-id"] == first[1]["x-request-id"]
        assert len(rig.simulator.calls()) == 1
        other = BODY.replace(b"hi", b"ho")
        status, _, body = await rig.request(body=other, headers={"idempotency-key": "one"})
        assert (status, json.loads(body)["error"]["code"]) == (422, "idempotency_key_reused")


async def test_a_repeated_stream_gets_the_same_events(start):
    async with start() as rig:
        body = json.dumps({**json.loads(BODY), "stream": True}).encode()
        _, _, first = await rig.request(body=body, headers={"idempotency-key": "s"})
        _, headers, again = await rig.request(body=body, headers={"idempotency-key": "s"})
        assert again == first
        assert headers["content-type"].startswith("text/event-stream")
        assert len(rig.simulator.calls()) == 1


async def test_a_concurrent_repeat_is_told_to_wait(start):
    async with start(rules={"a": Behaviour(headers_ms=300)}) as rig:
        async with asyncio.TaskGroup() as group:
            first = group.create_task(rig.request(body=BODY, headers={"idempotency-key": "c"}))
            await rig.simulator.until(lambda calls: len(calls) == 1)
            status, headers, body = await rig.request(body=BODY, headers={"idempotency-key": "c"})
            assert (status, json.loads(body)["error"]["code"]) == (409, "idempotency_key_in_use")
            assert headers["retry-after"] == "1"
        assert first.result()[0] == 200


async def test_a_failure_is_not_kept_so_that_a_retry_can_succeed(start):
    async with start(rules={"a": Behaviour(status=500)}) as rig:
        for _ in range(2):
            status, _, _ = await rig.request(body=BODY, headers={"idempotency-key": "f"})
            assert status == 500
        assert len(rig.simulator.calls()) == 2
