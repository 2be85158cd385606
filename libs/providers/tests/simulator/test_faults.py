"""Every fault that a scenario can ask for really happens on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from hashlib import sha256

import pytest

from modelux_providers.simulator.scenario import Behaviour, Scenario

PATH = "/v1/chat/completions"
MESSAGES = [{"role": "user", "content": "Hello"}]
ASK = {"model": "gpt-4o", "messages": MESSAGES}
STREAM = {**ASK, "stream": True}
USAGE = {**STREAM, "stream_options": {"include_usage": True}}


@pytest.fixture
def ask(sim, post):
    """Put one behaviour in force and send one request."""

    async def send(body, /, **fields):
        sim.use(Scenario(behaviour=Behaviour(**fields)))
        return await post(sim, PATH, body)

    return send


@pytest.fixture
async def healthy(ask):
    return await ask(STREAM)


# How a body ends.


@pytest.mark.parametrize("fault", ["cut_after", "reset_after", "malformed_chunk_after"])
@pytest.mark.parametrize("count", [0, 1, 3])
async def test_stops_a_stream_after_so_many_events(ask, healthy, fault, count):
    answer = await ask(STREAM, **{fault: count})
    assert answer.status == 200
    assert not answer.whole
    assert answer.reset == (fault == "reset_after")
    assert answer.events() == healthy.events()[:count]


@pytest.mark.parametrize("fault", ["cut_after", "reset_after", "malformed_chunk_after"])
async def test_stops_a_whole_body_after_so_many_bytes(ask, fault):
    whole = await ask(ASK)
    answer = await ask(ASK, **{fault: 10})
    assert answer.body == whole.body[:10]
    assert not answer.whole


@pytest.mark.parametrize("fault", ["close_before", "reset_before"])
async def test_ends_instead_of_answering(ask, fault):
    answer = await ask(ASK, **{fault: True})
    assert answer.raw == b""
    assert answer.reset == (fault == "reset_before")


@pytest.mark.parametrize(
    ("fields", "events", "status"),
    [({"hang_headers": True}, 0, 0), ({"hang_after": 0}, 0, 200), ({"hang_after": 2}, 2, 200)],
)
async def test_hangs_until_the_peer_leaves(sim, fields, events, status):
    sim.use(Scenario(behaviour=Behaviour(**fields)))
    _, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    body = json.dumps(STREAM).encode()
    writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(body), body))
    await sim.until(lambda calls: bool(calls) and calls[0].sent_events == events)
    assert sim.calls()[0].ended == "open"
    writer.transport.abort()
    (call,) = await sim.until(lambda calls: calls[0].ended == "cancelled")
    assert call.status == status
    assert call.phase == ("body" if events else "headers")


async def test_never_ends_when_asked(sim):
    sim.use(Scenario(behaviour=Behaviour(endless=True)))
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    body = json.dumps(STREAM).encode()
    writer.write(b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(body), body))
    read = 0
    async with asyncio.timeout(30):
        while read < 200_000:
            read += len(await reader.read(65536))
    writer.transport.abort()
    (call,) = await sim.until(lambda calls: calls[0].ended != "open")
    assert call.ended == "cancelled"
    assert call.sent_tokens > call.output_tokens


# How bytes come.


@pytest.mark.parametrize("body", [ASK, STREAM])
@pytest.mark.parametrize("size", [1, 7])
async def test_splits_at_any_byte(ask, body, size):
    whole = await ask(body)
    answer = await ask(body, split=size)
    assert answer.body == whole.body
    assert answer.whole


async def test_joins_events(ask, healthy):
    answer = await ask(STREAM, join=3)
    assert answer.body == healthy.body
    assert answer.raw.count(b"\r\n\r\n") == healthy.raw.count(b"\r\n\r\n")
    assert len(answer.raw) < len(healthy.raw)


async def test_trickles(ask):
    loop = asyncio.get_running_loop()
    begun = loop.time()
    answer = await ask(ASK, bytes_per_s=20_000, pad_bytes=0)
    assert answer.whole
    assert loop.time() - begun >= len(answer.raw) / 20_000 * 0.9


async def test_pads_a_body(ask):
    answer = await ask(ASK, pad_bytes=3_000_000)
    assert answer.whole
    assert len(answer.body) > 3_000_000
    assert answer.json()["object"] == "chat.completion"


# The HTTP message.


@pytest.mark.parametrize(
    ("fields", "status", "kind", "start"),
    [
        ({"status": 502, "body": "html"}, 502, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ({"body": "html"}, 200, "text/html; charset=utf-8", b"<!DOCTYPE html>"),
        ({"body": "error"}, 200, "application/json", b'{"error":'),
        ({"body": "text", "status": 503}, 503, "text/plain", b"upstream"),
        ({"body": "null"}, 200, "application/json", b"null"),
        ({"body": "empty"}, 200, None, b""),
        ({"status": 204}, 204, None, b""),
        ({"status": 302, "location": "http://169.254.169.254/latest"}, 302, None, b""),
    ],
)
async def test_answers_with_what_is_no_answer(ask, fields, status, kind, start):
    answer = await ask(ASK, **fields)
    assert answer.status == status
    assert answer.headers.get("content-type") == kind
    assert answer.body.startswith(start)
    assert answer.headers.get("location", "") == fields.get("location", "")


async def test_truncates_json_within_honest_framing(ask):
    answer = await ask(ASK, body="truncated")
    assert answer.whole
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_sends_headers_that_must_not_pass(ask):
    answer = await ask(ASK, leak_headers=True, header_bytes=5000, headers=(("x-ratelimit-reset-tokens", "1s"),))
    assert "simulator-canary" in answer.headers["set-cookie"]
    assert answer.headers["x-goog-api-key"] == "simulator-canary-key"
    assert len(answer.headers["x-huge"]) == 5000
    assert answer.headers["x-ratelimit-reset-tokens"] == "1s"


async def test_sends_informational_responses_first(ask):
    answer = await ask(ASK, informational=20)
    assert answer.raw.count(b"HTTP/1.1 103 ") == 20
    assert answer.status == 200


async def test_frames_by_closing(ask):
    answer = await ask(STREAM, framing="close")
    assert not {"content-length", "transfer-encoding"} & answer.headers.keys()
    assert answer.events()[-1] == "[DONE]"


@pytest.mark.parametrize("delta", [10, -10])
async def test_lies_about_the_length(ask, delta):
    answer = await ask(ASK, length_delta=delta)
    assert int(answer.headers["content-length"]) == len(answer.body) + delta


@pytest.mark.parametrize("body", [ASK, STREAM])
async def test_compresses(ask, body):
    plain = await ask(body)
    packed = await ask(body, encoding="gzip")
    deflated = await ask(body, encoding="deflate")
    lying = await ask(body, encoding="lying")
    assert gzip.decompress(packed.body) == zlib.decompress(deflated.body) == lying.body == plain.body
    assert packed.headers["content-encoding"] == lying.headers["content-encoding"] == "gzip"


async def test_sends_a_bomb(ask):
    answer = await ask(ASK, encoding="bomb")
    assert len(answer.body) < 200_000
    assert len(zlib.decompress(answer.body, 31)) > 64_000_000


async def test_speaks_no_http(ask):
    answer = await ask(ASK, garbage=True)
    assert answer.status == 0
    assert answer.raw


async def test_closes_a_reused_connection_instead_of_answering(sim):
    sim.use(Scenario(behaviour=Behaviour(reuse_race=True)))
    reader, writer = await asyncio.open_connection("127.0.0.1", sim.port)
    body = json.dumps(ASK).encode()
    request = b"POST %b HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (PATH.encode(), len(body), body)
    writer.write(request)
    assert b" 200 OK" in await reader.readuntil(b"\r\n\r\n")
    writer.write(request)
    rest = await asyncio.wait_for(reader.read(), 30)
    assert b"HTTP/1.1" not in rest
    writer.close()
    assert [call.ended for call in sim.calls()] == ["completed", "cut"]


# The event stream.


@pytest.mark.parametrize(
    "fields",
    [
        {"line_end": "crlf"},
        {"line_end": "cr"},
        {"comments": True},
        {"event_lines": True},
        {"no_space": True},
        {"multiline": True},
        {"bom": True},
        {"comments": True, "event_lines": True, "multiline": True, "line_end": "crlf", "no_space": True, "bom": True},
    ],
)
async def test_writes_the_same_events_untidily(ask, healthy, fields):
    answer = await ask(STREAM, **fields)
    assert answer.body != healthy.body
    assert answer.chunks() == healthy.chunks()
    assert answer.events()[-1] == "[DONE]"


@pytest.mark.parametrize(("done", "ends"), [("once", 1), ("missing", 0), ("twice", 2), ("then_more", 2)])
async def test_ends_a_stream_rightly_and_wrongly(ask, healthy, done, ends):
    events = (await ask(STREAM, done=done)).events()
    assert events.count("[DONE]") == ends
    assert (len(events) > len(healthy.events()) + 1) == (done == "then_more")


async def test_breaks_off_with_an_error_event(ask):
    answer = await ask(STREAM, error_after=3, error_message="boom", error_code="server_error")
    assert answer.whole
    assert len(answer.events()) == 4
    assert answer.chunks()[-1]["error"]["message"] == "boom"


async def test_puts_broken_json_into_a_stream(ask, healthy):
    answer = await ask(STREAM, bad_json_after=2)
    assert len(answer.events()) == len(healthy.events()) + 1
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.events()[2])


async def test_sends_a_huge_line_and_an_unterminated_one(ask):
    answer = await ask(STREAM, huge_line_bytes=300_000)
    assert max(map(len, answer.events())) > 300_000
    endless = await ask(STREAM, huge_line_bytes=300_000, unterminated=True)
    assert b"\n" not in endless.body


async def test_sends_keepalive_comments_while_the_first_token_is_awaited(ask):
    answer = await ask(STREAM, ttft_ms=60, keepalive_ms=10)
    assert answer.body.startswith(b": keepalive\n\n")
    assert answer.body.count(b": keepalive") >= 5
    assert answer.events()[-1] == "[DONE]"


@pytest.mark.parametrize(
    ("usage", "shape"),
    [
        ("missing", []),
        ("null", [None]),
        ("negative", [-7]),
        ("string", [str]),
        ("huge", [1e30]),
        ("fraction", [12.5]),
        ("after_done", [int]),
        ("on_finish", [int]),
    ],
)
async def test_spoils_usage(ask, usage, shape):
    answer = await ask(USAGE, usage=usage)
    found = [chunk["usage"] for chunk in answer.chunks() if chunk.get("usage") is not None]
    values = [value["total_tokens"] for value in found]
    if usage == "null":
        assert values == []
        assert answer.chunks()[-1]["choices"] == []
    else:
        assert len(values) == len(shape)
        assert all(value == s or type(value) is s for value, s in zip(values, shape, strict=True))
    if usage == "on_finish":
        assert answer.chunks()[-1]["choices"][0]["finish_reason"] == "stop"
        assert answer.chunks()[-1]["usage"]
    if usage == "after_done":
        assert answer.events()[-2] == "[DONE]"


async def test_sends_usage_with_every_chunk_growing(ask):
    chunks = (await ask(STREAM, usage="every_chunk")).chunks()
    counts = [chunk["usage"]["completion_tokens"] for chunk in chunks]
    assert counts == sorted(counts)
    assert counts[0] == 0 < counts[-1]


async def test_writes_numbers_and_keys_that_do_not_survive_a_parser(ask):
    for body in (ASK, STREAM):
        answer = await ask(body, vendor_fields=True)
        assert b'"big":12345678901234567890123,"decimal":0.10000000000000000001,"k":1,"k":2' in answer.body
    assert b'"usage":{"prompt_tokens":NaN' in (await ask(ASK, usage="nan")).body


async def test_writes_broken_characters(ask):
    for body in (ASK, STREAM):
        assert b"\\ud83d" in (await ask(body, surrogate=True)).body
        broken = await ask(body, invalid_utf8=True)
        with pytest.raises(UnicodeDecodeError):
            broken.body.decode()


async def test_leaves_gaps_between_tool_calls_and_arguments_as_they_are(ask):
    tools = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    answer = await ask({**STREAM, "tools": tools}, tool_calls=2, tool_order="gapped", arguments='{"a": 12')
    fragments = [f for chunk in answer.chunks() for f in chunk["choices"][0]["delta"].get("tool_calls", ())]
    assert {fragment["index"] for fragment in fragments} == {0, 3}
    assert "".join(f["function"]["arguments"] for f in fragments if f["index"] == 3) == '{"a": 12'


async def test_adds_obfuscation_when_asked(ask):
    answer = await ask({**STREAM, "stream_options": {"include_obfuscation": True}})
    assert all(chunk["obfuscation"] for chunk in answer.chunks())


async def test_refuses_and_refuses_to_recover_stream_options(ask):
    assert (await ask(USAGE, rejects=("stream_options",))).json()["error"]["param"] == "stream_options"
    assert (await ask(STREAM, rejects=("stream_options",))).status == 200
    assert (await ask(STREAM, requires=("stream_options",))).status == 400


async def test_says_any_finish_reason_and_refusal(ask):
    odd = await ask(ASK, finish_reason="eos_token")
    refused = await ask(ASK, refusal="I cannot help with that.")
    assert odd.json()["choices"][0]["finish_reason"] == "eos_token"
    assert refused.json()["choices"][0]["message"]["refusal"] == "I cannot help with that."


async def test_repeats_itself_byte_for_byte(ask):
    fields = {
        "comments": True,
        "tool_calls": 0,
        "ttft_ms": 1.0,
        "ttft_sigma": 1.0,
        "output_tokens": 20,
        "output_sigma": 0.5,
    }
    digests = {sha256((await ask(STREAM, **fields)).raw).hexdigest() for _ in range(3)}
    assert len(digests) == 1
