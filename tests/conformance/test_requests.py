"""Requests over HTTP: repeats, retries, connections, encodings, what is old but alive, numbers and characters."""

from __future__ import annotations

import asyncio
import gzip
import json

import openai
import pytest

from modelux_providers.client import Deadlines
from modelux_providers.simulator.scenario import Behaviour

USER = {"role": "user", "content": "hi"}
CHAT = {"model": "gpt-4o", "messages": [USER]}
ENDPOINT = "/v1/chat/completions"
KEYED = {"idempotency-key": "order-1"}
RETRY = ["429", "5xx", "timeout", "connect", "invalid", "cut"]


@pytest.mark.conformance(52)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_repeated_request_gets_the_first_answer(rig, stream):
    first = await rig.chat(stream=stream, headers=KEYED)
    again = await rig.chat(stream=stream, headers=KEYED)
    assert (again.status, again.body) == (first.status, first.body)
    assert again.headers["content-type"] == first.headers["content-type"]
    assert again.headers["idempotent-replayed"] == "true"
    assert "idempotent-replayed" not in first.headers
    assert len(rig.calls()) == len(rig.events()) == 1


@pytest.mark.conformance(52)
async def test_the_same_key_for_another_request_is_a_422(rig):
    await rig.chat(headers=KEYED)
    answer = await rig.chat("something else", headers=KEYED)
    assert (answer.status, answer.error["code"]) == (422, "idempotency_key_reused")
    assert len(rig.calls()) == 1


@pytest.mark.conformance(52)
async def test_a_repeat_while_the_first_runs_is_a_409_that_the_sdk_waits_out(start):
    async with start(rules={"gpt-4o": Behaviour(headers_ms=200)}) as rig, rig.sdk(max_retries=1) as sdk:
        create = sdk.chat.completions.with_raw_response.create
        async with asyncio.TaskGroup() as group:
            first = group.create_task(create(**CHAT, extra_headers=KEYED))
            await rig.simulator.until(lambda calls: len(calls) == 1)
            with pytest.raises(openai.ConflictError) as clash:
                await sdk.with_options(max_retries=0).chat.completions.create(**CHAT, extra_headers=KEYED)
            again = await create(**CHAT, extra_headers=KEYED)
        assert (clash.value.code, clash.value.response.headers["retry-after"]) == ("idempotency_key_in_use", "1")
        assert (again.retries_taken, again.headers["idempotent-replayed"]) == (1, "true")
        assert again.text == first.result().text
        assert len(rig.calls()) == 1


@pytest.mark.conformance(52)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_failure_may_be_tried_again_under_the_same_key(rig, stream):
    for _ in range(2):
        answer = await rig.chat("[[sim: status=500]]", stream=stream, headers=KEYED)
        assert (answer.status, "idempotent-replayed" in answer.headers) == (500, False)
    assert len(rig.calls()) == 2


@pytest.mark.conformance(52)
async def test_keys_belong_to_their_path_and_are_checked(rig):
    assert (await rig.chat(headers={"idempotency-key": ""})).status == 400
    assert (await rig.chat(headers={"idempotency-key": "x" * 256})).status == 400
    assert (await rig.chat(headers={"idempotency-key": "x" * 255})).status == 200


@pytest.mark.conformance(52)
async def test_the_gateways_own_retry_is_billed_once_per_call_made(start):
    async with start(rules={"gpt-4o": Behaviour(status=503)}) as rig:
        await rig.chat(model="@production", headers=KEYED)
        await rig.chat(model="@production", headers=KEYED)
        (event,) = rig.events()
        assert [each.cost_nano > 0 for each in event.attempts] == [False, True]
        assert event.cost_nano == event.attempts[1].cost_nano
        assert len(rig.calls()) == 2


@pytest.mark.conformance(53)
@pytest.mark.parametrize(
    "behaviour",
    [{"cut_after": 6}, {"reset_after": 6}, {"error_after": 6, "error_type": "server_error"}, {"bad_json_after": 6}],
)
async def test_nothing_is_tried_again_once_the_caller_has_content(start, behaviour):
    async with start(rules={"gpt-4o": Behaviour(**behaviour, per_token_ms=1)}) as rig:
        answer = await rig.stream(model="@production")
        assert "error" in json.loads(answer.events()[-1])
        assert [call.model for call in rig.calls()] == ["gpt-4o"]


@pytest.mark.conformance(53)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_call_that_timed_out_counts_as_spent(start, stream):
    policies = {
        "p": {
            "strategy": "fallback",
            "attempts": [{"model": "gpt-4o", "timeout_ms": 100}, {"model": "spare"}],
            "retry_on": RETRY,
        }
    }
    async with start(policies=policies, rules={"gpt-4o": Behaviour(hang_headers=True)}) as rig:
        answer = await rig.chat("word " * 50, model="@p", stream=stream)
        assert answer.headers["x-modelux-model"] == "spare"
        event = await rig.event()
        lost, made = event.attempts
        assert (lost.kind, lost.usage.estimated, made.kind) == ("timeout", True, "ok")
        assert lost.usage.input >= 50
        assert lost.cost_nano > 0
        assert event.cost_nano == lost.cost_nano + made.cost_nano
        if not stream:
            assert float(answer.headers["x-modelux-cost-usd"]) == pytest.approx(event.cost_nano / 1e9)


@pytest.mark.conformance(53)
async def test_a_call_that_never_left_costs_nothing(start):
    async with start() as rig:
        await rig.simulator.refuse_connections()
        answer = await rig.chat()
        assert (answer.status, answer.error["code"]) == (503, "upstream_unreachable")
        (attempt,) = (await rig.event()).attempts
        assert (attempt.kind, attempt.cost_nano, attempt.usage.input) == ("connect", 0, 0)
        await rig.simulator.accept_connections()


@pytest.mark.conformance(54)
@pytest.mark.parametrize("stream", [False, True])
async def test_a_connection_the_provider_closed_is_replaced_unseen(start, stream):
    async with start(rules={"gpt-4o": Behaviour(reuse_race=True)}) as rig:
        for number in range(3):
            answer = await rig.chat(f"question {number}", stream=stream)
            assert (answer.status, answer.headers["x-modelux-attempts"]) == (200, "1")
        kinds = [[each.kind for each in event.attempts] for event in rig.events()]
        assert kinds == [["ok"]] * 3
        assert [call.status for call in rig.calls()] == [200, 0, 200, 0, 200]


@pytest.mark.conformance(54)
async def test_a_fresh_connection_that_fails_is_not_retried_silently(start):
    async with start(rules={"gpt-4o": Behaviour(close_before=True)}) as rig:
        answer = await rig.chat()
        assert (answer.status, answer.error["code"]) == (502, "upstream_cut")
        assert len(rig.calls()) == 1


@pytest.mark.conformance(54)
async def test_a_callers_connection_serves_many_requests(rig):
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    for number in range(3):
        data = json.dumps(CHAT | {"user": f"u{number}"}).encode()
        writer.write(rig.request(data, headers={"connection": "keep-alive"}))
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"connection: close" not in head
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        assert json.loads(await reader.readexactly(length))["choices"]
    writer.close()
    await writer.wait_closed()
    assert len({call.connection for call in rig.calls()}) == 1  # and the provider's connection was reused too


@pytest.mark.conformance(54)
async def test_a_body_that_waits_for_100_continue(rig):
    data = json.dumps(CHAT).encode()
    whole = rig.request(data, headers={"expect": "100-continue"})
    head, body = whole[: -len(data)], whole[-len(data) :]
    reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
    writer.write(head)
    assert await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30) == b"HTTP/1.1 100 Continue\r\n\r\n"
    writer.write(body)
    assert (await asyncio.wait_for(reader.read(), 30)).startswith(b"HTTP/1.1 200 OK\r\n")
    writer.close()


@pytest.mark.conformance(54)
@pytest.mark.parametrize("size", [1, 7, 1000])
async def test_a_chunked_body(rig, size):
    data = json.dumps(CHAT).encode()
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    body = b"".join(b"%x;ext=1\r\n%b\r\n" % (len(part), part) for part in parts) + b"0\r\nx-trailer: 1\r\n\r\n"
    answer = await rig.post(body, headers={"transfer-encoding": "chunked", "content-length": None})
    assert answer.status == 200
    assert rig.sent() == CHAT


@pytest.mark.conformance(54)
async def test_a_compressed_body_and_a_bomb(rig):
    headers = {"content-encoding": "gzip"}
    answer = await rig.post(gzip.compress(json.dumps(CHAT).encode()), headers=headers)
    assert answer.status == 200
    assert rig.sent() == CHAT
    bomb = gzip.compress(json.dumps(CHAT | {"x": "a" * 5_000_000}).encode())
    answer = await rig.post(bomb, headers=headers)
    assert (answer.status, answer.error["code"]) == (413, "body_too_large")
    assert len(rig.calls()) == 1


@pytest.mark.conformance(54)
@pytest.mark.parametrize("megabytes", [0.1, 1, 19])
async def test_large_bodies_pass_up_to_the_limit(rig, megabytes):
    prompt = "x" * int(megabytes * 1024 * 1024)
    answer = await rig.chat(prompt, max_tokens=5)
    assert answer.status == 200
    assert rig.sent()["messages"][0]["content"] == prompt


@pytest.mark.conformance(54)
async def test_a_body_past_the_limit_is_refused_before_it_is_read(rig):
    head = rig.request(b"", headers={"content-length": str(21 * 1024 * 1024), "connection": "keep-alive"})
    answer = await rig.raw(head)
    assert answer.startswith(b"HTTP/1.1 413 ")
    assert b'"code":"body_too_large"' in answer


FUNCTIONS = [{"name": "weather", "parameters": {"type": "object", "properties": {}}}]


@pytest.mark.conformance(57)
@pytest.mark.parametrize("stream", [False, True])
async def test_functions_still_reach_openai_providers(rig, stream):
    called = {"role": "assistant", "content": None, "function_call": {"name": "weather", "arguments": "{}"}}
    body = {
        "model": "gpt-4o",
        "messages": [USER, called, {"role": "function", "name": "weather", "content": "sun"}],
        "functions": FUNCTIONS,
        "function_call": {"name": "weather"},
        "stream": stream,
    }
    answer = await rig.post(body)
    assert answer.status == 200
    sent = rig.sent()
    sent.pop("stream_options", None)
    assert sent == body


@pytest.mark.conformance(57)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-2.5-flash"])
async def test_functions_are_refused_where_they_would_be_lost(rig, model):
    answer = await rig.chat(model=model, functions=FUNCTIONS)
    assert (answer.status, answer.error["param"]) == (400, "functions")
    assert "tools" in answer.error["message"]


@pytest.mark.conformance(57)
async def test_the_endpoint_for_plain_completions_says_that_it_is_not_there(rig):
    async with rig.sdk() as sdk:
        with pytest.raises(openai.NotFoundError) as caught:
            await sdk.completions.create(model="gpt-4o", prompt=["a", "b"], suffix="c", echo=True)
    assert caught.value.code == "unknown_url"
    assert "/v1/completions" in caught.value.message


NUMBERS = b'{"n":12345678901234567890123,"d":0.10000000000000000001,"e":1E+2,"z":-0.0,"k":1,"k":2}'


@pytest.mark.conformance(58)
@pytest.mark.parametrize("model", ["gpt-4o", "@production"])
async def test_numbers_go_to_the_provider_as_they_were_written(rig, model):
    body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}],"x":%b}' % (model.encode(), NUMBERS)
    assert (await rig.post(body)).status == 200
    assert NUMBERS in rig.calls()[0].body.encode()


@pytest.mark.conformance(58)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-2.5-flash"])
async def test_a_tools_schema_keeps_its_numbers_in_other_dialects(rig, model):
    schema = b'{"type":"object","properties":{"n":{"maximum":12345678901234567890123,"multipleOf":0.10}}}'
    tools = b'[{"type":"function","function":{"name":"f","parameters":%b}}]' % schema
    body = b'{"model":"%b","messages":[{"role":"user","content":"hi"}],"tools":%b}' % (model.encode(), tools)
    assert (await rig.post(body)).status == 200
    assert schema in rig.calls()[0].body.encode()


@pytest.mark.conformance(58)
@pytest.mark.parametrize("number", [b"NaN", b"Infinity", b"-Infinity", b"1e999", b"9" * 5000])
async def test_numbers_that_are_none_are_refused(rig, number):
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"max_tokens":%b}' % number
    answer = await rig.post(body)
    assert answer.status == 400
    assert rig.calls() == []


@pytest.mark.conformance(58)
async def test_a_key_that_comes_twice_is_refused_where_it_decides(rig):
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"hi"}],"model":"spare"}'
    answer = await rig.post(body)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, "duplicate_key", "model")


@pytest.mark.conformance(58)
@pytest.mark.parametrize("usage", [False, True])
async def test_a_providers_nan_is_never_handed_on(rig, usage):
    answer = await rig.chat("[[sim: usage=nan text=42]]")
    assert answer.status == 200
    assert b"NaN" not in answer.body
    assert answer.json()["choices"][0]["message"]["content"] == "42"
    stream = await rig.stream("[[sim: usage=nan text=42]]", usage=usage)
    assert b"NaN" not in stream.body
    assert stream.text() == "42"


@pytest.mark.conformance(58)
async def test_half_a_character_from_a_model_passes_as_it_is(rig):
    answer = await rig.chat("[[sim: surrogate=true]]")
    assert answer.status == 200
    assert answer.body == (await rig.directly()).body
    assert b"Broken \\ud83d here." in answer.body
    stream = await rig.stream("[[sim: surrogate=true]]")
    assert b"\\ud83d" in stream.body
    assert stream.text() == "Broken \ud83d here."


@pytest.mark.conformance(58)
@pytest.mark.parametrize("model", ["claude-sonnet-4-5", "gemini-2.5-flash"])
@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_character_in_another_dialect_does_no_harm(rig, model, stream):
    answer = await rig.chat("[[sim: surrogate=true]]", model=model, stream=stream)
    assert answer.status == 200
    text = answer.text() if stream else answer.json()["choices"][0]["message"]["content"]
    assert text == "Broken \ufffd here."


@pytest.mark.conformance(58)
@pytest.mark.parametrize("stream", [False, True])
async def test_half_a_character_from_a_caller_is_refused(rig, stream):
    body = b'{"model":"gpt-4o","messages":[{"role":"user","content":"\\ud83d"}],"stream":%b}'
    answer = await rig.post(body % (b"true" if stream else b"false"))
    assert (answer.status, answer.error["code"]) == (400, "invalid_encoding")


@pytest.mark.conformance(58)
async def test_characters_of_every_kind_pass_in_both_directions(rig):
    text = '\u0000\u001f\u007f\u00e9\u20ac\ud7ff\ue000\ufffd\U0001f600 \u2028 <script> \\ "'
    answer = await rig.chat(text)
    assert answer.status == 200
    assert rig.sent()["messages"][0]["content"] == text


@pytest.mark.conformance(54)
@pytest.mark.parametrize("deadline", [Deadlines(idle_s=0.2)])
async def test_an_answer_shorter_than_announced_is_cut(start, deadline):
    async with start(rules={"gpt-4o": Behaviour(length_delta=10)}, deadlines=deadline) as rig:
        answer = await rig.chat()
        assert (answer.status, answer.error["code"]) == (502, "upstream_cut")
