"""Streams in time: signs of life, pace and back-pressure, callers who leave, deadlines, obfuscation."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import pytest

from modelux_providers.client import Deadlines
from modelux_providers.simulator.scenario import Behaviour

MESSAGES = [{"role": "user", "content": "hi"}]
CHAT = {"model": "gpt-4o", "messages": MESSAGES}
STREAM = CHAT | {"stream": True}
MODELS = [
    pytest.param("gpt-4o", id="openai"),
    pytest.param("claude-sonnet-4-5", id="anthropic"),
    pytest.param("gemini-2.5-flash", id="google"),
]


@pytest.mark.conformance(24)
@pytest.mark.parametrize("model", MODELS)
async def test_comments_keep_a_stream_alive_until_the_first_content(start, model):
    async with start(rules={model: Behaviour(ttft_ms=200, text="42")}, keepalive_s=0.04) as rig:
        answer = await rig.stream(model=model)
        assert answer.body.startswith(b": keep-alive\n\n: keep-alive\n\n")
        assert answer.text() == "42"


@pytest.mark.conformance(24)
async def test_comments_go_on_between_chunks(start):
    behaviour = Behaviour(per_token_ms=120, text="one two three")
    async with start(rules={"gpt-4o": behaviour}, keepalive_s=0.04) as rig:
        answer = await rig.stream()
        assert b"\n\n: keep-alive\n\ndata: " in answer.body
        assert answer.text() == "one two three"


@pytest.mark.conformance(24)
async def test_the_sdk_ignores_the_comments(start):
    async with start(rules={"gpt-4o": Behaviour(ttft_ms=150, text="42")}, keepalive_s=0.04) as rig, rig.sdk() as sdk:
        stream = await sdk.chat.completions.create(**CHAT, stream=True)
        assert "".join([c.choices[0].delta.content or "" async for c in stream]) == "42"


@pytest.mark.conformance(24)
async def test_a_failure_after_a_comment_is_told_inside_the_stream(start):
    async with start(rules={"gpt-4o": Behaviour(ttft_ms=100, error_after=1)}, keepalive_s=0.03) as rig:
        answer = await rig.stream()
        assert answer.status == 200
        (error,) = answer.events()
        assert set(json.loads(error)["error"]) == {"message", "type", "param", "code"}


@pytest.mark.conformance(25)
@pytest.mark.parametrize("model", MODELS)
async def test_every_event_is_handed_on_at_once(start, model):
    slow = Behaviour(per_token_ms=60, text="one two three")
    async with start(rules={model: slow}) as rig, rig.opened(STREAM | {"model": model}) as wire:
        (call,) = await rig.simulator.until(lambda calls: len(calls) == 1)
        await wire.until(b'"content":"one"')
        assert call.sent_tokens == 1
        await wire.until(b'"content":" two"')
        assert call.sent_tokens == 2


@pytest.mark.conformance(25)
async def test_the_callers_socket_does_not_wait_for_more_bytes(rig):
    async with rig.opened(CHAT | {"messages": [{"role": "user", "content": "[[sim: hang_headers=true]]"}]}):
        await rig.simulator.until(lambda calls: len(calls) == 1)
        (connection,) = rig.server.connections
        held = connection._transport.get_extra_info("socket")
        assert held.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.conformance(25)
async def test_a_slow_reader_stops_the_provider_and_loses_nothing(start):
    async with start(rules={"gpt-4o": Behaviour(output_tokens=40_000, split=8192)}) as rig:
        raw = socket.socket()
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_connect(raw, ("127.0.0.1", rig.port))
        reader, writer = await asyncio.open_connection(sock=raw, limit=4096)
        writer.write(rig.request(STREAM))
        (call,) = await rig.simulator.until(lambda calls: bool(calls and calls[0].sent_tokens))
        sent = -1
        async with asyncio.timeout(30):
            while sent != call.sent_tokens:  # until nothing moves any more
                sent = call.sent_tokens
                await asyncio.sleep(0.2)
        assert 0 < sent < call.output_tokens
        got = await asyncio.wait_for(reader.read(), 30)
        writer.transport.abort()
        assert got.endswith(b"data: [DONE]\n\n\r\n0\r\n\r\n")
        assert got.count(b'"content":"') == call.output_tokens + 1  # and the empty one of the role


@pytest.mark.conformance(26)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("behaviour", "seen"),
    [
        pytest.param(Behaviour(hang_headers=True), b"", id="while the head is awaited"),
        pytest.param(Behaviour(hang_after=0), b"", id="after the head"),
        pytest.param(Behaviour(hang_after=4), b"data: ", id="in the body"),
    ],
)
@pytest.mark.parametrize("model", MODELS)
async def test_the_provider_is_left_when_the_caller_leaves(start, model, behaviour, seen, stream):
    async with start(rules={model: behaviour}) as rig:
        async with rig.opened(CHAT | {"model": model, "stream": stream}) as wire:
            await rig.simulator.until(lambda calls: len(calls) == 1)
            if stream and seen:
                await wire.until(seen)
            wire.leave()
            began = time.monotonic()
            await rig.simulator.until(lambda calls: calls[0].cancelled)
            assert time.monotonic() - began < 15
        event = await rig.event()
        assert (event.outcome, event.status) == ("cancelled", 499)
        assert [(each.kind, each.usage.estimated) for each in event.attempts] == [("cancelled", True)]
        assert event.cost_nano > 0


@pytest.mark.conformance(26)
async def test_a_call_still_connecting_is_given_up_when_the_caller_leaves(start):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):  # the backlog is full: the next connection hangs
            async with start(ports={"openai": port}) as rig:
                async with rig.opened(CHAT) as wire:
                    async with asyncio.timeout(30):
                        while not rig.server.in_flight:
                            await asyncio.sleep(0.005)
                    wire.leave()
                event = await rig.event()
                assert event.outcome == "cancelled"
                assert [each.kind for each in event.attempts] == ["cancelled"]
                assert rig.server.in_flight == 0


@pytest.mark.conformance(26)
async def test_no_second_provider_is_called_for_a_caller_who_left(start):
    async with start(rules={"gpt-4o": Behaviour(headers_ms=150, status=503)}) as rig:
        async with rig.opened(CHAT | {"model": "@production"}) as wire:
            await rig.simulator.until(lambda calls: len(calls) == 1)
            wire.leave()
            await rig.simulator.until(lambda calls: calls[0].cancelled)
        assert (await rig.event()).outcome == "cancelled"
        assert [call.model for call in rig.calls()] == ["gpt-4o"]


@pytest.mark.conformance(26)
async def test_a_second_attempt_ends_too_when_the_caller_leaves(start):
    async with start(rules={"gpt-4o": Behaviour(status=503), "spare": Behaviour(hang_headers=True)}) as rig:
        async with rig.opened(STREAM | {"model": "@production"}) as wire:
            await rig.simulator.until(lambda calls: len(calls) == 2)
            wire.leave()
            await rig.simulator.until(lambda calls: calls[1].cancelled)
        assert [each.kind for each in (await rig.event()).attempts] == ["status", "cancelled"]


@pytest.mark.conformance(26)
async def test_all_members_of_an_ensemble_end_when_the_caller_leaves(start):
    hang = Behaviour(hang_after=3)
    async with start(rules={"gpt-4o": hang, "spare": hang}) as rig:
        async with rig.opened(STREAM | {"model": "@both"}) as wire:
            await rig.simulator.until(lambda calls: len(calls) == 2)
            wire.leave()
            await rig.simulator.until(lambda calls: all(call.cancelled for call in calls))
        event = await rig.event()
        assert event.outcome == "cancelled"
        assert [each.kind for each in event.attempts] == ["cancelled", "cancelled"]


@pytest.mark.conformance(26)
async def test_the_sdk_ends_the_provider_by_closing_its_stream(start):
    async with start(rules={"gpt-4o": Behaviour(output_tokens=500, per_token_ms=20)}) as rig, rig.sdk() as sdk:
        stream = await sdk.chat.completions.create(**CHAT, stream=True)
        async for _ in stream:
            break
        await stream.close()
        (call,) = await rig.simulator.until(lambda calls: calls[0].cancelled)
        assert call.sent_tokens < call.output_tokens


@pytest.mark.conformance(27)
async def test_connecting_has_its_own_deadline(start):
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        port = full.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)):
            async with start(ports={"openai": port}, deadlines=Deadlines(connect_s=0.1)) as rig:
                answer = await rig.chat()
                assert (answer.status, answer.error["code"]) == (503, "upstream_unreachable")
                (attempt,) = (await rig.event()).attempts
                assert (attempt.kind, attempt.error_code, attempt.cost_nano) == ("connect", "connect_timeout", 0)
                assert attempt.latency_us >= 100_000


@pytest.mark.conformance(27)
@pytest.mark.parametrize(
    ("behaviour", "deadlines", "stream", "status"),
    [
        pytest.param(Behaviour(hang_headers=True), Deadlines(first_byte_s=0.1), False, 504, id="head"),
        pytest.param(Behaviour(hang_headers=True), Deadlines(first_byte_s=0.1), True, 504, id="head of a stream"),
        pytest.param(Behaviour(hang_after=0), Deadlines(idle_s=0.1), False, 504, id="silence in a body"),
        pytest.param(Behaviour(hang_after=0), Deadlines(idle_s=0.1), True, 504, id="silence before an event"),
        pytest.param(Behaviour(hang_after=5), Deadlines(idle_s=0.1), True, 200, id="silence in a stream"),
        pytest.param(
            Behaviour(bytes_per_s=2000, output_tokens=900), Deadlines(total_s=0.2), False, 504, id="a slow body"
        ),
        pytest.param(
            Behaviour(per_token_ms=20, output_tokens=200), Deadlines(total_s=0.3), True, 200, id="a slow stream"
        ),
    ],
)
async def test_head_silence_and_the_whole_have_their_own_deadlines(start, behaviour, deadlines, stream, status):
    async with start(rules={"gpt-4o": behaviour}, deadlines=deadlines) as rig:
        answer = await rig.chat(stream=stream)
        assert answer.status == status
        error = json.loads(answer.events()[-1])["error"] if status == 200 else answer.error
        assert error["code"] == "upstream_timeout"
        (attempt,) = (await rig.event()).attempts
        assert attempt.kind == "timeout"
        await rig.simulator.until(lambda calls: calls[0].cancelled)


@pytest.mark.conformance(27)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_policys_own_timeout_runs_to_the_first_content_of_a_stream(start, stream):
    policies = {"p": {"strategy": "fallback", "attempts": [{"model": "gpt-4o", "timeout_ms": 150}, {"model": "spare"}]}}
    slow = Behaviour(ttft_ms=20, per_token_ms=20, text="one two three four five six seven eight nine ten eleven")
    async with start(policies=policies, rules={"gpt-4o": slow}) as rig:
        answer = await rig.chat(model="@p", stream=stream)
        assert answer.headers["x-modelux-model"] == ("gpt-4o" if stream else "spare")


@pytest.mark.conformance(28)
async def test_obfuscation_passes_and_is_not_logged(rig):
    answer = await rig.stream("[[sim: text='one two']]", stream_options={"include_obfuscation": True})
    assert all(chunk["obfuscation"] for chunk in answer.chunks())
    event = await rig.event()
    assert event.response_body
    assert b"obfuscation" not in event.response_body
