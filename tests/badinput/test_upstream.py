"""Providers that answer what none should (U1-U12): passed on safely, or one clear 502, and no secret either way."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from badinput_tenants import SECRETS
from badinput_wire import answers, chat, harmless, request, sim

from modelux_providers.simulator.scenario import Behaviour

MIB = 2**20
DIALECTS = ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"]
BROKEN = {"upstream_invalid", "upstream_cut", "response_too_large"}
STREAM = {"stream": True}
HEADERS = {"connection", "content-length", "content-type", "x-request-id", "transfer-encoding", "cache-control"}
HEADERS |= {"x-accel-buffering", "openai-processing-ms", "openai-version"}


def asked(model: str, prompt: str, extra: dict[str, object] | None = None) -> bytes:
    return request(chat(extra, model=model, prompt=prompt))


def assert_broken(answer) -> None:
    """A 502 of the envelope, or inside a stream that had begun the same and no [DONE]."""
    if answer.status == 200:
        assert answer.whole
        *_, last = answer.events
        assert json.loads(last)["error"]["code"] in BROKEN
        assert b"[DONE]" not in answer.body
        return
    assert (answer.status, answer.error["code"] in BROKEN) == (502, True), answer.raw[:400]


@contextmanager
def provider(*writes: bytes, close: bool = True) -> Iterator[str]:
    """A provider that answers every call with these bytes; its base URL."""

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock:
                sock.settimeout(5.0)
                try:
                    sock.recv(65536)
                    for data in writes:
                        sock.sendall(data)
                    if close:
                        sock.shutdown(socket.SHUT_WR)
                    while sock.recv(65536):
                        pass
                except OSError:
                    continue

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(10.0)


EVENT = b'data: {"id":"c","object":"chat.completion.chunk","created":1,"model":"m","choices":[%b]}\n\n'
TEXT = EVENT % b'{"index":0,"delta":{"role":"assistant","content":"hi"},"finish_reason":null}'
STOP = EVENT % b'{"index":0,"delta":{},"finish_reason":"stop"}'
DONE = b"data: [DONE]\n\n"
SSE = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
WHOLE = b'{"id":"c","object":"chat.completion","created":1,"model":"m","choices":[%b]%b}'
CHOICE = b'{"index":0,"message":{"role":"assistant","content":"hi"},"finish_reason":"stop"}'


def whole(body: bytes, status: bytes = b"200 OK", headers: bytes = b"") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Length: %d\r\n%b\r\n%b" % (
        status,
        len(body),
        headers,
        body,
    )


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("after", [0, 5], ids=["U1 at once", "U1 after content"])
def test_an_event_that_does_not_end_is_cut_off(live, model, after):
    """U1: 100 MiB in one line. Memory holds a small part of it."""
    prompt = sim(huge_line_bytes=100 * MIB, unterminated="true") if not after else sim(huge_line_bytes=100 * MIB)
    answer = live.answer(asked(model, prompt, STREAM))
    assert_broken(answer)
    assert len(answer.raw) < MIB
    live.until(lambda: all(call.ended != "open" for call in live.calls()))


@pytest.mark.parametrize("model", DIALECTS)
def test_an_answer_that_does_not_end_is_cut_off(live, model):
    """U1: 100 MiB of white space behind a whole answer."""
    answer = live.answer(asked(model, sim(pad_bytes=100 * MIB, framing="chunked")))
    assert_broken(answer)


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("after", [0, 1, 3, 6], ids=lambda n: f"U2 after {n} events")
def test_an_event_that_is_not_json(live, model, after):
    assert_broken(live.answer(asked(model, sim(bad_json_after=after, output_tokens=20), STREAM)))


@pytest.mark.parametrize(
    "event",
    [
        pytest.param(b"data: null\n\n", id="U2 null"),
        pytest.param(b"data: []\n\n", id="U2 a list"),
        pytest.param(b'data: "x"\n\n', id="U2 a string"),
        pytest.param(b"data: 1e999\n\n", id="U2 a number"),
        pytest.param(b'data: {"choices":{}}\n\n', id="U2 choices an object"),
        pytest.param(b'data: {"choices":[1]}\n\n', id="U2 a choice a number"),
        pytest.param(b'data: {"choices":[{"index":"x"}]}\n\n', id="U2 an index a word"),
        pytest.param(b'data: {"choices":[{"delta":[]}]}\n\n', id="U2 a delta a list"),
        pytest.param(b"data: " + b"[" * 100_000 + b"\n\n", id="U2 100,000 deep"),
        pytest.param(b"data: \xff\xfe\n\n", id="U2 not UTF-8"),
        pytest.param(b"data: <html><script>canary</script>\n\n", id="U2 a page"),
    ],
)
@pytest.mark.parametrize("begun", [False, True])
def test_an_event_of_the_wrong_shape(live, event, begun):
    with provider(SSE + (TEXT if begun else b"") + event + STOP + DONE) as url:
        live.send_to({"openai": url})
        assert_broken(live.answer(asked("gpt-4o", "hi", STREAM)))


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("done", ["twice", "then_more"], ids=lambda each: f"U3 {each}")
def test_what_comes_after_the_end_is_not_passed_on(live, model, done):
    answer = live.answer(asked(model, sim(done=done), STREAM))
    assert answer.events[-1] == b"[DONE]"
    assert answer.events.count(b"[DONE]") == 1


def test_an_event_after_done_is_not_passed_on(live):
    """U3: also not one that would be an error."""
    with provider(SSE + TEXT + STOP + DONE + b'data: {"error":{"message":"canary"}}\n\n' + TEXT) as url:
        live.send_to({"openai": url})
        answer = live.answer(asked("gpt-4o", "hi", STREAM))
    assert [each for each in answer.events if each == b"[DONE]"] == [b"[DONE]"]
    assert len(answer.events) == 3


TOOLS = {"tools": [{"type": "function", "function": {"name": f"f{n}", "parameters": {}}} for n in range(3)]}


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("order", ["interleaved", "shuffled", "gapped"], ids=lambda each: f"U4 {each}")
@pytest.mark.parametrize("arguments", ["", "{", "[1", "nonsense"], ids=["good", "a brace", "a list", "a word"])
def test_tool_calls_in_disorder_reach_the_caller_whole(live, model, order, arguments):
    settings = {"tool_calls": 3, "tool_order": order} | ({"arguments": f"'{arguments}'"} if arguments else {})
    answer = live.answer(asked(model, sim(**settings), STREAM | TOOLS))
    assert answer.status in (200, 502), answer.raw[:400]
    if answer.status == 200 and answer.events[-1] == b"[DONE]":
        assert b"tool_calls" in answer.body
    else:
        assert_broken(answer)


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    "usage", ["missing", "null", "negative", "string", "huge", "nan", "fraction"], ids=lambda each: f"U5 {each}"
)
def test_a_usage_that_cannot_be_is_not_believed(live, model, usage, stream):
    answer = live.answer(asked(model, sim(usage=usage, output_tokens=20), {"stream": stream}))
    assert answer.status == 200
    event = next(e for e in live.journal() if e.request_id == answer.headers["x-request-id"])
    assert event.outcome == "ok"
    assert 0 <= event.cost_nano < 10**9
    assert 0 < event.usage.output < 10_000
    if stream:
        assert answer.events[-1] == b"[DONE]"
    else:
        json.loads(answer.body, parse_constant=pytest.fail)


@pytest.mark.parametrize(
    "usage",
    [
        pytest.param(text, id=f"U5 {text[:40].decode()}")
        for text in (
            b'{"prompt_tokens":-1,"completion_tokens":-1}',
            b'{"prompt_tokens":1e30,"completion_tokens":1}',
            b'{"prompt_tokens":' + b"9" * 4000 + b',"completion_tokens":1}',
            b'{"prompt_tokens":"1","completion_tokens":"2"}',
            b'{"prompt_tokens":null,"completion_tokens":null}',
            b'{"prompt_tokens":true,"completion_tokens":false}',
            b'{"prompt_tokens":[],"completion_tokens":{}}',
            b'{"prompt_tokens":1.5,"completion_tokens":0.5}',
            b'{"prompt_tokens":9223372036854775807,"completion_tokens":9223372036854775807}',
            b'{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":-99999}}',
            b'{"prompt_tokens":1,"completion_tokens":1,"prompt_tokens_details":{"cached_tokens":1e30}}',
            b'{"prompt_tokens":1,"completion_tokens":1,"completion_tokens_details":[]}',
            b"[]",
            b'"none"',
            b"1",
        )
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_usage_of_every_wrong_kind(live, usage, stream):
    chunk = b'data: {"id":"c","choices":[],"usage":' + usage + b"}\n\n"
    wire = SSE + TEXT + STOP + chunk + DONE if stream else whole(WHOLE % (CHOICE, b',"usage":' + usage))
    with provider(wire) as url:
        live.send_to({"openai": url})
        answer = live.answer(asked("gpt-4o", "hi", {"stream": stream}))
    assert answer.status == 200, answer.raw[:500]
    event = next(e for e in live.journal() if e.request_id == answer.headers["x-request-id"])
    assert 0 <= event.cost_nano < 10**9
    assert 0 <= event.usage.cache_read <= event.usage.input < 10**6


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("reason", ["sleepy", "x" * 5000, "7"], ids=["U6 a word", "U6 5,000 characters", "U6 a digit"])
def test_an_unknown_finish_reason_is_an_end(live, model, reason, stream):
    answer = live.answer(asked(model, sim(finish_reason=reason), {"stream": stream}))
    assert answer.status == 200, answer.raw[:400]
    if stream:
        assert answer.events[-1] == b"[DONE]"


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("model", DIALECTS)
def test_no_redirect_is_followed(live, model, status, stream):
    """U7: to wherever it leads; the second listener would notice."""
    with socket.create_server(("127.0.0.1", 0)) as inside:
        where = f"http://127.0.0.1:{inside.getsockname()[1]}/latest/meta-data"
        answer = live.answer(asked(model, sim(status=status, location=where), {"stream": stream}))
        inside.settimeout(0.0)
        with pytest.raises(BlockingIOError):
            inside.accept()
    assert (answer.status, answer.error["code"]) == (502, "upstream_invalid")
    assert where not in answer.raw.decode()
    assert len(live.calls()) == 1


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize(("stream", "status"), [(False, 200), (True, 200), (False, 500), (True, 429)])
def test_the_providers_headers_stay_with_us(live, model, stream, status):
    """U8: cookies, keys, hop-by-hop fields; only names on the list pass."""
    settings = {"leak_headers": "true"} | ({"status": status} if status != 200 else {})
    answer = live.answer(asked(model, sim(**settings), {"stream": stream}))
    assert answer.status == status
    names = {name for name in answer.headers if not name.startswith(("x-modelux-", "x-ratelimit-", "retry-after"))}
    assert names <= HEADERS | {"x-should-retry"}, names


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param(b"x-request-id: a\xe9\x80b\r\n", 200, id="U8 an id that is not ASCII"),
        pytest.param(b"x-request-id: " + b"i" * 5000 + b"\r\n", 200, id="U8 an id of 5,000 characters"),
        pytest.param(b"x-request-id: a\tb\r\n", 200, id="U8 an id with a tab"),
        pytest.param(b"x-a: " + b"b" * 100_000 + b"\r\n", 502, id="U8 a header of 100 KB"),
        pytest.param(b"x-a: b\r\n" * 30_000, 502, id="U8 30,000 headers"),
        pytest.param(b"x-a: b\nx-c: d\r\n", 502, id="U8 a bare line feed"),
        pytest.param(b"x-a: b\r\n c\r\n", 502, id="U8 a folded header"),
        pytest.param(b"content-encoding: br\r\n", 502, id="U8 an encoding"),
        pytest.param(b"transfer-encoding: chunked\r\n", 502, id="U8 two framings"),
        pytest.param(b"content-length: 3\r\n", 502, id="U8 two lengths"),
        pytest.param(b"x-ratelimit-limit-requests: a\xffb\r\n", 200, id="U8 a limit that is not ASCII"),
    ],
)
def test_odd_headers_of_a_provider(live, headers, status):
    with provider(whole(WHOLE % (CHOICE, b""), headers=headers)) as url:
        live.send_to({"openai": url})
        answer = live.answer(asked("gpt-4o", "hi"))
    assert answer.status == status, answer.raw[:500]
    assert answer.whole
    if status == 502:
        assert_broken(answer)


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize(("count", "status"), [(1, 200), (5, 200), (11, 502), (1000, 502)], ids=lambda n: f"U9 {n}")
def test_interim_answers_are_passed_over_up_to_a_number(live, model, count, status):
    answer = live.answer(asked(model, sim(informational=count)))
    assert answer.status == status
    assert b" 103 " not in answer.raw
    if status == 502:
        assert_broken(answer)


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("delta", [-20, -1, 1, 1000], ids=lambda n: f"U10 {n:+}")
def test_a_length_that_is_wrong(live, model, delta):
    assert_broken(live.answer(asked(model, sim(length_delta=delta))))


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("behaviour", ["malformed_chunk_after=1", "garbage=true", "encoding=lying", "encoding=bomb"])
@pytest.mark.parametrize("stream", [False, True], ids=["U10", "U10 stream"])
def test_framing_that_is_none(live, model, behaviour, stream):
    assert_broken(live.answer(asked(model, f"hi [[sim: {behaviour}]]", {"stream": stream})))


@pytest.mark.parametrize(
    ("error", "status"),
    [
        pytest.param({"message": "over", "code": "rate_limit_exceeded"}, 429, id="U11 a limit"),
        pytest.param({"message": "x", "code": 400}, 400, id="U11 a number"),
        pytest.param({"message": "x"}, 502, id="U11 no code"),
        pytest.param({"message": "x", "code": "never heard"}, 502, id="U11 an unknown code"),
        pytest.param({"message": None, "code": []}, 502, id="U11 of the wrong kinds"),
        pytest.param({"message": {"a": 1}, "type": 7, "param": {}}, 502, id="U11 objects"),
        pytest.param({"message": "x" * 100_000, "code": "c" * 10_000, "type": "t" * 10_000}, 502, id="U11 long"),
        pytest.param("text", 502, id="U11 a string"),
        pytest.param([], 502, id="U11 a list"),
        pytest.param({"message": "x", "code": 200}, 502, id="U11 200"),
        pytest.param({"message": "x", "code": 999}, 502, id="U11 999"),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_an_error_inside_a_200(live, error, status, stream):
    body = json.dumps({"error": error}).encode()
    with provider(SSE + b"data: " + body + b"\n\n" if stream else whole(body)) as url:
        live.send_to({"openai": url})
        answer = live.answer(asked("gpt-4o", "hi", {"stream": stream}))
    assert answer.status == status, answer.raw[:400]
    assert answer.error["message"]
    assert len(answer.body) < 4000


PAGE = "<!doctype html><html><title>502</title><body>key={secret} canary</body></html>"


@pytest.mark.parametrize("model", DIALECTS)
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 204, 400, 403, 500, 502, 599], ids=lambda n: f"U12 {n}")
def test_a_page_is_never_passed_on(live, model, status, stream):
    live.behave(**{model.replace("-", "_"): Behaviour(status=status, body="html", error_message="canary")})
    answer = live.answer(asked(model, "hi", {"stream": stream}))
    assert answer.status == (502 if status in (200, 204, 403) else status), answer.raw[:300]
    assert answer.error["message"]
    assert b"<" not in answer.body


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("status", [200, 400, 401, 500])
@pytest.mark.parametrize("vendor", sorted(SECRETS))
@pytest.mark.parametrize("shape", ["json", "text", "page", "event"], ids=lambda each: f"U12 {each}")
def test_a_key_that_a_provider_repeats_is_masked(live, shape, vendor, status, stream):
    secret = SECRETS[vendor]
    said = f"Incorrect API key provided: {secret}. See https://example.com/?key={secret}"
    error = {"error": {"message": said, "type": "e", "code": secret, "param": secret, "innererror": {"k": secret}}}
    model = {"openai": "gpt-4o", "mistral": "mistral-small-latest", "anthropic": "claude-sonnet-4-5"}.get(vendor)
    line = b"HTTP/1.1 %d X\r\nConnection: close\r\n" % status
    wire = {
        "json": line + b"Content-Type: application/json\r\n\r\n" + json.dumps(error).encode(),
        "text": line + b"Content-Type: text/plain\r\n\r\n" + said.encode(),
        "page": line + b"Content-Type: text/html\r\n\r\n" + PAGE.format(secret=secret).encode(),
        "event": SSE
        + (TEXT if vendor in ("openai", "mistral") else b"")
        + b"data: "
        + json.dumps(error).encode()
        + b"\n\n",
    }[shape]
    with provider(wire) as url:
        live.send_to({vendor: url})
        raw = live.raw(asked(model or "gemini-2.5-flash", "hi", {"stream": stream}))
    harmless(raw)
    assert secret.encode() not in raw
    assert answers(raw)[0].status >= 400 or b'"error"' in raw
