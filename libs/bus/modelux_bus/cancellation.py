"""Cancellations that a pool of connections lost."""

from __future__ import annotations

import asyncio


class Cancellations:
    """Raises a cancellation of this task that was lost since: psycopg's pool waits by `asyncio.wait_for`, which before
    Python 3.12 answers a cancelled caller as if nothing were, when what it waits for came in the same moment.
    """

    def __init__(self) -> None:
        self._task = asyncio.current_task()
        self._before = self._task.cancelling() if self._task else 0

    def heed(self) -> None:
        """Raises `CancelledError` where this task was cancelled since, and goes on all the same."""
        if self._task and self._task.cancelling() > self._before:
            raise asyncio.CancelledError
