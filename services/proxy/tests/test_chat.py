"""Whole requests through a running proxy: answers, failover, streams, cancellation, and what is recorded of them."""

from __future__ import annotations

import asyncio
import json

import pytest

from modelux_providers.client import Deadlines
from modelux_providers.simulator.scenario import Behaviour

CHAT = {"model": "@production", "messages": [{"role": "user", "content": "hi"}]}
STREAM = {"stream": True, "stream_options": {"include_usage": True}}


def chat(**changes: object) -> bytes:
    return json.dumps(CHAT | changes).encode()


def events(body: bytes) -> list[object]:
    """The data of each SSE event; [DONE] as text."""
    found = [block[6:] for block in body.decode().split("\n\n") if block.startswith("data: ")]
    return [text if text == "[DONE]" else json.loads(text) for text in found]


async def test_a_plain_call_is_answered_and_recorded(start):
    async with start() as rig:
        status, headers, body = await rig.request(body=chat())
        assert status == 200, body
        assert json.loads(body)["choices"][0]["message"]["role"] == "assistant"
        assert headers["x-modelux-config"] == "@production"
        assert headers["x-modelux-config-version"] == "1"
        assert headers["x-modelux-model"] == "a"
        assert headers["x-modelux-provider"] == "one"
        assert headers["x-modelux-attempts"] == "1"
        assert headers["x-request-id"].startswith("req_")
        (event,) = rig.events()
        assert event.request_id == headers["x-request-id"]
        assert event.outcome == "ok"
        assert event.status == 200
        assert event.usage.input > 0
        assert event.cost_nano > 0
        assert float(headers["x-modelux-cost-usd"]) == event.cost_nano / 1e9
        assert event.response_body == body
        assert event.request_body == chat()
        assert json.loads(event.trace_json)["selected"] == "a:one"
        assert [each.kind for each in event.attempts] == ["ok"]
        assert 0 < event.overhead_us <= event.latency_us


async def test_a_call_without_a_known_price_is_not_said_to_cost_nothing(start):
    async with start() as rig:
        status, headers, body = await rig.request(body=chat(model="unpriced"))
        assert status == 200, body
        assert "x-modelux-cost-usd" not in headers


async def test_metadata_only_projects_keep_no_bodies(start):
    async with start(full_logging=False) as rig:
        await rig.request(body=chat())
        (event,) = rig.events()
        assert event.logging_mode == "metadata_only"
        assert not event.request_body
        assert not event.response_body
        assert not event.body_shed


@pytest.mark.parametrize(
    ("behaviour", "kind"),
    [
        pytest.param(Behaviour(status=503), "status", id="503"),
        pytest.param(Behaviour(status=429, retry_after="2"), "status", id="429"),
        pytest.param(Behaviour(close_before=True), "cut", id="closed before an answer"),
        pytest.param(Behaviour(hang_headers=True), "timeout", id="silence"),
        pytest.param(Behaviour(body="html"), "invalid", id="a page"),
        pytest.param(Behaviour(garbage=True), "invalid", id="no HTTP"),
        pytest.param(Behaviour(encoding="gzip"), "invalid", id="compressed"),
        pytest.param(Behaviour(status=302, location="http://169.254.169.254/"), "invalid", id="redirect"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_next_provider_answers_when_the_first_fails(start, behaviour, kind, stream):
    policies = {
        "production": {
            "strategy": "fallback",
            "attempts": [{"model": "a", "timeout_ms": 300}, {"model": "b"}],
            "retry_on": ["429", "5xx", "timeout", "connect", "invalid", "cut"],
        }
    }
    async with start(policies, rules={"a": behaviour}) as rig:
        status, headers, body = await rig.request(body=chat(stream=stream))
        assert status == 200, body
        assert headers["x-modelux-model"] == "b"
        assert headers["x-modelux-attempts"] == "2"
        (event,) = rig.events()
        assert [each.kind for each in event.attempts] == [kind, "ok"]
        assert event.model == "b"
        assert not stream or events(body)[-1] == "[DONE]"


async def test_a_stream_passes_through_with_usage_and_done(start):
    async with start() as rig:
        status, headers, body = await rig.request(body=chat(**STREAM))
        assert status == 200
        assert headers["content-type"] == "text/event-stream; charset=utf-8"
        assert headers["x-accel-buffering"] == "no"
        *chunks, usage, done = events(body)
        assert done == "[DONE]"
        assert usage["choices"] == []
        assert usage["usage"]["completion_tokens"] > 0
        assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
        assert all(chunk["usage"] is None for chunk in chunks)
        assert len({chunk["id"] for chunk in chunks}) == 1
        (event,) = rig.events()
        assert event.stream
        assert event.outcome == "ok"
        assert event.usage.output == usage["usage"]["completion_tokens"]
        assert event.ttft_us > 0


async def test_usage_is_taken_but_not_shown_where_it_was_not_asked_for(start):
    async with start() as rig:
        _, _, body = await rig.request(body=chat(stream=True))
        assert b"usage" not in body
        (event,) = rig.events()
        assert event.usage.output > 0
        assert not event.usage.estimated


async def test_a_cut_stream_ends_with_an_error_and_without_done(start):
    async with start(rules={"a": Behaviour(cut_after=4)}) as rig:
        status, _, body = await rig.request(body=chat(stream=True))
        assert status == 200
        *_, last = events(body)
        assert last["error"]["code"] == "upstream_cut"
        assert b"[DONE]" not in body
        (event,) = rig.events()
        assert event.outcome == "error"
        assert event.attempts[0].kind == "cut"


async def test_a_silent_stream_ends_with_a_timeout_error(start):
    deadlines = Deadlines(idle_s=0.2)
    async with start(rules={"a": Behaviour(hang_after=4)}, deadlines=deadlines) as rig:
        _, _, body = await rig.request(body=chat(stream=True))
        assert events(body)[-1]["error"]["code"] == "upstream_timeout"
        (event,) = rig.events()
        assert event.attempts[0].kind == "timeout"


async def test_comments_keep_a_stream_alive_before_its_first_content(start):
    async with start(rules={"a": Behaviour(ttft_ms=200)}, keepalive_s=0.05) as rig:
        _, _, body = await rig.request(body=chat(stream=True))
        assert body.startswith(b": keep-alive\n\n")
        assert events(body)[-1] == "[DONE]"


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(Behaviour(hang_headers=True), id="before the head"),
        pytest.param(Behaviour(hang_after=0), id="after the head"),
        pytest.param(Behaviour(hang_after=4), id="in the stream"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
async def test_the_call_upstream_ends_when_the_caller_leaves(start, until, behaviour, stream):
    policies = {"production": {"strategy": "single", "model": "a"}}
    async with start(policies, rules={"a": behaviour}) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.proxy_port)
        body = chat(stream=stream)
        writer.write(
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {rig.key}\r\n"
            f"content-length: {len(body)}\r\n\r\n".encode()
            + body
        )
        await rig.simulator.until(lambda calls: len(calls) == 1)
        if behaviour.hang_after > 0 and stream:
            await reader.readuntil(b"data: ")
        writer.close()
        (call,) = await rig.simulator.until(lambda calls: calls[0].ended != "open")
        assert call.cancelled
        await until(lambda: rig.events())
        (event,) = rig.events()
        assert event.outcome == "cancelled"
        assert event.status == 499
        assert [each.kind for each in event.attempts] == ["cancelled"]
        assert event.usage.estimated
        assert json.loads(event.trace_json)["attempts"][0]["outcome"] == "cancelled"


async def test_an_ensemble_is_replayed_as_a_stream(start):
    rules = {"a": Behaviour(text="forty-two"), "b": Behaviour(text="forty-two")}
    async with start(rules=rules) as rig:
        status, headers, body = await rig.request(body=chat(model="@both", **STREAM))
        assert status == 200, body
        *chunks, usage, done = events(body)
        assert done == "[DONE]"
        assert usage["usage"]["total_tokens"] > 0
        assert "".join(c["choices"][0]["delta"].get("content") or "" for c in chunks) == "forty-two"
        assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
        assert headers["x-modelux-attempts"] == "2"
        (event,) = rig.events()
        assert len(event.attempts) == 2
        assert event.cost_nano == sum(each.cost_nano for each in event.attempts)


async def test_an_error_keeps_its_status_code_and_retry_after(start):
    rules = {m: Behaviour(status=429, retry_after="7", error_code="rate_limit_exceeded") for m in "ab"}
    async with start(rules=rules) as rig:
        status, headers, body = await rig.request(body=chat())
        assert status == 429
        assert headers["retry-after"] == "7"
        assert set(json.loads(body)["error"]) == {"message", "type", "param", "code"}
        assert json.loads(body)["error"]["code"] == "rate_limit_exceeded"
        (event,) = rig.events()
        assert event.outcome == "error"
        assert event.status == 429


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        pytest.param(Behaviour(status=401), 502, "upstream_credentials_exhausted", id="our key is refused"),
        pytest.param(Behaviour(status=502, body="html"), 502, None, id="a page"),
        pytest.param(Behaviour(hang_headers=True), 504, "upstream_timeout", id="timeout"),
        pytest.param(Behaviour(status=200, body="truncated"), 502, "upstream_invalid", id="broken JSON"),
        pytest.param(
            Behaviour(status=400, error_code="context_length_exceeded"), 400, "context_length_exceeded", id="too long"
        ),
    ],
)
async def test_what_the_caller_sees_of_a_provider_that_fails(start, behaviour, status, code):
    policies = {"production": {"strategy": "single", "model": "a", "timeout_ms": 300}}
    async with start(policies, rules={"a": behaviour}) as rig:
        got, _, body = await rig.request(body=chat())
        error = json.loads(body)["error"]
        assert (got, error["code"]) == (status, code)
        assert b"<html" not in body.lower()
        assert b"sk-one-secret" not in body


async def test_embeddings_pass_through(start):
    async with start() as rig:
        body = json.dumps({"model": "embed", "input": ["a", "b"]}).encode()
        status, _, answer = await rig.request("/v1/embeddings", body)
        assert status == 200, answer
        assert [each["index"] for each in json.loads(answer)["data"]] == [0, 1]
        (event,) = rig.events()
        assert event.endpoint == "embeddings"


async def test_tags_and_the_end_user_are_recorded_and_not_sent_on(start):
    async with start() as rig:
        body = chat(**{"mlx:tags": {"team": "search"}, "user": "u1"})
        status, _, _ = await rig.request(body=body, headers={"x-modelux-tags": "run_id=r1, team=other"})
        assert status == 200
        (event,) = rig.events()
        assert dict(event.tags) == {"team": "search", "run_id": "r1"}
        assert event.end_user_id == "u1"
