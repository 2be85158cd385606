"""HTTP as bytes: requests to write, answers to read, and a socket that does both at once until the other end closes."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from badinput_tenants import KEY

CHAT = "/v1/chat/completions"
EMBEDDINGS = "/v1/embeddings"
LEAKS = (
    b"Traceback (most",
    b'File "/',
    b"canary",
    b"c4n4ry",
    b"Canary8c1d",
    b"root:x:",
)
"""What no answer may hold: our code's own words, any key, a provider's page."""


@dataclass(frozen=True)
class Answer:
    """One HTTP answer, as it came. `whole`: its framing was complete. `cpu_s`: processor time spent until then."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    raw: bytes
    whole: bool
    cpu_s: float = 0.0

    @property
    def error(self) -> dict[str, Any]:
        """The members of the OpenAI envelope, which must be exactly the four."""
        answer = json.loads(self.body)
        assert list(answer) == ["error"], self.body[:300]
        error = answer["error"]
        assert set(error) == {"message", "type", "param", "code"}, error
        assert isinstance(error["message"], str)
        assert error["message"]
        assert len(error["message"]) < 2100
        return error

    @property
    def events(self) -> list[bytes]:
        """The data of each event of a stream."""
        assert self.headers["content-type"].startswith("text/event-stream")
        return [block[6:] for block in self.body.split(b"\n\n") if block.startswith(b"data: ")]


class Silent(AssertionError):
    """The proxy did not end the connection in time."""


def answers(raw: bytes) -> list[Answer]:
    """The answers that came one after the other on one connection; interim ones are left out."""
    found: list[Answer] = []
    while raw:
        head, mark, rest = raw.partition(b"\r\n\r\n")
        assert mark, f"no end of the head: {raw[:200]!r}"
        first, *lines = head.decode("latin-1").split("\r\n")
        version, status, *_ = first.split(" ")
        assert version == "HTTP/1.1", first
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        if status == "100":
            raw = rest
            continue
        if headers.get("transfer-encoding") == "chunked":
            body, left, whole = _dechunked(rest)
        else:
            length = int(headers.get("content-length", "0"))
            body, left, whole = rest[:length], rest[length:], len(rest) >= length
        found.append(Answer(int(status), headers, body, raw[: len(raw) - len(left)], whole))
        raw = left
    return found


def _dechunked(data: bytes) -> tuple[bytes, bytes, bool]:
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        if not length:
            return body, data[2:], data.startswith(b"\r\n")
        body, data = body + data[:length], data[length + 2 :]
    return body, b"", False


def chat(extra: Mapping[str, object] | None = None, *, model: str = "gpt-4o", prompt: object = "hi") -> bytes:
    """The body of a chat request; `prompt` may hold directives for the simulator."""
    return json.dumps({"model": model, "messages": [{"role": "user", "content": prompt}], **(extra or {})}).encode()


def request(
    body: bytes = b"",
    path: str = CHAT,
    method: str = "POST",
    headers: Mapping[str, str | None] | Sequence[tuple[str, str]] = (),
    *,
    key: str | None = KEY,
) -> bytes:
    """A whole request. A header of None is left out; a sequence of headers is added to the usual ones."""
    given: dict[str, str | None] = {"Host": "localhost", "Connection": "close", "Content-Type": "application/json"}
    if key is not None:
        given["Authorization"] = f"Bearer {key}"
    if body or method == "POST":
        given["Content-Length"] = str(len(body))
    more = list(headers.items()) if isinstance(headers, Mapping) else []
    given |= {name.title(): value for name, value in more}
    lines = [f"{name}: {value}\r\n" for name, value in given.items() if value is not None]
    if not isinstance(headers, Mapping):
        lines += [f"{name}: {value}\r\n" for name, value in headers]
    return f"{method} {path} HTTP/1.1\r\n{''.join(lines)}\r\n".encode("latin-1") + body


def sim(**settings: object) -> str:
    """A prompt that tells the simulated provider what to do."""
    return "hi [[sim: " + " ".join(f"{name}={value}" for name, value in settings.items()) + "]]"


def harmless(raw: bytes) -> None:
    """No answer holds a traceback, a key of anybody, or what a provider said to us alone."""
    for leak in LEAKS:
        assert leak not in raw, raw[max(0, raw.find(leak) - 200) : raw.find(leak) + 200]


def exchange(sock: socket.socket, parts: Sequence[bytes], half_close: bool, end: float) -> bytes:
    sock.setblocking(False)
    received: list[bytes] = []
    left = [memoryview(part) for part in parts if part]
    closing = half_close
    while True:
        writing = [sock] if left or closing else []
        readable, writable, _ = select.select([sock], writing, [], max(0.0, end - time.monotonic()))
        if not readable and not writable:
            raise Silent(f"the connection stayed open after {b''.join(received)[:300]!r}")
        if readable:
            try:
                data = sock.recv(262_144)
            except ConnectionError:
                data = b""
            if not data:
                return b"".join(received)
            received.append(data)
        if writable:
            try:
                left, closing = _written(sock, left, closing)
            except ConnectionError:
                left, closing = [], False


def _written(sock: socket.socket, left: list[memoryview], closing: bool) -> tuple[list[memoryview], bool]:
    if not left:
        sock.shutdown(socket.SHUT_WR)
        return left, False
    sent = sock.send(left[0])
    rest = left[0][sent:]
    return ([rest, *left[1:]] if rest else left[1:]), closing
