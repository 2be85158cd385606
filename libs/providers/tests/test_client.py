"""The outbound client against a server that says byte for byte what a test wants."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from modelux_providers.client import (
    Client,
    ConnectFailed,
    Cut,
    Deadlines,
    InvalidResponse,
    Limits,
    Origin,
    Timeout,
    TooLarge,
    request_head,
)
from modelux_providers.egress import Guard

Answer = Callable[[int, asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
CLOSE = b"<close>"
"""At the end of an answer: what comes before it is all."""
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
FAST = Deadlines(connect_s=1.0, first_byte_s=0.2, idle_s=0.2, total_s=2.0)


class Upstream:
    """Counts connections and requests; `script` answers the n-th request."""

    def __init__(self, script: list[bytes | None]) -> None:
        self.script = script
        self.requests: list[bytes] = []
        self.connections = 0
        self.closed = 0
        self.stop: Callable[[], None] = lambda: None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                self.requests.append(head + await reader.readexactly(length))
                answer = self.script[len(self.requests) - 1]
                if answer is None:
                    break
                writer.write(answer.removesuffix(CLOSE))
                if answer.endswith(CLOSE):
                    break
        except asyncio.IncompleteReadError:
            self.closed += 1
        finally:
            writer.close()


@asynccontextmanager
async def upstream(
    *script: bytes | None, limits: Limits | None = None
) -> AsyncIterator[tuple[Upstream, Client, Origin]]:
    state = Upstream(list(script))
    server = await asyncio.start_server(state.serve, "127.0.0.1", 0)
    state.stop = server.close
    client = Client(Guard(), limits=limits)
    try:
        yield state, client, Origin("http", "127.0.0.1", server.sockets[0].getsockname()[1], True)
    finally:
        await client.close()
        server.close()


async def ask(client: Client, origin: Origin, body: bytes = b"{}", deadlines: Deadlines = FAST) -> tuple[int, bytes]:
    response = await client.send(origin, "POST", "/x", ((b"a", b"b"),), body, deadlines=deadlines)
    return response.status, await response.read()


async def test_connections_are_kept_and_reused():
    async with upstream(OK, OK, OK) as (state, client, origin):
        for _ in range(3):
            assert await ask(client, origin) == (200, b"ok")
        assert state.connections == 1
        assert state.requests[0].startswith(b"POST /x HTTP/1.1\r\nhost: 127.0.0.1:")
        assert b"accept-encoding: identity\r\na: b\r\ncontent-length: 2\r\n\r\n{}" in state.requests[0]


async def test_tenants_do_not_share_connections():
    async with upstream(OK, OK) as (state, client, origin):
        await ask(client, origin._replace(owner="pc_1"))
        await ask(client, origin._replace(owner="pc_2"))
        assert state.connections == 2


async def test_a_stale_connection_is_replaced_once():
    async with upstream(OK, None, OK) as (state, client, origin):
        await ask(client, origin)
        assert await ask(client, origin) == (200, b"ok")
        assert len(state.requests) == 3
        assert state.connections == 2


async def test_a_kept_connection_that_is_closed_late_is_not_replaced():
    async with upstream(OK, None, OK, limits=Limits(idle_race_s=0.0)) as (state, client, origin):
        await ask(client, origin)
        with pytest.raises(Cut):
            await ask(client, origin)
        assert len(state.requests) == 2


async def test_bytes_left_where_a_kept_connection_cannot_be_replaced():
    async with upstream(OK, None) as (state, client, origin):
        await ask(client, origin)
        state.stop()
        with pytest.raises(Cut):
            await ask(client, origin)


async def test_a_fresh_connection_that_closes_is_not_tried_again():
    async with upstream(None, OK) as (state, client, origin):
        with pytest.raises(Cut):
            await ask(client, origin)
        assert len(state.requests) == 1


async def test_an_answer_that_began_is_not_asked_for_again():
    async with upstream(OK, b"HTTP/1.1 200 OK\r\ncontent-le<close>", OK) as (state, client, origin):
        await ask(client, origin)
        with pytest.raises(Cut):
            await ask(client, origin)
        assert len(state.requests) == 2


HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"transfer-encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(
    ("answer", "body"),
    [
        pytest.param(CHUNKED + b"2\r\nab\r\n1;x=y\r\nc\r\n0\r\n\r\n", b"abc", id="chunked"),
        pytest.param(HEAD + b"\r\nuntil the end<close>", b"until the end", id="until the end"),
        pytest.param(HEAD + b"Content-Length: 0\r\n\r\n", b"", id="empty"),
        pytest.param(b"HTTP/1.1 103 Early\r\nlink: x\r\n\r\n" + OK, b"ok", id="after an interim answer"),
        pytest.param(HEAD + b"content-length: 2\r\nconnection: close\r\n\r\nok", b"ok", id="not kept"),
        pytest.param(HEAD + b"content-length: 2\r\n\r\nok extra", b"ok", id="more than announced"),
    ],
)
async def test_framings(answer, body):
    async with upstream(answer, OK) as (_, client, origin):
        assert await ask(client, origin) == (200, body)
        assert await ask(client, origin) in ((200, b"ok"), (200, body))


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(b"nonsense\r\n\r\n", InvalidResponse, id="no HTTP"),
        pytest.param(HEAD + b"content-length: 9\r\n\r\nok<close>", Cut, id="shorter than announced"),
        pytest.param(CHUNKED + b"zz\r\n", InvalidResponse, id="broken chunks"),
        pytest.param(CHUNKED + b"9\r\n<close>", Cut, id="cut chunks"),
        pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" * 50 + OK, InvalidResponse, id="a flood of interim answers"),
        pytest.param(b"HTTP/1.1 101 X\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", InvalidResponse, id="upgrade"),
        pytest.param(HEAD + b"content-encoding: gzip\r\ncontent-length: 2\r\n\r\nxx", InvalidResponse, id="compressed"),
        pytest.param(HEAD + b"x: " + b"y" * 200_000, InvalidResponse, id="an endless head"),
        pytest.param(HEAD + b"content-length: 9\r\n\r\nok", Timeout, id="silence in the body"),
        pytest.param(b"", Timeout, id="silence"),
    ],
)
async def test_broken_answers(answer, error):
    async with upstream(answer, OK) as (_, client, origin):
        with pytest.raises(error):
            await ask(client, origin)
        assert not any(pool.idle for pool in client._pools.values())


async def test_too_much_is_not_read():
    async with upstream(HEAD + b"content-length: 1000\r\n\r\n" + b"x" * 1000) as (_, client, origin):
        response = await client.send(origin, "POST", "/", (), b"{}", deadlines=FAST)
        with pytest.raises(TooLarge):
            await response.read(limit=999)


async def test_the_total_deadline_holds_however_busy_the_answer_is():
    async with upstream(CHUNKED + b"1\r\na\r\n") as (_, client, origin):
        response = await client.send(origin, "POST", "/", (), b"{}", deadlines=replace(FAST, idle_s=60, total_s=0.1))
        assert await response.chunk() == b"a"
        with pytest.raises(Timeout) as late:
            await response.chunk()
        assert late.value.phase == "total"


async def test_nobody_listens():
    client = Client(Guard())
    with pytest.raises(ConnectFailed) as failed:
        await ask(client, Origin("http", "127.0.0.1", 1, True))
    assert failed.value.code == "connect_failed"


async def test_private_addresses_need_an_operator():
    client = Client(Guard())
    for origin in (Origin("https", "127.0.0.1", 443), Origin("http", "1.1.1.1", 443)):
        with pytest.raises(ConnectFailed) as failed:
            await ask(client, origin)
        assert failed.value.code == "blocked_address"


async def test_the_pool_is_bounded():
    client = Client(Guard(), limits=Limits(connections=0))
    with pytest.raises(ConnectFailed) as failed:
        await ask(client, Origin("http", "127.0.0.1", 1, True))
    assert failed.value.code == "pool_exhausted"


async def test_giving_up_closes_the_connection():
    async with upstream(b"") as (state, client, origin):
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(ask(client, origin, deadlines=Deadlines()))
            while not state.requests:
                await asyncio.sleep(0)
            asking.cancel()
        async with asyncio.timeout(30):
            while not state.closed:
                await asyncio.sleep(0)


async def test_a_slow_reader_stops_the_provider():
    size = 8 * 1024 * 1024
    async with upstream(HEAD + b"content-length: %d\r\n\r\n" % size + b"x" * size) as (_, client, origin):
        response = await client.send(origin, "POST", "/", (), b"{}", deadlines=Deadlines())
        for _ in range(200):
            await asyncio.sleep(0)
        assert response._buffered < 2 * 1024 * 1024
        assert len(await response.read()) == size


@pytest.mark.parametrize("value", [b"a\r\nb: c", b"a\nb", b"a\x00"])
def test_headers_cannot_break_out(value):
    with pytest.raises(ValueError, match="line break"):
        request_head(Origin("https", "x", 443), "POST", "/", ((b"authorization", value),))
