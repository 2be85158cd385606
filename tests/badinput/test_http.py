"""Requests that are HTTP and unusual (P16, P17, P22-P24, P39, P42, P43): served, or refused with one clear error."""

from __future__ import annotations

import gzip
import itertools
import time
import zlib

import pytest
from badinput_rig import LITTLE_WORK_S
from badinput_wire import CHAT, KEY, answers, chat, harmless, request

HEAD = f"POST {CHAT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
BODY = chat()
BOMB = gzip.compress(b'{"x":"' + b"a" * 20_000_000 + b'"}')
ASK = f"GET /v1/models/gpt-4o HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"


def trickled(live, data: bytes, every_s: float, within_s: float) -> bytes:
    """Sends byte by byte until the proxy answers."""
    with live.connect() as sock:
        sock.settimeout(every_s)
        end = time.monotonic() + within_s
        for byte in itertools.chain(data, itertools.repeat(0x61)):
            assert time.monotonic() < end, "it waits for ever"
            try:
                sock.sendall(bytes([byte]))
                received = sock.recv(65536)
            except TimeoutError:
                continue
            return received
    raise AssertionError


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(b"P", id="P16 one byte"),
        pytest.param(b"\r\n", id="P16 an empty line"),
        pytest.param(HEAD.encode(), id="P16 headers without end"),
    ],
)
def test_a_head_that_does_not_come_is_not_waited_for(hasty, begun):
    answer = hasty.answer(begun, within_s=8.0)
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(HEAD.encode() + b"Content-Length: 100\r\n\r\n", id="P17 no byte of the body"),
        pytest.param(HEAD.encode() + b"Content-Length: 100\r\n\r\n{", id="P17 one byte"),
        pytest.param(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n5\r\n{", id="P17 a chunk without end"),
        pytest.param(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", id="P17 no last chunk"),
    ],
)
def test_a_body_that_does_not_come_is_not_waited_for(hasty, begun):
    answer = hasty.answer(begun, within_s=8.0)
    assert (answer.status, answer.error["code"]) == (408, "request_timeout")
    assert not hasty.calls()


@pytest.mark.parametrize(
    "begun",
    [
        pytest.param(HEAD.encode() + b"X-A: ", id="P16 a head byte by byte"),
        pytest.param(HEAD.encode() + b"Content-Length: 10000\r\n\r\n", id="P17 a body byte by byte"),
        pytest.param(HEAD.encode() + b"Transfer-Encoding: chunked\r\n\r\nffff\r\n", id="P17 a chunk byte by byte"),
    ],
)
def test_bytes_that_trickle_win_no_time(hasty, begun):
    """The time runs from the beginning, not from the last byte."""
    with hasty.connect() as sock:
        sock.sendall(begun)
        end = time.monotonic() + 4.0
        sock.settimeout(0.05)
        received = b""
        while not received:
            assert time.monotonic() < end, "it waits for ever"
            try:
                sock.sendall(b"a")
                received = sock.recv(65536)
            except TimeoutError:
                continue
    assert received.startswith(b"HTTP/1.1 408")


def test_many_slow_callers_keep_nobody_waiting(hasty):
    """P16: a hundred open heads, and an ordinary request is answered before they could have timed out in turn."""
    slow = [hasty.connect() for _ in range(100)]
    try:
        for sock in slow:
            sock.sendall(b"POST /v1/chat HTTP/1.1\r\nHost: a\r\nX-A: ")
        assert hasty.answer(request(BODY)).status == 200
    finally:
        for sock in slow:
            sock.close()


@pytest.mark.parametrize(
    ("body", "encoding", "status", "code"),
    [
        pytest.param(BOMB, "gzip", 413, "body_too_large", id="P22 a bomb of 1000:1"),
        pytest.param(gzip.compress(b" " * (21 * 2**20)), "gzip", 413, "body_too_large", id="P22 21 MiB when read"),
        pytest.param(gzip.compress(gzip.compress(BODY)), "gzip, gzip", 415, "unsupported_encoding", id="P22 twice"),
        pytest.param(gzip.compress(BOMB), "gzip", 400, None, id="P22 a bomb in gzip, said once"),
        pytest.param(BODY, "br", 415, "unsupported_encoding", id="P22 br"),
        pytest.param(BODY, "zstd", 415, "unsupported_encoding", id="P22 zstd"),
        pytest.param(zlib.compress(BODY), "deflate", 415, "unsupported_encoding", id="P22 deflate"),
        pytest.param(BODY, "identity", 415, "unsupported_encoding", id="P22 identity"),
        pytest.param(BODY, "", 415, "unsupported_encoding", id="P22 empty"),
        pytest.param(BODY, "gzip", 400, "invalid_encoding", id="P22 a lie"),
        pytest.param(zlib.compress(BODY), "gzip", 400, "invalid_encoding", id="P22 zlib said to be gzip"),
        pytest.param(gzip.compress(BODY)[:-5], "gzip", 400, "invalid_encoding", id="P22 cut short"),
        pytest.param(gzip.compress(BODY) + b"more", "gzip", 400, "invalid_encoding", id="P22 something behind"),
        pytest.param(gzip.compress(BODY) * 2, "gzip", 400, "invalid_encoding", id="P22 two members"),
        pytest.param(b"", "gzip", 400, "invalid_encoding", id="P22 nothing"),
        pytest.param(gzip.compress(b""), "gzip", 400, "invalid_json", id="P22 nothing in gzip"),
        pytest.param(gzip.compress(b"{"), "gzip", 400, "invalid_json", id="P22 bad JSON in gzip"),
    ],
)
def test_compressed_bodies_are_read_with_care(live, body, encoding, status, code):
    sent = request(body, headers={"content-encoding": encoding})
    answer = live.answer(sent)
    assert answer.status == status, answer.raw[:400]
    assert code is None or answer.error["code"] == code
    assert answer.cpu_s < LITTLE_WORK_S
    assert not live.calls()


def test_a_known_head_with_gzip_is_read_again_and_again(live):
    """P22: a connection that is kept sends the same head every time."""
    packed = gzip.compress(BODY)
    for _ in range(3):
        sent = request(packed, headers={"content-encoding": "gzip", "connection": None})
        last = request(packed, headers={"content-encoding": "gzip"})
        with live.connect() as sock:
            sock.sendall(sent)
            raw = sock.recv(65536)
            sock.sendall(last)
            while data := sock.recv(65536):
                raw += data
        assert [each.status for each in answers(raw)] == [200, 200]


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        pytest.param("multipart/form-data; boundary=x", 415, id="P23 multipart"),
        pytest.param("multipart/form-data; boundary=" + "-" * 20_000, 415, id="P23 a boundary of 20 KB"),
        pytest.param("multipart/form-data; boundary=" + "-" * 1_000_000, 431, id="P23 a boundary of 1 MB"),
        pytest.param("text/plain", 415, id="P24 text"),
        pytest.param("application/x-www-form-urlencoded", 415, id="P24 a form"),
        pytest.param("application/xml", 415, id="P24 XML"),
        pytest.param("application/octet-stream", 415, id="P24 bytes"),
        pytest.param("application/jsonp", 415, id="P24 jsonp"),
        pytest.param("application/json; charset=utf-16", 415, id="P24 UTF-16"),
        pytest.param("application/json; charset=utf-7", 415, id="P24 UTF-7"),
        pytest.param("application/json; charset=latin-1", 415, id="P24 latin-1"),
        pytest.param("application/json, text/plain", 415, id="P24 two"),
        pytest.param("", 415, id="P24 empty"),
        pytest.param("/", 415, id="P24 a slash"),
        pytest.param(";", 415, id="P24 a semicolon"),
        pytest.param("\xff\xfe", 415, id="P24 not a word"),
        pytest.param("application/json", 200, id="P24 JSON"),
        pytest.param("application/json; charset=utf-8", 200, id="P24 JSON in UTF-8"),
        pytest.param('APPLICATION/JSON;charset="UTF-8"', 200, id="P24 JSON in capitals"),
        pytest.param("application/json; profile=x; charset=utf-8", 200, id="P24 JSON with more"),
        pytest.param(None, 200, id="P24 none"),
    ],
)
def test_bodies_of_other_types_are_refused(live, kind, status):
    answer = live.answer(request(BODY, headers={"content-type": kind}))
    assert answer.status == status, answer.raw[:300]
    if status == 415:
        assert answer.error["code"] == "unsupported_media_type"


@pytest.mark.parametrize(
    ("expect", "status"),
    [
        pytest.param("100-continue", 200, id="P39 as it should be"),
        pytest.param("100-Continue", 200, id="P39 in capitals"),
        pytest.param("200-ok", 417, id="P39 something else"),
        pytest.param("100-continue, 100-continue", 417, id="P39 twice in one"),
        pytest.param("x" * 10_000, 417, id="P39 10 KB"),
    ],
)
def test_expectations(live, expect, status):
    answer = live.answer(request(BODY, headers={"expect": expect}))
    assert answer.status == status


def test_an_expectation_of_a_body_that_never_comes(hasty):
    """P39: the go-ahead is given, and not waited on for ever."""
    raw = hasty.raw(HEAD.encode() + b"Expect: 100-continue\r\nContent-Length: 10\r\n\r\n", within_s=8.0)
    assert raw.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 408")


def test_an_expectation_behind_another_request(live):
    """P39: no go-ahead stands in the middle of the answer before."""
    first = request(BODY, headers={"connection": None})
    raw = live.raw(first + request(BODY, headers={"expect": "100-continue"}))
    assert [each.status for each in answers(raw)] == [200, 200]
    assert raw.startswith(b"HTTP/1.1 200")


def test_a_thousand_pipelined_requests_are_answered_in_order(live):
    """P42."""
    names = ["gpt-4o", "claude-sonnet-4-5", "@production", "nope"]
    asked = [names[n % 4] for n in range(1000)]
    sent = b"".join(request(path=f"/v1/models/{name}", method="GET", headers={"connection": None}) for name in asked)
    found = answers(live.raw(sent + request(path="/v1/models", method="GET")))
    assert [each.status for each in found[:-1]] == [404 if name == "nope" else 200 for name in asked]
    assert all(f'"{n}"'.encode() in each.body for n, each in zip(asked, found, strict=False) if n != "nope")
    assert found[-1].status == 200


def test_pipelined_calls_are_answered_in_order(live):
    """P42: also where they take different times."""
    prompts = [f"number {n} [[sim: ttft_ms={30 - n} text=answer{n}]]" for n in range(30)]
    sent = b"".join(request(chat(prompt=p), headers={"connection": None}) for p in prompts[:-1])
    found = answers(live.raw(sent + request(chat(prompt=prompts[-1]))))
    assert [f"answer{n}".encode() in each.body for n, each in enumerate(found)] == [True] * 30


def test_a_caller_that_asks_on_and_on_and_never_reads(hasty):
    """P42: what nobody fetches is not heaped up, and ends."""
    ask = request(chat(prompt="hi [[sim: output_tokens=20000]]"), headers={"connection": None})
    with hasty.connect(receive_buffer=4096) as sock:
        sock.settimeout(0.2)
        try:
            for _ in range(200):
                sock.sendall(ask)
        except TimeoutError:
            pass
        hasty.until(lambda: not hasty.do(lambda: len(hasty.server.connections)))
    assert len(hasty.calls()) < 100


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param("Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", {200}, id="P42 h2c"),
        pytest.param(
            "Connection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: YQ==\r\n",
            {200},
            id="P42 websocket",
        ),
        pytest.param("Connection: upgrade\r\n", {200}, id="P42 an upgrade to nothing"),
        pytest.param("Upgrade: h2c\r\n", {200}, id="P42 an upgrade not announced"),
    ],
)
def test_an_upgrade_is_not_taken(live, headers, status):
    raw = live.raw(f"{ASK}{headers}\r\n{ASK}Connection: close\r\n\r\n".encode())
    harmless(raw)
    assert b"HTTP/1.1 101" not in raw
    assert answers(raw)[0].status in status


def test_an_upgrade_with_a_body_is_not_taken(live):
    """P42: the body belongs to the request."""
    head = HEAD + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + f"Content-Length: {len(BODY)}\r\n\r\n"
    for parts in ([head.encode() + BODY], [head.encode(), BODY]):
        raw = live.raw(*parts, request(BODY))
        assert [each.status for each in answers(raw)] == [200, 200]


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"range": "bytes=0-5"}, id="P43 Range"),
        pytest.param({"range": "bytes=" + ",".join("0-1" for _ in range(5000))}, id="P43 5,000 ranges"),
        pytest.param({"if-none-match": "*"}, id="P43 If-None-Match"),
        pytest.param({"if-match": '"x"'}, id="P43 If-Match"),
        pytest.param({"if-modified-since": "Thu, 01 Jan 2099 00:00:00 GMT"}, id="P43 If-Modified-Since"),
        pytest.param({"accept": "image/png"}, id="P43 Accept a picture"),
        pytest.param({"accept": "*/*;q=9," * 1000}, id="P43 a long Accept"),
        pytest.param({"accept": ""}, id="P43 an empty Accept"),
        pytest.param({"accept-encoding": "gzip, br, *;q=0"}, id="P43 Accept-Encoding"),
        pytest.param({"accept-charset": "utf-16"}, id="P43 Accept-Charset"),
        pytest.param({"cookie": "a=" + "b" * 10_000}, id="P43 a cookie"),
        pytest.param({"x-forwarded-for": "127.0.0.1", "x-forwarded-host": "evil"}, id="P43 forwarded"),
        pytest.param({"x-http-method-override": "DELETE"}, id="P43 another method"),
        pytest.param({"x-original-url": "/manage", "x-rewrite-url": "/manage"}, id="P43 another path"),
        pytest.param({"te": "trailers, deflate"}, id="P43 TE"),
        pytest.param({"traceparent": "nonsense"}, id="P43 a broken traceparent"),
        pytest.param({"max-forwards": "0"}, id="P43 Max-Forwards"),
        pytest.param({"content-md5": "nonsense", "digest": "x"}, id="P43 a wrong digest"),
    ],
)
def test_headers_that_mean_nothing_here_are_ignored(live, headers):
    answer = live.answer(request(BODY, headers=headers))
    assert answer.status == 200
    assert answer.whole
    sent = {name.lower() for name, _ in live.calls()[-1].headers}
    assert not sent & (headers.keys() - {"accept", "accept-encoding"})
