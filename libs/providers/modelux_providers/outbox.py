"""Send what one turn of the event loop produced back to back, at its end.

A write wakes whoever waits for it on another core, and each such wake-up costs the sender several microseconds if the
receiver has gone back to sleep. Sent together, one wakes it and the others find it awake.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class Sender(Protocol):
    """A connection that holds bytes back."""

    def flush(self) -> None:
        """Hands what was held back to the transport. Raises nothing, also where the connection is gone by now."""
        ...


class Outbox:
    """The senders of one turn. `before`, and what `ahead` was told, run ahead of any of their bytes."""

    __slots__ = ("_before", "_loop", "_waiting")

    def __init__(self, loop: asyncio.AbstractEventLoop, before: Callable[[], None] | None = None) -> None:
        self._loop = loop
        self._before = [] if before is None else [before]
        self._waiting: list[Sender] = []

    def ahead(self, step: Callable[[], None]) -> None:
        """`step` runs before bytes go out, from now on."""
        self._before.append(step)

    def add(self, sender: Sender) -> None:
        """To be flushed when everything that is ready now has run; once per turn and sender."""
        waiting = self._waiting
        if not waiting:
            self._loop.call_soon(self.flush)
        waiting.append(sender)

    def flush(self) -> None:
        """Flushes at once, for one who is about to close."""
        waiting = self._waiting
        if not waiting:
            return
        self._waiting = []
        for step in self._before:
            step()
        for sender in waiting:
            sender.flush()
