"""What stands before every route: a request id, a Host that is ours, and headers that keep answers out of caches and
frames.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Collection, MutableMapping
from dataclasses import dataclass
from typing import Any

from modelux_contracts.errors import Problem
from modelux_contracts.ids import new_id

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

_HOST = re.compile(r"(?:[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?|\[[0-9a-f:.]{2,45}\])(?::\d{1,5})?")
_HEADERS = (
    (b"cache-control", b"no-store"),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"no-referrer"),
)


@dataclass(frozen=True, slots=True)
class Edge:
    """Wraps the application. `hosts` holds the names it answers to, without ports; `*` stands for any well-formed
    name.
    """

    app: App
    hosts: Collection[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000})
            return
        request_id = new_id("req_")
        scope["modelux.request_id"] = request_id
        refused = self._refuses(scope)
        if refused is not None:
            await _answer(send, refused, request_id)
            return
        await self.app(scope, receive, _with_headers(send, request_id))

    def _refuses(self, scope: Scope) -> Problem | None:
        hosts = [value.decode("latin-1").lower() for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1 or not _HOST.fullmatch(hosts[0]):
            return Problem(400, "invalid_host", "Bad request", "The Host header is missing, doubled or malformed.")
        name = re.sub(r":\d+$", "", hosts[0])
        if "*" not in self.hosts and name.strip("[]") not in self.hosts:
            detail = f"This server does not answer to {name!r}."
            return Problem(421, "unknown_host", "Misdirected", detail, "Add the name to MODELUX_MANAGEMENT_HOSTS.")
        return None


def _with_headers(send: Send, request_id: str) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            extra = [*_HEADERS, (b"x-request-id", request_id.encode())]
            message = {**message, "headers": [*message.get("headers", ()), *extra]}
        await send(message)

    return wrapped


async def _answer(send: Send, problem: Problem, request_id: str) -> None:
    body = problem.body(request_id=request_id)
    headers = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"x-request-id", request_id.encode()),
        *_HEADERS,
    ]
    await send({"type": "http.response.start", "status": problem.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
