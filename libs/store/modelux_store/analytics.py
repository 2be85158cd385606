"""ClickHouse over HTTP: rows as dictionaries, inserts by column, and failures sorted into "try again" and "never"."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from importlib.resources import files
from typing import TypeVar, cast
from urllib.parse import unquote, urlsplit

import clickhouse_connect
from clickhouse_connect.datatypes.base import ClickHouseType
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError, DataError, OperationalError
from clickhouse_connect.driver.httputil import get_pool_manager

from modelux_store.errors import Rejected as Rejected
from modelux_store.errors import Unavailable as Unavailable

T = TypeVar("T")

_THREADS = 4
_CONNECT_S = 5
_ANSWER_S = 60
_DATA_CODES = frozenset({6, 9, 10, 16, 20, 26, 27, 33, 38, 41, 43, 53, 69, 70, 72, 117, 128, 131, 135, 349, 352, 469})
"""ClickHouse's codes for rows it cannot take. All others are held to be passing: a doubt loses no data."""
_UNWRITABLE = (TypeError, ValueError, OverflowError, AttributeError, struct.error)
"""What the client raises for values that its types cannot write; it writes before it sends the end."""
_ARROW = {"output_format_arrow_string_as_string": "1", "output_format_arrow_low_cardinality_as_dictionary": "0"}
_QUERY_CODES = frozenset({36, 42, 44, 46, 47, 48, 62, 179, 184, 215, 386, 456, 457, 497})
"""Codes for a statement that is wrong in itself."""
_UNKNOWN_COLUMN = 47


class Analytics:
    """A client of one database. Calls run on threads of their own, so they wait without holding the event loop."""

    def __init__(self, url: str) -> None:
        """`url` is `http(s)://user:password@host:port/database`. Connects at the first call."""
        self.url = url
        self._url = urlsplit(url)
        self._database = self._url.path.strip("/") or "default"
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="clickhouse")
        self._pool = get_pool_manager(maxsize=_THREADS, num_pools=1)
        self._connecting = threading.Lock()
        self._client: Client | None = None
        self._types: dict[str, Mapping[str, ClickHouseType]] = {}

    @classmethod
    async def open(cls, url: str) -> Analytics:
        """Does not wait for the server to be up."""
        return cls(url)

    async def rows(
        self, sql: str, params: Mapping[str, object] | None = None, *, raw: Sequence[str] = ()
    ) -> list[dict[str, object]]:
        """Rows of a query with `{name:Type}` places: text as `str`, in columns `raw` as bytes, times as aware UTC.

        Raises:
            Unavailable: not reachable, overloaded, or too slow.
            DatabaseError: a wrong statement, which is a bug.
        """
        return await self._call(partial(self._rows, sql, params, raw))

    async def fold(self, sql: str, params: Mapping[str, object], work: Callable[[Iterator[Sequence[object]]], T]) -> T:
        """What `work` makes of a query's rows, in the order of its columns. It runs on a thread, and only a block of
        rows is held at a time. Raises as `rows`.
        """
        return await self._call(partial(self._fold, sql, params, work))

    async def insert(self, table: str, columns: Mapping[str, Sequence[object]], *, token: str = "") -> None:
        """Inserts equally long columns as one block and returns when they can be read.

        A `token` that was used for this table lately makes the insert a no-op, where the table keeps tokens.

        Raises:
            Unavailable: the outcome is unknown; insert again with the same token.
            Rejected: these rows will never fit.
        """
        await self._call(partial(self._insert, table, columns, token))

    async def arrow(self, sql: str, params: Mapping[str, object] | None = None) -> bytes:
        """Rows of a query as an Arrow IPC stream, with plain strings for text. Raises as `rows`."""
        return await self._call(partial(self._arrow, sql, params))

    async def insert_arrow(self, table: str, columns: Sequence[str], stream: bytes, *, token: str = "") -> None:
        """Inserts an Arrow IPC stream with these columns as one block, otherwise as `insert`."""
        await self._call(partial(self._insert_arrow, table, columns, stream, token))

    async def command(self, sql: str, params: Mapping[str, object] | None = None) -> None:
        """Runs a statement without rows. Raises as `rows`."""
        await self._call(lambda: self._connected().command(sql, parameters=_plain(params)))

    async def create_database(self) -> None:
        """Creates the database of the URL where it does not exist."""
        name = self._database.replace("`", "")
        await self._call(
            lambda: self._connected().command(f"CREATE DATABASE IF NOT EXISTS `{name}`", use_database=False)
        )

    async def close(self) -> None:
        """Waits for the calls under way."""
        await asyncio.to_thread(self._threads.shutdown)
        if self._client is not None:
            self._client.close()
        self._pool.clear()

    async def _call(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except ClickHouseError as error:
            if isinstance(error, DatabaseError) and error.code == _UNKNOWN_COLUMN and await self._older():
                raise Unavailable("the tables are older than this program; ingest brings them up to date") from error
            raise _sorted_out(error) from error

    async def _older(self) -> bool:
        """Whether a migration that this program knows is missing, as while an installation is upgraded."""
        try:
            (newest,) = await self.rows("SELECT max(number) AS number FROM schema_migrations")
        except Unavailable:
            return False
        return cast(int, newest["number"]) < _known_migrations()

    def _connected(self) -> Client:
        with self._connecting:
            if self._client is None:
                self._client = self._connect()
                # Only now: the database need not exist yet when the client asks the server for its version.
                self._client.database = self._database
            return self._client

    def _connect(self) -> Client:
        return clickhouse_connect.get_client(
            interface=self._url.scheme,
            host=self._url.hostname,
            port=self._url.port or (8443 if self._url.scheme == "https" else 8123),
            username=unquote(self._url.username or "default"),
            password=unquote(self._url.password or ""),
            compress=False,
            autogenerate_session_id=False,
            tz_mode="aware",
            connect_timeout=_CONNECT_S,
            send_receive_timeout=_ANSWER_S,
            query_retries=0,
            pool_mgr=self._pool,
        )

    def _rows(self, sql: str, params: Mapping[str, object] | None, raw: Sequence[str]) -> list[dict[str, object]]:
        formats: dict[str, str | dict[str, str]] = dict.fromkeys(raw, "bytes")
        result = self._connected().query(sql, parameters=_plain(params), column_formats=formats)
        names = result.column_names
        return [dict(zip(names, row, strict=True)) for row in result.result_rows]

    def _fold(self, sql: str, params: Mapping[str, object], work: Callable[[Iterator[Sequence[object]]], T]) -> T:
        with self._connected().query_rows_stream(sql, parameters=_plain(params)) as rows:
            return work(rows)

    def _insert(self, table: str, columns: Mapping[str, Sequence[object]], token: str) -> None:
        types = self._column_types(table)
        missing = [name for name in columns if name not in types]
        if missing:
            self._types.pop(table)
            raise Unavailable(f"table {table!r} has no columns {missing}: it is older than this program")
        client = self._connected()
        try:
            client.insert(
                table,
                list(columns.values()),
                column_names=list(columns),
                column_types=[types[name] for name in columns],
                column_oriented=True,
                settings=_insert_settings(token),
            )
        except _UNWRITABLE as error:
            raise Rejected(f"{table}: {error}") from error

    def _arrow(self, sql: str, params: Mapping[str, object] | None) -> bytes:
        found = self._connected().raw_query(sql, parameters=_plain(params), settings=_ARROW, fmt="ArrowStream")
        return bytes(found)

    def _insert_arrow(self, table: str, columns: Sequence[str], stream: bytes, token: str) -> None:
        self._connected().raw_insert(
            table, column_names=columns, insert_block=stream, fmt="ArrowStream", settings=_insert_settings(token)
        )

    def _column_types(self, table: str) -> Mapping[str, ClickHouseType]:
        """Asked once: a table only ever gains columns."""
        if table not in self._types:
            context = self._connected().create_insert_context(table)
            self._types[table] = dict(zip(context.column_names, context.column_types, strict=True))
        return self._types[table]


@cache
def _known_migrations() -> int:
    place = files("modelux_store").joinpath("migrations", "clickhouse")
    return sum(each.name.endswith(".sql") for each in place.iterdir())


def _plain(params: Mapping[str, object] | None) -> dict[str, object]:
    return dict(params or {})


def _sorted_out(error: ClickHouseError) -> Exception:
    if isinstance(error, DataError):
        return Rejected(str(error))
    code = error.code if isinstance(error, DatabaseError) else None
    text = str(error).splitlines()[0][:500]
    if code in _QUERY_CODES:
        return error
    if isinstance(error, OperationalError) or code is None:
        return Unavailable(text)
    return Rejected(text) if code in _DATA_CODES else Unavailable(text)


def _insert_settings(token: str) -> dict[str, str]:
    """An import of old requests may span more months than ClickHouse would take at once."""
    return {"max_partitions_per_insert_block": "0"} | ({"insert_deduplication_token": token} if token else {})
