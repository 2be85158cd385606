"""The session by which PostgreSQL knows whether a group member's process lives: a connection that holds its lock."""

from __future__ import annotations

import asyncio
import uuid

import psycopg
from psycopg.rows import TupleRow

from modelux_bus.base import BusUnavailable


class Session:
    """One member's lock, freed by the server the moment its process dies. Lazy; the schema must be there."""

    def __init__(self, url: str, member: uuid.UUID, deadline_s: float) -> None:
        self._url = url
        self._member = member
        self._deadline_s = deadline_s
        self._connection: psycopg.AsyncConnection[TupleRow] | None = None
        self._held = False
        self._one_at_a_time = asyncio.Lock()

    async def hold(self) -> None:
        """Sees that the session is there and tries for the lock, if it is not held yet. Raises `BusUnavailable`.

        It does not wait for the lock: a former session of this member that the server has not missed yet still stands
        for it, and the next call tries again.
        """
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._deadline_s):
                    await self._hold()
            except (psycopg.OperationalError, psycopg.InterfaceError, TimeoutError, OSError) as error:
                await self._drop()
                raise BusUnavailable(f"PostgreSQL does not answer: {error or type(error).__name__}") from error
            except BaseException:
                await self._drop()
                raise

    async def close(self) -> None:
        """Frees the lock. Idempotent."""
        async with self._one_at_a_time:
            await self._drop()

    async def _hold(self) -> None:
        if await self._intact():
            return
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=5, prepare_threshold=0
            )
        rows = await self._connection.execute("SELECT pg_try_advisory_lock(bus.session_key(%b))", (self._member,))
        self._held = await rows.fetchone() == (True,)

    async def _intact(self) -> bool:
        """Whether the lock is held still; a session that was cut is let go of."""
        if self._connection is None or not self._held:
            return False
        try:
            await self._connection.execute("SELECT 1")
        except (psycopg.OperationalError, psycopg.InterfaceError):
            await self._drop()
            return False
        return True

    async def _drop(self) -> None:
        connection, self._connection, self._held = self._connection, None, False
        if connection is not None:
            await connection.close()
