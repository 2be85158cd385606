"""One chDB connection whose calls do not see each other, as HTTP requests to a server would not."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from modelux_embedded.errors import EngineError
from modelux_embedded.statement import Statement

_CODE = re.compile(r"Code: (\d+)\.")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HEAD_BYTES = 4 << 20
_STREAMABLE = "Native"
"""Chunks of most other formats do not join into one stream: each carries its own head."""
_FALLBACK_CODE = 1002


class EngineFailure(Exception):
    """The engine refused or failed a statement. `code` is ClickHouse's."""

    def __init__(self, message: str) -> None:
        found = _CODE.search(message)
        super().__init__(message[found.start() :].strip() if found else message)
        self.code = int(found.group(1)) if found else _FALLBACK_CODE


@dataclass(frozen=True, slots=True)
class Call:
    """A statement with all that came along with it. Parameters are in ClickHouse's escaped text form."""

    statement: Statement
    database: str = "default"
    parameters: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    default_format: str = "TabSeparated"


@dataclass(frozen=True, slots=True)
class Result:
    """What a call gave. `format` is None for a statement without rows."""

    format: str | None
    body: bytes
    summary: Mapping[str, str]
    more: bool = False
    """Whether `Session.next_chunk` has more to give; until it gave b"" the session takes no other call."""


class Output(Protocol):
    def bytes(self) -> bytes: ...
    def rows_read(self) -> int: ...
    def bytes_read(self) -> int: ...


class Inserted(Protocol):
    rows_written: int
    bytes_written: int


class Inserter(Protocol):
    def append(self, data: bytes) -> None: ...
    def finish(self) -> Inserted: ...
    def cancel(self) -> None: ...


class Stream(Protocol):
    def __iter__(self) -> Iterator[Output]: ...
    def close(self) -> None: ...


class Connection(Protocol):
    def query(self, query: str, format: str = ..., params: Mapping[str, str] | None = ...) -> Output: ...
    def send_query(self, query: str, format: str = ..., params: Mapping[str, str] | None = ...) -> Stream: ...
    def send_insert(self, query: str, format: str = ...) -> Inserter: ...
    def close(self) -> None: ...


def connect(folder: Path, memory_bytes: int) -> Connection:
    """A connection to the one engine of this process. Raises `EngineError` when the folder cannot be opened."""
    try:
        from chdb.state.sqlitelike import connect as open_connection
    except ImportError as error:
        raise EngineError(f"chDB is not installed or not built for this platform ({error})") from error
    options = f"max_server_memory_usage={memory_bytes}&background_pool_size=2&mark_cache_size={memory_bytes // 16}"
    try:
        connection: Connection = open_connection(f"{folder}?{options}")
    except RuntimeError as error:
        raise EngineError(f"chDB cannot open {folder}: {error}") from error
    return connection


class Session:
    """One connection and its state, used by one thread at a time. No call sees the settings of another."""

    def __init__(self, connection: Connection, limits: Mapping[str, str]) -> None:
        self._connection = connection
        self._limits = limits
        self._database = "default"
        self._stream: Stream | None = None
        self._chunks: Iterator[Output] = iter(())
        self._applied: dict[str, str] = {}
        for name, value in limits.items():
            self._command(f"SET {name} = {_literal(value)}")

    def run(self, call: Call) -> Result:
        """Runs one call. Raises `EngineFailure`."""
        try:
            self._prepare(call)
            result = self._dispatch(call)
        except BaseException:
            self._clean()
            raise
        if not result.more:
            self._clean()
        return result

    def next_chunk(self) -> bytes:
        """The next part of a streamed result, b"" at its end. Raises `EngineFailure`."""
        try:
            chunk = self._next()
        except BaseException:
            self._clean()
            raise
        if not chunk:
            self._clean()
        return chunk

    def abandon(self) -> None:
        """Ends a streamed result that nobody reads any more."""
        self._clean()

    def close(self) -> None:
        self._connection.close()

    def _dispatch(self, call: Call) -> Result:
        statement = call.statement
        if statement.verb in ("SET", "USE"):
            raise EngineFailure("Code: 48. DB::Exception: There are no sessions: send settings with the call.")
        if statement.data is not None:
            return self._insert(statement.text, statement.format or "Native", statement.data)
        if statement.format == _STREAMABLE and statement.verb in ("SELECT", "WITH"):
            return self._select(call)
        return self._query(call)

    def _insert(self, text: str, data_format: str, data: bytes) -> Result:
        try:
            inserter = self._connection.send_insert(text, data_format)
            try:
                inserter.append(data)
                written = inserter.finish()
            except BaseException:
                inserter.cancel()
                raise
        except RuntimeError as error:
            raise EngineFailure(str(error)) from error
        summary = {"written_rows": str(written.rows_written), "written_bytes": str(written.bytes_written)}
        return Result(None, b"", summary)

    def _select(self, call: Call) -> Result:
        try:
            self._stream = self._connection.send_query(call.statement.text, _STREAMABLE, params=call.parameters)
        except RuntimeError as error:
            raise EngineFailure(str(error)) from error
        self._chunks = iter(self._stream)
        head = bytearray()
        while len(head) < _HEAD_BYTES:
            if not (chunk := self._next()):
                return Result(_STREAMABLE, bytes(head), {})
            head += chunk
        return Result(_STREAMABLE, bytes(head), {}, more=True)

    def _next(self) -> bytes:
        try:
            for output in self._chunks:
                if chunk := output.bytes():
                    return chunk
        except RuntimeError as error:
            raise EngineFailure(str(error)) from error
        return b""

    def _query(self, call: Call) -> Result:
        """A statement that names no format answers in the caller's default one, or says that it has no rows at all.

        chDB does not tell "no rows" from "not a query", so it is asked for the column names too: a query has some.
        """
        named = call.statement.format
        probe = named is None and call.default_format == "TabSeparated"
        asked = "TabSeparatedWithNames" if probe else named or call.default_format
        output = self._output(call.statement.text, asked, call.parameters)
        body = output.bytes() or b""
        summary = {"read_rows": str(output.rows_read()), "read_bytes": str(output.bytes_read())}
        if not probe:
            return Result(asked if body or named else None, body, summary)
        return Result("TabSeparated" if body else None, body.partition(b"\n")[2], summary)

    def _output(self, text: str, form: str, parameters: Mapping[str, str]) -> Output:
        try:
            return self._connection.query(text, form, params=dict(parameters))
        except RuntimeError as error:
            raise EngineFailure(str(error)) from error

    def _command(self, text: str) -> None:
        self._output(text, "TabSeparated", {})

    def _prepare(self, call: Call) -> None:
        if call.database != self._database:
            self._command(f"USE {_identifier(call.database)}")
            self._database = call.database
        for name in [each for each in self._applied if each not in call.settings]:
            self._command(f"SET {name} = {_literal(self._limits[name]) if name in self._limits else 'DEFAULT'}")
            del self._applied[name]
        for name, value in call.settings.items():
            if self._applied.get(name) != value:
                self._apply(name, value)

    def _apply(self, name: str, value: str) -> None:
        """Clients send the same settings with every call, so they stay applied until a call comes without them."""
        if not _NAME.fullmatch(name):
            raise EngineFailure(f"Code: 115. DB::Exception: Unknown setting {name!r}. (UNKNOWN_SETTING)")
        self._command(f"SET {name} = {_literal(value)}")
        self._applied[name] = value

    def _clean(self) -> None:
        self._chunks = iter(())
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def _literal(value: str) -> str:
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _identifier(name: str) -> str:
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"
