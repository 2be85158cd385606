"""Answer `/simulator/*`: look into the book, change the scenario, start anew."""

from __future__ import annotations

from typing import Protocol
from urllib.parse import parse_qs

import msgspec

from modelux_providers.simulator.calls import Call, Stats
from modelux_providers.simulator.responder import Incoming
from modelux_providers.simulator.scenario import InvalidScenario, Scenario, parse

PREFIX = "/simulator/"
_ALL = 1_000_000


class Controlled(Protocol):
    """What can be looked at and changed from outside."""

    @property
    def scenario(self) -> Scenario: ...
    def calls(self, since: int = 0, limit: int = _ALL) -> list[Call]: ...
    def stats(self) -> Stats: ...
    def use(self, scenario: Scenario) -> None: ...
    def reset(self) -> None: ...


def handle(request: Incoming, simulator: Controlled) -> bytes:
    """Return the whole HTTP response to a request for the simulator itself."""
    path, _, query = request.target.partition("?")
    try:
        match request.method, path.removeprefix(PREFIX):
            case "GET", "calls":
                since, limit = (_number(query, name, default) for name, default in (("since", 0), ("limit", _ALL)))
                return _json(200, {"calls": simulator.calls(since, limit)})
            case "GET", "stats":
                return _json(200, simulator.stats())
            case "GET", "scenario":
                return _json(200, simulator.scenario)
            case "POST", "scenario":
                simulator.use(parse(request.body))
                return _json(200, simulator.scenario)
            case "POST", "reset":
                simulator.reset()
                return _json(200, simulator.stats())
            case "GET", "health":
                return _json(200, {"status": "ok"})
            case _:
                return _json(404, {"error": f"no {request.method} {path}"})
    except InvalidScenario as error:
        return _json(422, {"error": str(error)})


def _number(query: str, name: str, default: int) -> int:
    text = parse_qs(query).get(name, [str(default)])[0]
    if not text.isdigit():
        raise InvalidScenario(f"{name} is no number: {text!r}")
    return int(text)


def _json(status: int, value: object) -> bytes:
    body = msgspec.json.encode(value)
    head = f"HTTP/1.1 {status} {'OK' if status == 200 else 'Error'}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
