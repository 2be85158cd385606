"""Make broken requests out of good ones, always the same for a seed, and watch what the proxy makes of them."""

from __future__ import annotations

import asyncio
import gzip
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence

from badinput_rig import Live
from badinput_wire import CHAT, EMBEDDINGS, answers, chat, harmless, request

AT_ONCE = 40
QUIET_S = 0.1
"""After so long without an answer the request is taken for unfinished, and the sending side is closed."""
PATIENCE_S = 8.0

_TOOLS: dict[str, object] = {
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
}
_IMAGE = [{"type": "text", "text": "hi"}, {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}]
_HEAD = request(chat()).partition(b"Content-Length")[0]
GOOD = (
    request(chat()),
    request(chat({"stream": True, "stream_options": {"include_usage": True}})),
    request(chat(_TOOLS, model="@production")),
    request(chat({"n": 1, "temperature": 0.5, "stop": ["a"], "max_tokens": 5}, model="claude-sonnet-4-5")),
    request(chat({"response_format": {"type": "json_object"}}, model="gemini-2.5-flash", prompt=_IMAGE)),
    request(
        chat({"mlx:tags": {"team": "a"}, "user": "u"}, prompt="\ud83d\ude00 é\n\\u0041"),
        headers={"idempotency-key": "k"},
    ),
    request(json.dumps({"model": "text-embedding-3-small", "input": ["a", "b"]}).encode(), EMBEDDINGS),
    request(gzip.compress(chat()), headers={"content-encoding": "gzip"}),
    request(chat(), headers={"expect": "100-continue", "x-modelux-tags": "a=b, c=d"}),
    request(path="/v1/models", method="GET"),
    request(path="/v1/models/@production?a=b", method="GET", headers={"accept": "*/*", "origin": "https://x"}),
    request(path=CHAT, method="OPTIONS", headers={"origin": "https://x"}),
    request(path="/v1/models", method="GET", headers={"connection": None}) + request(chat()),
    _HEAD + b"Transfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(chat()), chat()),
)
_WORDS = (
    *(b"\r\n", b"\n", b"\r", b"\0", b" ", b"\t", b":", b",", b";", b'"', b"\\", b"{", b"}", b"[", b"]", b"\r\n\r\n"),
    *(b"null", b"true", b"NaN", b"-1", b"1e999", b"0", b"9" * 400, b"[" * 200, b'{"a":' * 200, b"\\ud800", b"\\u0000"),
    *(b"\xff", b"\xc0\xaf", b"\xed\xa0\x80", b"\xef\xbb\xbf", b"\xf0\x9f\x98\x80", b"\x80" * 50, b"%00", b"../", b"@"),
    *(b"Content-Length: 0\r\n", b"Content-Length: 99999\r\n", b"Transfer-Encoding: chunked\r\n", b"Host: a\r\n"),
    *(b"Connection: keep-alive\r\n", b"Upgrade: h2c\r\n", b"Expect: 100-continue\r\n", b"Content-Encoding: gzip\r\n"),
    *(b"Authorization: Bearer x\r\n", b"GET / HTTP/1.1\r\n", b"0\r\n\r\n", b"HTTP/1.0", b"HTTP/2.0", b"POST "),
    *(b'"model":"@nope",', b'"stream":true,', b'"messages":[],', b'"n":0,', b'"mlx:tags":[],', b'"tools":{},'),
)

Change = Callable[[random.Random, bytearray], None]


def _flip(draw: random.Random, data: bytearray) -> None:
    for _ in range(draw.choice((1, 1, 1, 2, 5, 30))):
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)


def _replace(draw: random.Random, data: bytearray) -> None:
    data[draw.randrange(len(data))] = draw.randrange(256)


def _cut(draw: random.Random, data: bytearray) -> None:
    del data[draw.randrange(1, len(data)) :]


def _delete(draw: random.Random, data: bytearray) -> None:
    at = draw.randrange(len(data))
    del data[at : at + draw.choice((1, 1, 2, 10, 100))]


def _insert(draw: random.Random, data: bytearray) -> None:
    at = draw.randrange(len(data))
    data[at:at] = draw.choice(_WORDS)


def _repeat(draw: random.Random, data: bytearray) -> None:
    at = draw.randrange(len(data))
    data[at:at] = data[at : at + draw.choice((1, 5, 50, 500))] * draw.choice((1, 2, 40))


def _repeat_line(draw: random.Random, data: bytearray) -> None:
    lines = bytes(data).split(b"\r\n")
    lines.insert(draw.randrange(len(lines)), draw.choice(lines))
    data[:] = b"\r\n".join(lines)


def _drop_line(draw: random.Random, data: bytearray) -> None:
    lines = bytes(data).split(b"\r\n")
    del lines[draw.randrange(len(lines))]
    data[:] = b"\r\n".join(lines)


def _splice(draw: random.Random, data: bytearray) -> None:
    """The head of this and the body of another, or the beginning of one and the end of another."""
    other = draw.choice(GOOD)
    if draw.random() < 0.5:
        data[:] = bytes(data).partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + other.partition(b"\r\n\r\n")[2]
    else:
        data[:] = data[: draw.randrange(1, len(data))] + other[draw.randrange(len(other)) :]


def _in_body(draw: random.Random, data: bytearray) -> None:
    """Changes the body alone and mends its length, so that the change gets past the parser of HTTP."""
    head, mark, body = bytes(data).partition(b"\r\n\r\n")
    if not body:
        return
    changed = bytearray(body)
    for _ in range(draw.choice((1, 1, 2, 4))):
        if changed:
            draw.choice((_flip, _replace, _cut, _delete, _insert, _repeat))(draw, changed) if len(changed) > 1 else None
    lines = [line for line in head.split(b"\r\n") if not line.lower().startswith(b"content-length")]
    data[:] = b"\r\n".join([*lines, b"Content-Length: %d" % len(changed)]) + mark + changed


CHANGES: tuple[Change, ...] = (
    *(_flip, _replace, _cut, _delete, _insert, _repeat, _repeat_line, _drop_line, _splice),
    *(_in_body, _in_body, _in_body, _in_body, _in_body),
)


def broken(seed: int) -> bytes:
    """The request of this seed."""
    draw = random.Random(seed)
    data = bytearray(draw.choice(GOOD))
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        if len(data) > 1:
            draw.choice(CHANGES)(draw, data)
    return bytes(data)


async def shot(port: int, seed: int) -> list[int]:
    """Sends one request; the statuses that came. Raises AssertionError for what no answer may be."""
    data = broken(seed)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(data)
        raw = await _received(reader, writer)
    except TimeoutError:
        raise AssertionError(f"seed {seed}: the connection stayed open after {data!r}") from None
    finally:
        writer.transport.abort()
    try:
        found = answers(raw)
        harmless(raw)
        for answer in found:
            assert answer.status < 500, answer.raw[:500]
            if answer.status >= 400 and data[:4] != b"HEAD":
                assert answer.error
    except (AssertionError, ValueError, KeyError) as error:
        raise AssertionError(f"seed {seed}: {data!r} was answered {raw[:600]!r}") from error
    return [answer.status for answer in found]


async def _received(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    """All that comes until the proxy closes, which it is made to do when nothing comes any more."""
    raw = b""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            try:
                async with asyncio.timeout(QUIET_S):
                    data = await reader.read(65536)
            except TimeoutError:
                if writer.can_write_eof():
                    writer.write_eof()
                return raw + await _rest(reader)
            except ConnectionError:
                return raw
            if not data:
                return raw
            raw += data


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


def barrage(live: Live, seeds: Sequence[int], within_s: float) -> Counter[int]:
    """Sends the requests of these seeds, many at a time, for at most so long; how often each status came."""
    counts: Counter[int] = Counter()
    left = iter(seeds)
    end = time.monotonic() + within_s

    async def gunner() -> None:
        for seed in left:
            if time.monotonic() > end:
                return
            statuses = await shot(live.port, seed)
            counts.update(statuses or [0])

    async def all_of_them() -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(AT_ONCE):
                group.create_task(gunner())

    asyncio.run(all_of_them())
    return counts
