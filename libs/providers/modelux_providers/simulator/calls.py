"""Keep the books on every call, so that a checker can say afterwards what the provider really saw and did."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from hashlib import sha256
from itertools import islice
from typing import Literal

import msgspec

Ended = Literal["open", "completed", "cancelled", "cut", "reset"]


class Call(msgspec.Struct, kw_only=True, gc=False):
    """One call. Times are seconds since the scenario began. `cancelled` = the peer left before the answer was whole.

    `*_tokens` are the provider's truth; `sent_tokens` counts the output tokens written before the call ended.
    Header values that carry secrets are replaced by the secret's fingerprint.
    """

    number: int
    at_s: float
    connection: int
    method: str
    path: str
    dialect: str = ""
    endpoint: str = ""
    model: str = ""
    key: str = ""
    stream: bool = False
    status: int = 0
    error_code: str = ""
    rules: tuple[int, ...] = ()
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    sent_tokens: int = 0
    sent_events: int = 0
    sent_bytes: int = 0
    ended: Ended = "open"
    phase: Literal["headers", "body"] = "headers"  # how far the answer had come when it ended
    first_byte_s: float | None = None
    ended_s: float | None = None
    idempotency_key: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    body_sha256: str = ""
    body: str | None = None

    @property
    def cancelled(self) -> bool:
        return self.ended == "cancelled"


class Stats(msgspec.Struct, kw_only=True):
    """Totals since the scenario began; they go on counting when old calls are forgotten."""

    calls: int = 0
    open: int = 0
    most_open: int = 0
    connections: int = 0
    open_connections: int = 0
    refused_connections: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    sent_tokens: int = 0
    by_status: dict[str, int] = {}
    by_model: dict[str, int] = {}
    by_key: dict[str, int] = {}
    by_end: dict[str, int] = {}


_SECRETS = frozenset({b"authorization", b"x-api-key", b"api-key", b"x-goog-api-key", b"cookie", b"proxy-authorization"})


def fingerprint(secret: str) -> str:
    """Twelve hex digits of the SHA-256: enough to tell credentials apart, nothing to steal."""
    return sha256(secret.encode()).hexdigest()[:12] if secret else ""


def shown(headers: list[tuple[bytes, bytes]]) -> tuple[tuple[str, str], ...]:
    """Return the headers as text, secrets as fingerprints."""
    return tuple(
        (
            name.decode("latin-1"),
            f"fingerprint {fingerprint(text.removeprefix('Bearer '))}" if name in _SECRETS else text,
        )
        for name, text in ((name, value.decode("latin-1")) for name, value in headers)
    )


class _Entry(msgspec.Struct, gc=False):
    """A call with what is only worked out when somebody looks."""

    call: Call
    headers: list[tuple[bytes, bytes]]
    digest: bytes

    def read(self) -> Call:
        if not self.call.body_sha256:
            self.call.headers = shown(self.headers)
            self.call.body_sha256 = self.digest.hex()
        return self.call


class Calls:
    """The book: the last calls in order, and totals over all. `changed` is told of every begin and end."""

    def __init__(self, keep: int, changed: Callable[[], None] | None = None) -> None:
        self._entries: deque[_Entry] = deque(maxlen=keep)
        self._changed = changed
        self._numbered = 0
        self._open = 0
        self._most_open = 0
        self._ended: Counter[tuple[int, str, str, str]] = Counter()
        self._tokens = [0, 0, 0]

    def number(self) -> int:
        """The next call's number, from 1."""
        self._numbered += 1
        return self._numbered

    def begin(self, call: Call, headers: list[tuple[bytes, bytes]], digest: bytes) -> None:
        self._open += 1
        self._most_open = max(self._most_open, self._open)
        self._entries.append(_Entry(call, headers, digest))
        if self._changed:
            self._changed()

    def end(self, call: Call, how: Ended, at_s: float) -> None:
        """Close a call's entry; a second end of the same call is ignored."""
        if call.ended != "open":
            return
        call.ended, call.ended_s = how, at_s
        self._open -= 1
        self._ended[call.status, call.model, call.key, how] += 1
        self._tokens[0] += call.input_tokens
        self._tokens[1] += call.output_tokens
        self._tokens[2] += call.sent_tokens
        if self._changed:
            self._changed()

    def since(self, number: int, limit: int) -> list[Call]:
        """Return at most `limit` calls whose number is above `number`, oldest first."""
        return [entry.read() for entry in islice((e for e in self._entries if e.call.number > number), limit)]

    def stats(self) -> Stats:
        """Add up; connection counts are the server's to fill in."""
        totals: list[Counter[str]] = [Counter() for _ in range(4)]
        for names, count in self._ended.items():
            for total, name in zip(totals, names, strict=True):
                total[str(name)] += count
        status, model, key, how = (dict(total) for total in totals)
        input_tokens, output_tokens, sent_tokens = self._tokens
        return Stats(
            calls=self._numbered,
            open=self._open,
            most_open=self._most_open,
            input_tokens=input_tokens,
            output_tokens=output_tokens,
            sent_tokens=sent_tokens,
            by_status=status,
            by_model=model,
            by_key=key,
            by_end=how,
        )
