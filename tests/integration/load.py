"""Steady load on the proxy: an open loop of plain and streamed requests, each with an end user of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread

_GIVE_UP_S = 30.0


@dataclass(slots=True)
class Sent:
    """One request as its caller saw it. `status` 0: not one byte of an answer; `whole`: it came to its end."""

    user: str
    stream: bool
    status: int = 0
    request_id: str = ""
    whole: bool = False
    error: str = ""
    began_s: float = field(default_factory=time.monotonic)


@dataclass(slots=True)
class Load:
    """What was sent so far."""

    sent: list[Sent] = field(default_factory=list)
    _stop: Event = field(default_factory=Event)

    def stop(self) -> None:
        self._stop.set()

    @property
    def stopped(self) -> bool:
        return self._stop.is_set()

    def go_on(self, count: int) -> None:
        """Returns when so many more requests were sent."""
        wanted = len(self.sent) + count
        while len(self.sent) < wanted:
            time.sleep(0.01)


@contextmanager
def load(
    port: int, key: str, *, rate: int = 100, users: str = "user", prompts: Sequence[str] = ("Hi",)
) -> Iterator[Load]:
    """Sends in a thread of its own for the length of the block; every request has ended when it is left.

    Every third request streams. End users are called `users` and a number.
    """
    running = Load()
    thread = Thread(target=asyncio.run, args=(_send_all(running, port, key, rate, users, prompts),), daemon=True)
    thread.start()
    try:
        yield running
    finally:
        running.stop()
        thread.join(_GIVE_UP_S * 2)
    assert not thread.is_alive(), "requests hang"


async def _send_all(running: Load, port: int, key: str, rate: int, users: str, prompts: Sequence[str]) -> None:
    loop = asyncio.get_running_loop()
    started = loop.time()
    async with asyncio.TaskGroup() as group:
        while not running.stopped:
            number = len(running.sent)
            sent = Sent(f"{users}-{number}", stream=number % 3 == 0)
            running.sent.append(sent)
            body = {"model": "@it", "user": sent.user, "stream": sent.stream, "mlx:tags": {"n": str(number)}}
            body["messages"] = [{"role": "user", "content": prompts[number % len(prompts)]}]
            group.create_task(_send(sent, port, key, json.dumps(body).encode()))
            await asyncio.sleep(max(0.0, started + (number + 1) / rate - loop.time()))


async def _send(sent: Sent, port: int, key: str, body: bytes) -> None:
    try:
        async with asyncio.timeout(_GIVE_UP_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            try:
                writer.write(request_bytes(key, body))
                await _read(sent, reader)
            finally:
                writer.close()
    except (OSError, asyncio.IncompleteReadError, TimeoutError, ValueError) as error:
        sent.error = type(error).__name__


def request_bytes(key: str, body: bytes) -> bytes:
    """A chat completion request as it is on the wire, on a connection of its own."""
    lines = ("POST /v1/chat/completions HTTP/1.1", "host: localhost", f"authorization: Bearer {key}")
    lines += ("content-type: application/json", f"content-length: {len(body)}", "connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


async def _read(sent: Sent, reader: asyncio.StreamReader) -> None:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    sent.status = int(head[0].split()[1])
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
    sent.request_id = headers.get("x-request-id", "")
    if "content-length" in headers:
        await reader.readexactly(int(headers["content-length"]))
        sent.whole = True
        return
    rest = await reader.read()
    sent.whole = rest.endswith(b"0\r\n\r\n") and (sent.status != 200 or b"data: [DONE]" in rest)
    sent.error = "" if sent.whole else "cut"


def failures(sent: Sequence[Sent]) -> list[tuple[str, int, str]]:
    """Those that did not get their whole 200."""
    return [(each.user, each.status, each.error) for each in sent if each.status != 200 or not each.whole]
