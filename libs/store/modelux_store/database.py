"""PostgreSQL through a pool: transactions, dictionaries for rows, a deadline on every statement."""

from __future__ import annotations

import select
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager, nullcontext

import psycopg
import psycopg.sql
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from modelux_bus.cancellation import Cancellations
from modelux_store.errors import AlreadyExists as AlreadyExists
from modelux_store.errors import Unavailable as Unavailable

Parameters = Mapping[str, object] | Sequence[object]
_Connection = psycopg.AsyncConnection[DictRow]

_ACQUIRE_S = 5.0
_CONNECT_S = 5
_RECONNECT_S = 2.0
"""After that the next caller tries anew. The pool's own pauses double, so that after an outage of a minute it would
leave a server that is back alone for half a minute more.
"""


class Transaction:
    """One open transaction. Statements have `%(name)s` or `%s` places; rows are dictionaries by column name.

    If it is pipelined, `execute` does not wait: it returns -1, and its failure is raised by what comes next.
    """

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection

    async def fetch_all(self, sql: str, params: Parameters | None = None) -> list[dict[str, object]]:
        cursor = await self._connection.execute(sql.encode(), params)
        return await cursor.fetchall()

    async def fetch_one(self, sql: str, params: Parameters | None = None) -> dict[str, object] | None:
        """The first row, or None where there is none."""
        cursor = await self._connection.execute(sql.encode(), params)
        return await cursor.fetchone()

    async def fetch_each(self, *statements: tuple[str, Parameters]) -> list[list[dict[str, object]]]:
        """The rows of several statements, run one after the other; in one round trip if pipelined."""
        cursors = [await self._connection.execute(sql.encode(), params) for sql, params in statements]
        return [await cursor.fetchall() for cursor in cursors]

    async def execute(self, sql: str, params: Parameters | None = None) -> int:
        """Runs a statement that returns no rows; the number of rows it touched. Without `params`, it may be several,
        unless the transaction is pipelined.
        """
        cursor = await self._connection.execute(sql.encode(), params)
        return cursor.rowcount


class Database:
    """A pool of connections. Survives restarts of the server: calls in between raise `Unavailable`."""

    def __init__(self, url: str, pool: AsyncConnectionPool[_Connection]) -> None:
        self._url = url
        self._pool = pool

    @classmethod
    async def open(
        cls, url: str, *, min_size: int = 1, max_size: int = 10, statement_timeout_s: float = 2.0
    ) -> Database:
        """Does not wait for the server to be up. `statement_timeout_s` bounds each statement, on the server."""

        async def configure(connection: _Connection) -> None:
            await connection.execute(
                "SELECT set_config('statement_timeout', %s, false),"
                " set_config('idle_in_transaction_session_timeout', '60s', false),"
                " set_config('TimeZone', 'UTC', false)",
                (f"{round(statement_timeout_s * 1000)}ms",),
            )
            await connection.commit()

        pool = AsyncConnectionPool[_Connection](
            url,
            kwargs={"row_factory": dict_row, "connect_timeout": _CONNECT_S, "application_name": "modelux"},
            configure=configure,
            check=_check,
            min_size=min_size,
            max_size=max_size,
            timeout=_ACQUIRE_S,
            max_waiting=200,
            reconnect_timeout=_RECONNECT_S,
            open=False,
        )
        await pool.open(wait=False)
        return cls(url, pool)

    @asynccontextmanager
    async def transaction(self, *, pipelined: bool = False) -> AsyncIterator[Transaction]:
        """Commits when the block ends, rolls back when it raises.

        Args:
            pipelined: a statement that returns no rows goes to the server together with the next one or the commit,
                and the beginning with the first: for transactions that hold locks others wait for.

        Raises:
            Unavailable: no connection, a deadline, a deadlock, or the connection broke, perhaps within the commit:
                whoever tries again must be able to bear that it was done.
            AlreadyExists: a unique constraint.
        """
        cancelled = Cancellations()
        try:
            async with self._pool.connection() as connection, _pipeline(connection, pipelined):
                cancelled.heed()
                yield Transaction(connection)
                await connection.commit()
            cancelled.heed()
        except psycopg.errors.UniqueViolation as error:
            raise AlreadyExists(error.diag.constraint_name or "") from error
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable(_reason(error)) from error

    @asynccontextmanager
    async def listening(self, channel: str) -> AsyncIterator[AsyncIterator[str]]:
        """The payloads of what is notified on `channel` from now on, over a connection of its own.

        Raises `Unavailable`, in the block too, when there is no connection or it breaks: what came meanwhile is lost.
        """
        try:
            connection = await psycopg.AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=_CONNECT_S, application_name="modelux"
            )
            async with connection:
                await connection.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                async with aclosing(connection.notifies()) as notices:
                    yield (notice.payload async for notice in notices)
        except (psycopg.OperationalError, psycopg.InterfaceError) as error:
            raise Unavailable(_reason(error)) from error

    async def close(self) -> None:
        await self._pool.close()


def _pipeline(connection: _Connection, pipelined: bool) -> AbstractAsyncContextManager[object]:
    return connection.pipeline() if pipelined else nullcontext()


async def _check(connection: _Connection) -> None:
    """Spends a round trip only on a connection of which something was heard while nobody used it, such as its end."""
    poll = select.poll()
    poll.register(connection.fileno(), select.POLLIN)
    if poll.poll(0):
        await AsyncConnectionPool.check_connection(connection)


def _reason(error: psycopg.Error) -> str:
    """The first line of the server's words, without connection details."""
    text = error.diag.message_primary or str(error)
    return text.splitlines()[0] if text else type(error).__name__
