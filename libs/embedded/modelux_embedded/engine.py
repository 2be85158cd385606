"""The chDB engine of this process: a few sessions, each on a thread of its own, lent to one call at a time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from modelux_embedded.session import Call, Result, Session, connect

T = TypeVar("T")


class Engine:
    """Runs calls side by side, at most `sessions` at once. A process holds one, and must not fork while it does."""

    def __init__(self, folder: Path, *, sessions: int = 4, memory_bytes: int = 2 << 30) -> None:
        """Opens or creates `folder`. Raises `EngineError` when it cannot be opened."""
        limits = {"max_memory_usage": str(memory_bytes // 2), "max_execution_time": "300"}
        self._lanes = [_Lane(lambda: Session(connect(folder, memory_bytes), limits)) for _ in range(sessions)]
        self._idle: asyncio.LifoQueue[_Lane] = asyncio.LifoQueue()
        for lane in self._lanes:
            self._idle.put_nowait(lane)

    async def run(self, call: Call) -> tuple[Result, AsyncGenerator[bytes, None] | None]:
        """The result, and what follows its body when it is long: to be read to its end or closed with `aclose`.

        Raises:
            EngineFailure: the engine refused or failed the statement.
        """
        lane = await self._idle.get()
        try:
            result = await lane.do(lambda session: session.run(call))
        except BaseException:
            self._idle.put_nowait(lane)
            raise
        if result.more:
            return result, self._rest(lane)
        self._idle.put_nowait(lane)
        return result, None

    async def _rest(self, lane: _Lane) -> AsyncGenerator[bytes, None]:
        try:
            while chunk := await lane.do(Session.next_chunk):
                yield chunk
        finally:
            await asyncio.shield(lane.do(Session.abandon))
            self._idle.put_nowait(lane)

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()


class _Lane:
    """A session and the only thread that touches it."""

    def __init__(self, open_session: Callable[[], Session]) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="chdb")
        self._session = self._thread.submit(open_session).result()

    async def do(self, work: Callable[[Session], T]) -> T:
        """Runs `work` to its end even when the caller is cancelled: the session is not free before that."""
        running = asyncio.get_running_loop().run_in_executor(self._thread, work, self._session)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            await asyncio.wait([running])
            raise

    def close(self) -> None:
        self._thread.submit(self._session.close).result()
        self._thread.shutdown()
