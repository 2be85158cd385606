"""Bad requests: each gets its one clear error in OpenAI's envelope, and the proxy goes on serving."""

from __future__ import annotations

import gzip
import json

import pytest

from modelux_proxy.limits import HttpLimits

MESSAGES = '"messages":[{"role":"user","content":"hi"}]'


def body(extra: str = "", model: str = '"a"', messages: str = MESSAGES) -> bytes:
    return f'{{"model":{model},{messages}{"," if extra else ""}{extra}}}'.encode()


def message(content: object, role: str = "user") -> str:
    return f'"messages":{json.dumps([{"role": role, "content": content}])}'


def image(url: str) -> str:
    return message([{"type": "image_url", "image_url": {"url": url}}])


DEEP = b"[" * 100_000 + b"]" * 100_000
BODIES = [
    pytest.param(b"", "invalid_json", id="P1 empty"),
    pytest.param(b'{"model":"a","mess', "invalid_json", id="P2 truncated"),
    *[pytest.param(text, "invalid_json", id=f"P3 {text!r}") for text in (b"null", b"[]", b'"x"', b"1")],
    pytest.param(DEEP, "too_deep", id="P4 an array 100,000 deep"),
    pytest.param(body('"x":' + DEEP.decode()), "too_deep", id="P4 within an object"),
    pytest.param(
        body('"x":{' + ",".join(f'"{n}":1' for n in range(200_000)) + "}"), "too_many_keys", id="P5 200,000 keys"
    ),
    pytest.param(body(",".join(f'"k{n}":1' for n in range(400))), "too_many_keys", id="P5 400 top-level keys"),
    pytest.param(body('"model":"b"'), "duplicate_key", id="P6"),
    pytest.param(body('"\\u006dodel":"b"'), "duplicate_key", id="P6 escaped"),
    pytest.param(body('"temperature":NaN'), "invalid_json", id="P7 NaN"),
    pytest.param(body('"temperature":Infinity'), "invalid_json", id="P7 Infinity"),
    pytest.param(body('"max_tokens":' + "9" * 5000), "number_too_large", id="P8"),
    pytest.param(body('"max_tokens":1e999'), "invalid_value", id="P9"),
    pytest.param(body('"x":"\\ud800"'), "invalid_encoding", id="P10 a lone surrogate"),
    pytest.param(body(messages=message("x") + ',"y":"\\udc00 z"'), "invalid_encoding", id="P10 its other half"),
    pytest.param(b'{"model":"a\xff"}', "invalid_encoding", id="P11 not UTF-8"),
    pytest.param("{}".encode("utf-16"), "invalid_encoding", id="P11 UTF-16"),
    pytest.param(b"\xef\xbb\xbf" + body(), "invalid_encoding", id="P11 a byte order mark"),
    pytest.param(b"+/v8-" + body(), "invalid_encoding", id="P11 UTF-7"),
    pytest.param(body('"user":"a\\u0000b"'), "invalid_value", id="P12 NUL in an id"),
    *[
        pytest.param(body(model=text), "invalid_value", id=f"P26 model {text[:10]}")
        for text in ("1", '""', '"@"', '"@a b"', '"' + "x" * 10_000 + '"', "null")
    ],
    pytest.param(b"{" + MESSAGES.encode() + b"}", "missing_required_parameter", id="P26 no model"),
    pytest.param(b'{"model":"a"}', "missing_required_parameter", id="P27 no messages"),
    *[
        pytest.param(body(messages=text), "invalid_value", id=f"P27 {text[:40]}")
        for text in (
            '"messages":{}',
            '"messages":[]',
            '"messages":[' + ",".join(['{"role":"user","content":"x"}'] * 10_000) + "]",
            message("x", role="root"),
            message(None),
            message([]),
            message([{"type": "hologram"}]),
            image("file:///etc/passwd"),
            image("http://169.254.169.254/latest"),
            image("https://metadata.google.internal/"),
            image("https://2130706433/"),
        )
    ],
    *[
        pytest.param(body(f'"max_tokens":{text}'), "invalid_value", id=f"P28 {text}")
        for text in ("0", "-1", "1.5", '"10"', "true")
    ],
    pytest.param(body('"max_tokens":1,"max_completion_tokens":1'), "invalid_value", id="P28 both"),
    *[pytest.param(body(f'"n":{text}'), "invalid_value", id=f"P29 {text}") for text in ("0", "1000")],
    pytest.param(body('"temperature":"hot"'), "invalid_value", id="P30 temperature"),
    pytest.param(body('"top_p":2'), "invalid_value", id="P30 top_p"),
    pytest.param(body('"stream":"yes"'), "invalid_value", id="P31"),
    pytest.param(body('"stop":' + json.dumps(["x"] * 100_000)), "invalid_value", id="P32"),
    pytest.param(
        body('"tools":' + json.dumps([{"type": "function", "function": {"name": "f", "x": "y" * 5_000_000}}])),
        "invalid_value",
        id="P33 5 MB of tools",
    ),
    pytest.param(
        body('"tools":' + json.dumps([{"type": "function", "function": {"name": "f"}}] * 2)),
        "invalid_value",
        id="P33 two of one name",
    ),
    pytest.param(body('"response_format":{"type":"yaml"}'), "invalid_value", id="P34"),
    pytest.param(body('"response_format":{"type":"json_schema"}'), "invalid_value", id="P34 no schema"),
    *[
        pytest.param(body(f'"mlx:tags":{json.dumps(tags)}'), "invalid_value", id=f"P35 {name}")
        for name, tags in {
            "a list": [],
            "100 tags": {str(n): "x" for n in range(100)},
            "10 KiB": {"a": "x" * 10_240},
            "nested": {"a": {"b": "c"}},
            "control characters": {"a": "\x07"},
        }.items()
    ],
    pytest.param(body('"user":"' + "x" * 1_048_576 + '"'), "invalid_value", id="P37"),
]


@pytest.mark.parametrize(("sent", "code"), BODIES)
async def test_bad_bodies_are_refused_before_any_call(start, sent, code):
    async with start() as rig:
        status, headers, answer = await rig.request(body=sent)
        error = json.loads(answer)["error"]
        assert (status, error["code"]) == (400, code), error
        assert set(error) == {"message", "type", "param", "code"}
        assert headers["x-request-id"].startswith("req_")
        assert len(error["message"]) < 500
        assert not rig.simulator.calls()
        status, _, _ = await rig.request(body=body())
        assert status == 200


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param('"x":12345678901234567890123', id="big integers"),
        pytest.param('"mlx:tags":{"__proto__":"1","emoji":"😀"}', id="P35 odd but harmless tags"),
        pytest.param('"api_base":"http://169.254.169.254","base_url":"http://evil"', id="P36 a host of the caller's"),
        pytest.param('"metadata":{"a":"\\ud83d\\ude00 \\u0000"}', id="escapes"),
    ],
)
async def test_odd_bodies_pass(start, extra):
    async with start() as rig:
        status, _, answer = await rig.request(body=body(extra))
        assert status == 200, answer
        assert len(rig.simulator.calls()) == 1


@pytest.mark.parametrize(
    ("model", "status", "code", "says"),
    [
        ("@nope", 404, "model_not_found", "@both"),
        ("@productoin", 404, "model_not_found", "@production"),
        ("@old", 404, "config_archived", "archived"),
        ("@production:9", 404, "config_version_not_found", "9"),
        ("../../x", 404, "model_not_found", "/v1/models"),
        ("a:two", 404, "model_not_found", ""),
    ],
)
async def test_unknown_models_are_404_with_the_nearest_names(start, model, status, code, says):
    async with start() as rig:
        got, _, answer = await rig.request(body=body(model=json.dumps(model)))
        error = json.loads(answer)["error"]
        assert (got, error["code"], error["param"]) == (status, code, "model")
        assert says in error["message"]


KEYS = [
    "",
    "Bearer",
    "Bearer  ",
    "Bearer mlx_sk_wrong",
    "Bearer mlx_mk_x",
    "Bearer ' OR 1=1 --",
    "Basic abc",
    "Bearer é",
]


@pytest.mark.parametrize("given", KEYS)
async def test_every_bad_key_is_refused_in_the_same_words(start, given):
    async with start() as rig:
        status, _, answer = await rig.request(body=body(), headers={"authorization": given})
        _, _, other = await rig.request(body=body(), headers={"authorization": "Bearer mlx_sk_none"})
        assert status == 401
        assert answer == other


async def test_an_expired_key_is_refused(start):
    async with start(expires_at_us=1) as rig:
        status, _, _ = await rig.request(body=body())
        assert status == 401


async def test_a_key_may_be_limited_to_names(start):
    async with start(allowed=frozenset({"@production", "b"})) as rig:
        assert (await rig.request(body=body(model='"@production"')))[0] == 200
        assert (await rig.request(body=body(model='"b"')))[0] == 200
        status, _, answer = await rig.request(body=body(model='"a"'))
        assert (status, json.loads(answer)["error"]["code"]) == (403, "model_not_allowed")
        _, _, listed = await rig.request("/v1/models", method="GET")
        assert [each["id"] for each in json.loads(listed)["data"]] == ["@production", "b"]


HEAD = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n"
LEN = "content-length: 2\r\n"
RAW = [
    pytest.param(HEAD + "content-length: -1\r\n\r\n", 400, id="P14 negative length"),
    pytest.param(HEAD + LEN + "content-length: 3\r\n\r\n{}", 400, id="P14 two lengths"),
    pytest.param(HEAD + LEN + "transfer-encoding: chunked\r\n\r\n0\r\n\r\n", 400, id="P45 CL.TE"),
    pytest.param(HEAD + "transfer-encoding: chunked\r\n" + LEN + "\r\n0\r\n\r\n", 400, id="P45 TE.CL"),
    pytest.param(HEAD + "transfer-encoding: xchunked\r\n\r\n0\r\n\r\n", 400, id="P45 xchunked"),
    pytest.param(HEAD + "transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400, id="P45 two encodings"),
    pytest.param(HEAD.replace("\r\n", "\n") + LEN + "\n{}", 400, id="P45 bare LF"),
    pytest.param(HEAD + "x: a\r\n b\r\n" + LEN + "\r\n{}", 400, id="P45 folded header"),
    pytest.param(HEAD + "transfer-encoding: chunked\r\n\r\n0x1\r\na\r\n0\r\n\r\n", 400, id="P15 0x1"),
    pytest.param(HEAD + "transfer-encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n", 400, id="P15 a space"),
    pytest.param(HEAD + "x: " + "a" * 1_048_576 + "\r\n\r\n", 431, id="P18 1 MiB header"),
    pytest.param(HEAD + "x: a\r\n" * 50_000 + "\r\n", 431, id="P18 50,000 headers"),
    pytest.param("GET / HTTP/1.1\r\n\r\n", 400, id="P19 no host"),
    *[
        pytest.param(f"GET / HTTP/1.1\r\nhost: {host}\r\n\r\n", 400, id=f"P19 {host!a}")
        for host in ("a/b", "a?", "a#", "[::1", "é", "a@b", "a b", "")
    ],
    pytest.param("GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n", 400, id="P19 two hosts"),
    pytest.param("GET http://x/v1/models HTTP/1.1\r\nhost: x\r\n\r\n", 405, id="P20 absolute form"),
    pytest.param("CONNECT x:443 HTTP/1.1\r\nhost: x\r\n\r\n", 405, id="P20 CONNECT"),
    pytest.param("TRACE / HTTP/1.1\r\nhost: x\r\n\r\n", 405, id="P20 TRACE"),
    pytest.param("BREW / HTTP/1.1\r\nhost: x\r\n\r\n", 405, id="P20 BREW"),
    pytest.param("GET /v1/models HTTP/1.1\r\nhost: x\r\nx: a\x00b\r\n\r\n", 400, id="NUL in a header"),
    pytest.param(HEAD + "expect: a-miracle\r\n" + LEN + "\r\n{}", 417, id="P39"),
    pytest.param(HEAD + "content-encoding: br\r\n" + LEN + "\r\n{}", 415, id="P22 br"),
    pytest.param(HEAD + "content-encoding: gzip, gzip\r\n" + LEN + "\r\n{}", 415, id="P22 twice"),
    pytest.param(HEAD + "content-encoding: gzip\r\n" + LEN + "\r\n{}", 400, id="P22 a lie"),
    pytest.param(HEAD + f"content-length: {21 * 2**20}\r\n\r\n", 413, id="P13 21 MiB, before any of it"),
    pytest.param("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="P42 HTTP/2"),
    pytest.param("\x16\x03\x01\x02\x00\x01", 400, id="TLS"),
]


@pytest.mark.parametrize(("sent", "status"), RAW)
async def test_bad_http_is_refused_and_the_connection_closed(start, sent, status):
    async with start() as rig:
        answer = await rig.raw(sent.encode("latin-1", "replace") if sent.isascii() else sent.encode())
        head, _, text = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 %d" % status), answer[:300]
        assert b"connection: close" in head
        assert set(json.loads(text)["error"]) == {"message", "type", "param", "code"}
        assert not rig.simulator.calls()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/../manage", 404),
        ("//v1", 404),
        ("/%2e%2e/manage", 404),
        ("/v1/chat", 404),
        ("/%00", 404),
        ("/v1/models/@nope", 404),
        ("/v1/models/@production", 200),
        ("/v1/v1/models", 200),
        ("/openai/v1/models", 200),
        ("/models", 200),
    ],
)
async def test_paths(start, path, status):
    async with start() as rig:
        got, _, answer = await rig.request(path, method="GET")
        assert got == status, answer


async def test_methods_and_preflight(start):
    async with start() as rig:
        assert (await rig.request("/v1/chat/completions", method="GET"))[0] == 405
        status, headers, _ = await rig.request(method="OPTIONS", headers={"authorization": "", "origin": "https://x"})
        assert status == 204
        assert headers["access-control-allow-origin"] == "*"


@pytest.mark.parametrize(
    "kind", ["multipart/form-data; boundary=x", "text/plain", "application/json; charset=utf-16", ""]
)
async def test_other_content_types(start, kind):
    async with start() as rig:
        status, _, _ = await rig.request(body=body(), headers={"content-type": kind})
        assert status == (415 if kind else 200)


async def test_gzip_bodies_are_read_and_bombs_are_not(start):
    async with start() as rig:
        status, _, _ = await rig.request(body=gzip.compress(body()), headers={"content-encoding": "gzip"})
        assert status == 200
        bomb = gzip.compress(body(messages=message("a" * 10_000_000)))
        status, _, _ = await rig.request(body=bomb, headers={"content-encoding": "gzip"})
        assert status == 413


async def test_slow_heads_and_bodies_time_out(start):
    async with start(limits=HttpLimits(head_s=0.1, body_s=0.1)) as rig:
        for sent in ("POST /v1/chat", HEAD + LEN + "\r\n{"):
            answer = await rig.raw(sent.encode())
            assert answer.startswith(b"HTTP/1.1 408")


async def test_a_chunked_body_in_many_small_chunks_is_read(start):
    async with start() as rig:
        chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body()) + b"0\r\n\r\n"
        head = HEAD + f"authorization: Bearer {rig.key}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n"
        assert (await rig.raw(head.encode() + chunks)).startswith(b"HTTP/1.1 200")


async def test_pipelined_requests_are_answered_in_order(start):
    async with start() as rig:
        ask = f"GET /v1/models/@production HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {rig.key}\r\n"
        answer = await rig.raw((ask + "\r\n").encode() * 999 + (ask + "connection: close\r\n\r\n").encode())
        assert answer.count(b"HTTP/1.1 200 OK") == 1000


@pytest.mark.parametrize("upgrade", ["h2c", "websocket"])
async def test_an_offered_upgrade_is_not_taken(start, upgrade):
    async with start() as rig:
        answer = await rig.raw(
            f"GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {rig.key}\r\n"
            f"connection: upgrade, close\r\nupgrade: {upgrade}\r\n\r\n".encode()
        )
        assert answer.startswith(b"HTTP/1.1 200")
        assert b"connection: close" in answer


async def test_expect_continue_is_answered(start):
    async with start() as rig:
        head = f"authorization: Bearer {rig.key}\r\nconnection: close\r\nexpect: 100-continue\r\n"
        sent = body()
        answer = await rig.raw(f"{HEAD}{head}content-length: {len(sent)}\r\n\r\n".encode() + sent)
        assert answer.startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200")
