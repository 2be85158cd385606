"""Requests and tokens per minute of each key: the generic cell rate algorithm, two numbers per key."""

from __future__ import annotations

from dataclasses import dataclass

from modelux_contracts.errors import OpenAIError

_MINUTE_S = 60.0


@dataclass(slots=True)
class _Cell:
    """`full_at` is when the whole minute's allowance is there again (the algorithm's theoretical arrival time)."""

    limit: int
    full_at: float = 0.0

    def take(self, amount: float, now: float) -> float:
        """Takes `amount`; the seconds to wait where it does not fit (nothing is taken then)."""
        full_at = max(self.full_at, now) + amount * _MINUTE_S / self.limit
        wait = full_at - now - _MINUTE_S
        if wait > 0:
            return wait
        self.full_at = full_at
        return 0.0

    def give(self, amount: float) -> None:
        self.full_at -= amount * _MINUTE_S / self.limit

    def remaining(self, now: float) -> int:
        return int(self.limit * (1.0 - max(self.full_at - now, 0.0) / _MINUTE_S) + 1e-6)


class RateLimits:
    """The cells of every key that has a limit; memory is bounded by the number of keys."""

    def __init__(self) -> None:
        self._requests: dict[str, _Cell] = {}
        self._tokens: dict[str, _Cell] = {}

    def admit(self, key_id: str, requests: int, tokens: int, estimate: int, now: float) -> bytes:
        """Takes one request and `estimate` tokens; 0 means unlimited. The answer's rate-limit header lines.

        Raises OpenAIError (429) with `retry-after`.
        """
        lines = b""
        if requests:
            cell = _cell(self._requests, key_id, requests)
            wait = cell.take(1, now)
            lines += _lines(b"requests", cell, now)
            if wait:
                raise _exceeded("requests", requests, wait, lines)
        if tokens:
            cell = _cell(self._tokens, key_id, tokens)
            wait = cell.take(min(estimate, tokens), now)
            lines += _lines(b"tokens", cell, now)
            if wait:
                if requests:
                    self._requests[key_id].give(1)
                raise _exceeded("tokens", tokens, wait, lines)
        return lines

    def settle(self, key_id: str, estimate: int, used: int) -> None:
        """Replaces the estimate by what was used, once known. Debt is allowed: it makes the next request wait."""
        cell = self._tokens.get(key_id)
        if cell is not None:
            cell.give(min(estimate, cell.limit) - used)

    def keep(self, key_ids: frozenset[str]) -> None:
        """Forgets keys that no longer exist."""
        for cells in (self._requests, self._tokens):
            for key_id in cells.keys() - key_ids:
                del cells[key_id]


def _cell(cells: dict[str, _Cell], key_id: str, limit: int) -> _Cell:
    cell = cells.get(key_id)
    if cell is None or cell.limit != limit:
        cell = cells[key_id] = _Cell(limit)
    return cell


def _lines(what: bytes, cell: _Cell, now: float) -> bytes:
    reset = max(cell.full_at - now, 0.0)
    return b"x-ratelimit-limit-%b: %d\r\nx-ratelimit-remaining-%b: %d\r\nx-ratelimit-reset-%b: %.3fs\r\n" % (
        what,
        cell.limit,
        what,
        max(cell.remaining(now), 0),
        what,
        reset,
    )


def _exceeded(what: str, limit: int, wait_s: float, lines: bytes) -> OpenAIError:
    message = f"this key may use {limit} {what} per minute; try again in {wait_s:.1f} s"
    shown = [line.partition(": ") for line in lines.decode("ascii").split("\r\n") if line]
    headers = (
        ("retry-after", str(int(wait_s) + 1)),
        ("retry-after-ms", str(int(wait_s * 1000) + 1)),
        *((name, value) for name, _, value in shown),
    )
    return OpenAIError(429, message, code="rate_limit_exceeded", type=what, headers=headers)
