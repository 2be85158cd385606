"""Recognise the same call made again and again within one guarded run."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

from routing_core.budgets import Draw

_MOST = 20_000


class Repeats(NamedTuple):
    """A call that a run has made `calls` times, as often as its guard asks for."""

    budget_id: str
    tag: str
    value: str
    calls: int


class Loops:
    """Counts calls by run and body, the most recent ones. Of one process: a run whose calls are spread over several
    proxies is recognised by the first that saw enough.
    """

    def __init__(self, most: int = _MOST) -> None:
        self._seen: OrderedDict[tuple[str, str, int], int] = OrderedDict()
        self._most = most

    def count(self, draw: Draw, body: bytes) -> Repeats | None:
        """Counts one call; the repeats to report, once for each call and run, of the first guard that finds them."""
        found = None
        for rule, value in draw.loops:
            key = (rule.id, value, hash(body))
            calls = self._seen.pop(key, 0) + 1
            self._seen[key] = calls
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)
            if found is None and calls == rule.loop_calls:
                found = Repeats(rule.id, rule.scope_key.partition("=")[0], value, calls)
        return found
