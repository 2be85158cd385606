"""A raw HTTP/1.1 client that shows exactly what came over the wire."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest

from modelux_providers.simulator.server import Simulator

DEADLINE_S = 30.0


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes
    raw: bytes
    reset: bool = False
    whole: bool = True
    """Whether the framing was complete: all chunks and the last one, or all of Content-Length."""

    def json(self):
        return json.loads(self.body)

    def events(self) -> list[str]:
        """The data of each server-sent event, as a tidy reader finds them."""
        text = self.body.decode("utf-8", "surrogatepass").replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
        found = []
        for block in text.split("\n\n"):
            data = [line[5:].removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
            if data:
                found.append("\n".join(data))
        return found

    def chunks(self) -> list[dict]:
        return [json.loads(event) for event in self.events() if event != "[DONE]"]


Post = Callable[..., Awaitable[Answer]]


@pytest.fixture
def post() -> Post:
    """Send one request on a connection of its own and read until the server ends it."""

    async def send(sim: Simulator, path: str, body: object, *, headers: dict[str, str] | None = None, method="POST"):
        async with asyncio.timeout(DEADLINE_S):
            return await _send(sim.port, method, path, body, headers or {})

    return send


async def _send(port: int, method: str, path: str, body: object, headers: dict[str, str]) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    lines = [f"{method} {path} HTTP/1.1", "Host: simulator", "Connection: close", f"Content-Length: {len(data)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    raw, reset = b"", False
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode() + data)
        while got := await reader.read(65536):
            raw += got
    except ConnectionResetError:
        reset = True
    finally:
        writer.transport.abort()
    return _parsed(raw, reset)


def _parsed(raw: bytes, reset: bool) -> Answer:
    rest = raw
    while rest.startswith((b"HTTP/1.1 103", b"HTTP/1.1 100")):
        rest = rest.partition(b"\r\n\r\n")[2]
    head, _, body = rest.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    words = first.split(" ")
    status = int(words[1]) if words[0].startswith("HTTP/") else 0
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    whole = True
    if headers.get("transfer-encoding") == "chunked":
        body, whole = _dechunked(body)
    elif "content-length" in headers:
        whole = len(body) == int(headers["content-length"])
    return Answer(status, headers, body, raw, reset, whole)


def _dechunked(data: bytes) -> tuple[bytes, bool]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        try:
            length = int(size, 16)
        except ValueError:
            return body, False
        if length == 0:
            return body, True
        body, data = body + data[:length], data[length + 2 :]
    return body, False


@pytest.fixture
async def sim() -> AsyncIterator[Simulator]:
    """A healthy simulator on a free port."""
    async with Simulator.start() as simulator:
        yield simulator
