"""Requests that are not the HTTP they should be (P13-P21, P45): refused by the server itself, the connection closed."""

from __future__ import annotations

import pytest
from badinput_rig import LITTLE_WORK_S
from badinput_wire import CHAT, KEY, answers, chat, harmless, request

START = "POST /v1/chat/completions HTTP/1.1\r\n"
HOST = "Host: localhost\r\n"
AUTH = f"Authorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
HEAD = START + HOST + AUTH
BODY = chat().decode()
LENGTH = f"Content-Length: {len(BODY)}\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"
IN_CHUNKS = f"{len(BODY):x}\r\n{BODY}\r\n0\r\n\r\n"
GET = "GET /v1/models HTTP/1.1\r\n"
MIB = 2**20


def refused(name: str, status: int, code: str, requests: dict[str, str | bytes]) -> list[object]:
    return [
        pytest.param(sent if isinstance(sent, bytes) else sent.encode("latin-1"), status, code, id=f"{name} {what}")
        for what, sent in requests.items()
    ]


def hosts(*values: str) -> dict[str, str | bytes]:
    return {value or "empty": (GET + f"Host: {value}\r\n" + AUTH + "\r\n").encode() for value in values}


REFUSED = [
    *refused(
        "P13",
        413,
        "body_too_large",
        {
            "announced, nothing sent": HEAD + f"Content-Length: {21 * MIB}\r\n\r\n",
            "an absurd length": HEAD + "Content-Length: 999999999999999999\r\n\r\n",
            "announced and sent": HEAD + f"Content-Length: {21 * MIB}\r\n\r\n" + "x" * (21 * MIB),
            "in one chunk": HEAD + CHUNKED + f"\r\n{21 * MIB:x}\r\n" + "x" * (21 * MIB) + "\r\n0\r\n\r\n",
            "in many chunks": HEAD + CHUNKED + "\r\n" + ("10000\r\n" + "x" * 65536 + "\r\n") * 336 + "0\r\n\r\n",
            "with 100-continue": HEAD + f"Expect: 100-continue\r\nContent-Length: {21 * MIB}\r\n\r\n",
        },
    ),
    *refused(
        "P14",
        400,
        "invalid_http",
        {
            "negative": HEAD + "Content-Length: -1\r\n\r\n",
            "with a plus": HEAD + "Content-Length: +2\r\n\r\n{}",
            "hexadecimal": HEAD + "Content-Length: 0x2\r\n\r\n{}",
            "a fraction": HEAD + "Content-Length: 2.0\r\n\r\n{}",
            "a word": HEAD + "Content-Length: two\r\n\r\n{}",
            "empty": HEAD + "Content-Length: \r\n\r\n{}",
            "a list": HEAD + "Content-Length: 2, 2\r\n\r\n{}",
            "beyond 64 bits": HEAD + "Content-Length: 18446744073709551618\r\n\r\n{}",
            "two, different": HEAD + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
            "two, the same": HEAD + "Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}",
            "and chunked": HEAD + LENGTH + CHUNKED + "\r\n" + IN_CHUNKS,
            "a space before the colon": HEAD + "Content-Length : 2\r\n\r\n{}",
        },
    ),
    *refused(
        "P15",
        400,
        "invalid_http",
        {
            "a size of 0x1": HEAD + CHUNKED + "\r\n0x1\r\na\r\n0\r\n\r\n",
            "a space behind the size": HEAD + CHUNKED + "\r\n1 \r\na\r\n0\r\n\r\n",
            "a bare line feed": HEAD + CHUNKED + "\r\n1\na\n0\n\n",
            "no size": HEAD + CHUNKED + "\r\n\r\na\r\n0\r\n\r\n",
            "a negative size": HEAD + CHUNKED + "\r\n-1\r\na\r\n0\r\n\r\n",
            "a size beyond 64 bits": HEAD + CHUNKED + "\r\n1ffffffffffffffff\r\na\r\n0\r\n\r\n",
            "a size that is too small": HEAD + CHUNKED + "\r\n1\r\nabc\r\n0\r\n\r\n",
            "underscores": HEAD + CHUNKED + "\r\n1_0\r\n" + "a" * 16 + "\r\n0\r\n\r\n",
        },
    ),
    *refused(
        "P18",
        431,
        "headers_too_large",
        {
            "50,000 headers": HEAD + "X-A: b\r\n" * 50_000 + "\r\n",
            "101 headers": HEAD + "X-A: b\r\n" * 101 + "\r\n",
            "1 MiB in a value": HEAD + "X-A: " + "b" * MIB + "\r\n\r\n",
            "1 MiB in a name": HEAD + "x" * MIB + ": b\r\n\r\n",
            "33 KiB in all": HEAD + "".join(f"X-{n}: {'b' * 1024}\r\n" for n in range(33)) + "\r\n",
            "1 MiB in a name that does not end": HEAD + "x" * MIB,
            "trailers without end": HEAD + CHUNKED + f"\r\n{IN_CHUNKS[:-2]}" + "X-A: b\r\n" * 50_000 + "\r\n",
        },
    ),
    *refused(
        "P19",
        400,
        "invalid_host",
        {
            **hosts(
                "a/b", "a?", "a#", "a@b", "a b", "[::1", "::1", "é", "a:b", "a:123456", "a:", "", "a,b", "*", "a\\b"
            ),
            "missing": GET + AUTH + "\r\n",
            "two": GET + HOST + HOST + AUTH + "\r\n",
            "two, different": GET + HOST + "Host: evil\r\n" + AUTH + "\r\n",
            "300 characters": GET + f"Host: {'a' * 300}\r\n" + AUTH + "\r\n",
        },
    ),
    *refused(
        "P20",
        405,
        "method_not_allowed",
        {
            "absolute form": "GET http://localhost/v1/models HTTP/1.1\r\n" + HOST + AUTH + "\r\n",
            "absolute form elsewhere": "GET http://169.254.169.254/ HTTP/1.1\r\n" + HOST + AUTH + "\r\n",
            "asterisk form": "OPTIONS * HTTP/1.1\r\n" + HOST + AUTH + "\r\n",
            "CONNECT": "CONNECT localhost:443 HTTP/1.1\r\n" + HOST + AUTH + "\r\n",
            "SSH": "SSH-2.0-OpenSSH_9.6\r\n",
            **{
                method: f"{method} /v1/chat/completions HTTP/1.1\r\n{HOST}{AUTH}Content-Length: 0\r\n\r\n"
                for method in ("TRACE", "PUT", "DELETE", "PATCH", "PROPFIND", "BREW", "post", "GETT", "G" * 3000)
            },
        },
    ),
    *refused(
        "P21",
        431,
        "headers_too_large",
        {"a path of 64 KiB": "GET /" + "a" * 65536 + " HTTP/1.1\r\n" + HOST + AUTH + "\r\n"},
    ),
    *refused(
        "P21",
        400,
        "invalid_http",
        {
            "a raw NUL in the path": "GET /v1/\0 HTTP/1.1\r\n" + HOST + AUTH + "\r\n",
            "a space in the path": "GET /v1/ models HTTP/1.1\r\n" + HOST + AUTH + "\r\n",
            "raw UTF-8 in the path": ("GET /v1/é HTTP/1.1\r\n" + HOST + AUTH + "\r\n").encode(),
            "no version": "GET /v1/models\r\n" + HOST + AUTH + "\r\n",
            "an unknown version": "GET /v1/models HTTP/3.7\r\n" + HOST + AUTH + "\r\n",
        },
    ),
    *refused(
        "P45",
        400,
        "invalid_http",
        {
            "CL.TE": HEAD + "Content-Length: 4\r\n" + CHUNKED + "\r\n0\r\n\r\n" + GET,
            "TE.CL": HEAD + CHUNKED + "Content-Length: 4\r\n" + "\r\n5c\r\n" + GET,
            "TE.TE": HEAD + CHUNKED + "Transfer-Encoding: identity\r\n" + "\r\n0\r\n\r\n",
            "xchunked": HEAD + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            "identity": HEAD + "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n",
            "gzip, chunked": HEAD + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "chunked, identity": HEAD + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            "chunked twice": HEAD + "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "a space before the colon": HEAD + "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
            "a vertical tab": HEAD + "Transfer-Encoding:\x0bchunked\r\n\r\n0\r\n\r\n",
            "bare line feeds": HEAD.replace("\r\n", "\n") + LENGTH.replace("\r\n", "\n") + "\n" + BODY,
            "one bare line feed": HEAD + "X-A: b\n" + LENGTH + "\r\n" + BODY,
            "a bare carriage return": HEAD + "X-A: b\rX-C: d\r\n" + LENGTH + "\r\n" + BODY,
            "a folded header": HEAD + "X-A: b\r\n c\r\n" + LENGTH + "\r\n" + BODY,
            "a folded first header": START + " " + HOST + AUTH + LENGTH + "\r\n" + BODY,
            "a folded length": HEAD + "Content-Length:\r\n 4\r\n\r\n" + BODY,
            "a line without a colon": HEAD + "nonsense\r\n" + LENGTH + "\r\n" + BODY,
            "an empty name": HEAD + ": a\r\n" + LENGTH + "\r\n" + BODY,
            "NUL in a value": HEAD + "X-A: b\0c\r\n" + LENGTH + "\r\n" + BODY,
            "NUL in a name": HEAD + "X-\0A: b\r\n" + LENGTH + "\r\n" + BODY,
        },
    ),
    *refused(
        "P42",
        400,
        "invalid_http",
        {
            "HTTP/2 by prior knowledge": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
            "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
            "noise": bytes(range(128, 256)) * 4,
        },
    ),
]


@pytest.mark.parametrize(("sent", "status", "code"), REFUSED)
def test_a_request_that_is_not_http_is_refused_and_the_connection_closed(live, sent, status, code):
    answer = live.refused(sent, status, code)
    assert answer.headers["connection"] == "close"
    assert answer.whole


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(HEAD + "Content-Length: 500\r\n\r\n" + BODY, id="P14 a body shorter than announced"),
        pytest.param(HEAD + CHUNKED + "\r\n5\r\nab", id="P14 a chunk cut short"),
        pytest.param(HEAD + "X-A: b", id="P14 a head cut short"),
    ],
)
def test_a_request_that_ends_too_early(live, sent):
    answer = live.answer(sent.encode(), half_close=True, within_s=8.0)
    assert (answer.status, answer.error["code"]) == (400, "invalid_http")
    assert not live.calls()


def test_a_body_longer_than_announced_is_not_a_second_request(live):
    """P14: what stands behind the announced body is read as a request, and is none."""
    raw = live.raw((HEAD + LENGTH + "\r\n" + BODY + "trailing nonsense\r\n\r\n").encode())
    harmless(raw)
    found = answers(raw)
    assert found[0].status in (200, 400)
    assert all(each.status == 400 for each in found[1:])
    assert len(live.calls()) <= 1


@pytest.mark.parametrize("name", ["Content-Length", "content-length"])
@pytest.mark.parametrize("decoy", ["X-Content-Length", "x-content-length", "X: content-length", "X: Content-Length"])
def test_a_header_that_looks_like_the_length_is_not_it(live, name, decoy):
    """P45: also not the second time, when the head is known: what is behind the body is the next request."""
    second = GET + HOST + AUTH + "Connection: close\r\n\r\n"
    for _ in range(3):
        head = HEAD + f"{decoy}: {len(BODY)}\r\n{name}: {len(BODY)}\r\n\r\n"
        first = head + BODY
        live.raw(first.encode(), second.encode())
        longer = HEAD + f"{decoy}: {len(BODY) + len(second)}\r\n{name}: {len(BODY)}\r\n\r\n" + BODY + second
        assert [each.status for each in answers(live.raw(longer.encode()))] == [200, 200]


@pytest.mark.parametrize(
    "chunks",
    [
        pytest.param("".join(f"1\r\n{c}\r\n" for c in BODY) + "0\r\n\r\n", id="P15 one byte each"),
        pytest.param("".join(f"1\r\n{c}\r\n" for c in BODY + " " * 10_000) + "0\r\n\r\n", id="P15 10,000 of one byte"),
        pytest.param(f"{len(BODY):x};ext=1\r\n{BODY}\r\n0\r\n\r\n", id="P15 an extension"),
        pytest.param(f"{len(BODY):x};{'e' * MIB}\r\n{BODY}\r\n0\r\n\r\n", id="P15 an extension of 1 MiB"),
        pytest.param(f"{len(BODY):X}\r\n{BODY}\r\n0\r\n\r\n", id="P15 capitals"),
        pytest.param(f"{len(BODY):0>8x}\r\n{BODY}\r\n000\r\n\r\n", id="P15 leading zeros"),
        pytest.param(f"{len(BODY):x}\r\n{BODY}\r\n0\r\nX-Trailer: a\r\n\r\n", id="P15 a trailer"),
        pytest.param(
            f"{len(BODY):x}\r\n{BODY}\r\n0\r\nAuthorization: Bearer no\r\n\r\n", id="P15 a trailer with a key"
        ),
    ],
)
def test_odd_chunks_are_read_or_refused(live, chunks):
    sent = (HEAD + "Connection: close\r\n" + CHUNKED + "\r\n" + chunks).encode()
    answer = live.answer(sent, within_s=8.0)
    assert answer.status in (200, 400), answer.raw[:500]
    if answer.status == 200:
        assert live.calls()[-1].body == BODY or len(chunks) > 20_000
    assert answer.cpu_s < LITTLE_WORK_S


@pytest.mark.parametrize("size", [17_000, 25_000, 31_000])
@pytest.mark.parametrize("segments", [1, 4])
def test_large_heads_are_served_up_to_the_limit(live, size, segments):
    """P18: however the head is cut into segments, the limit is the same."""
    sent = request(chat(), headers={f"x-{n}": "b" * 1000 for n in range(size // 1007)})
    step = -(-len(sent) // segments)
    sock = live.connect()
    with sock:
        for start in range(0, len(sent), step):
            sock.sendall(sent[start : start + step])
            live.do(lambda: None)
        raw = b""
        while data := sock.recv(65536):
            raw += data
    assert answers(raw)[0].status == 200


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(path, status, id=f"P21 {path[:30]}")
        for path, status in {
            "/": 404,
            "//": 404,
            "//v1": 404,
            "//v1/models": 404,
            "/v1": 404,
            "/v1/": 404,
            "/v1/../manage": 404,
            "/v1/../v1/models": 404,
            "/v1/models/../chat/completions": 404,
            "/%2e%2e/manage": 404,
            "/v1/%2e%2e/%2e%2e/etc/passwd": 404,
            "/v1%2fmodels": 404,
            "/%00": 404,
            "/v1/models%00": 404,
            "/v1/models/%00": 404,
            "/v1/models/%ff%fe": 404,
            "/v1/models/%ud800": 404,
            "/v1/models/" + "a" * 20_000: 404,
            "/" + "v1/" * 9_000 + "models": 200,
            "/V1/models": 404,
            "/v1/models;a=b": 404,
            "/v1/chat/completions/": 404,
            "/v1/chat/completions%20": 404,
            "/.git/config": 404,
            "/etc/passwd": 404,
            "/manage/v1/projects": 404,
            "/metrics": 404,
            "/v1/models?limit=1&%00=%ff": 200,
            "/v1/models?" + "a=b&" * 5_000: 200,
            "/v1/models#a": 200,
        }.items()
    ],
)
def test_paths_lead_where_they_say(live, path, status):
    answer = live.answer(request(path=path, method="GET"))
    assert answer.status in ({status} if "#" not in path else {200, 400, 404}), answer.raw[:400]
    if answer.status >= 400:
        assert answer.error["code"] in ("unknown_url", "model_not_found", "invalid_http")


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/gpt-4o", "/nowhere", CHAT])
def test_a_head_is_answered_without_a_body(live, path):
    """P20: else the next answer on the connection would begin with what is left of this one."""
    asked = request(path=path, method="HEAD", headers={"connection": None}) + request(path="/v1/models", method="GET")
    raw = live.raw(asked)
    first, _, rest = raw.partition(b"\r\n\r\n")
    assert rest.startswith(b"HTTP/1.1 200 OK"), (first, rest[:100])
