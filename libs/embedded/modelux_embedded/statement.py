"""Read a ClickHouse statement as far as needed to split off its data and to refuse what must not run here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

ENGINES = frozenset(
    {
        "MergeTree", "ReplacingMergeTree", "AggregatingMergeTree", "SummingMergeTree", "CollapsingMergeTree",
        "VersionedCollapsingMergeTree", "CoalescingMergeTree", "Memory", "Null", "Log", "TinyLog",
        "StripeLog", "Set", "Join", "Buffer", "Merge", "View", "MaterializedView", "Dictionary", "Atomic",
        "GenerateRandom",
    }
)  # fmt: skip
"""All others reach for a network or a keeper. One of them, Kafka, leaves a data folder that can not be opened again."""

FUNCTIONS = frozenset(
    {
        "file", "filecluster", "url", "urlcluster", "http", "s3", "s3cluster", "gcs", "azureblobstorage",
        "hdfs", "remote", "remotesecure", "cluster", "clusterallreplicas", "mysql", "postgresql", "mongodb",
        "redis", "sqlite", "odbc", "jdbc", "executable", "python", "deltalake", "iceberg", "hudi", "ytsaurus",
        "arrowflight", "paimon",
    }
)  # fmt: skip
"""Functions that read files, run programs or open connections."""

_TOKEN = re.compile(
    rb"""(?P<skip>\s+ | --[^\n]* | \#[!\ ][^\n]* | /\*.*?\*/)
    | (?P<string>'(?:[^'\\]|\\.|'')*' | \$(?P<tag>\w*)\$.*?\$(?P=tag)\$)
    | (?P<quoted>`(?:[^`\\]|\\.|``)*` | "(?:[^"\\]|\\.|"")*")
    | (?P<word>[A-Za-z_][A-Za-z0-9_]*)
    | (?P<number>[0-9][A-Za-z0-9_.]*)
    | (?P<symbol>.)""",
    re.VERBOSE | re.DOTALL,
)


class Refused(Exception):
    """The statement will not be run. `code` and `name` are ClickHouse's own."""

    def __init__(self, code: int, name: str, message: str) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}. ({name})")
        self.code = code


@dataclass(frozen=True, slots=True)
class Statement:
    """One statement. `data` is what follows `INSERT … FORMAT name`, and then `text` ends before the FORMAT clause."""

    text: str
    verb: str
    format: str | None = None
    data: bytes | None = None


class _Token(NamedTuple):
    kind: str
    text: bytes
    end: int
    depth: int

    def is_word(self, word: bytes) -> bool:
        return self.kind == "word" and self.text.upper() == word


def parse(sql: bytes) -> Statement:
    """Splits statement from data.

    Raises:
        Refused: several statements, a foreign engine, a function that leaves the engine, or not UTF-8 text.
    """
    tokens: list[_Token] = []
    for token in _tokens(sql):
        tokens.append(token)
        if len(tokens) > 1 and tokens[0].is_word(b"INSERT") and token.kind == "word" and _opens_data(tokens):
            data_at = token.end + _gap(sql, token.end)
            start = tokens[-2].end - len(tokens[-2].text)
            _check(tokens)
            return Statement(_text(sql[:start]), "INSERT", token.text.decode(), sql[data_at:])
    if not tokens:
        raise Refused(62, "SYNTAX_ERROR", "Empty query")
    while tokens and tokens[-1].text == b";":
        tokens.pop()
    _check(tokens)
    named = tokens[-1].text.decode() if len(tokens) > 1 and tokens[-2].is_word(b"FORMAT") else None
    return Statement(_text(sql), tokens[0].text.decode().upper() if tokens else "", named)


def _tokens(sql: bytes) -> Iterator[_Token]:
    depth = 0
    for match in _TOKEN.finditer(sql):
        kind = match.lastgroup or "symbol"
        kind = "string" if kind == "tag" else kind
        if kind == "skip":
            continue
        text = match.group()
        depth -= text == b")"
        yield _Token(kind, text, match.end(), depth)
        depth += text == b"("


def _opens_data(tokens: Sequence[_Token]) -> bool:
    """Whether the last two tokens are the FORMAT clause of an INSERT that brings its rows."""
    if not tokens[-2].is_word(b"FORMAT") or tokens[-1].depth:
        return False
    return not any(token.is_word(b"SELECT") or token.is_word(b"VALUES") for token in tokens if token.depth == 0)


def _gap(sql: bytes, end: int) -> int:
    """Blanks, one line break: what stands between `FORMAT name` and the first byte of data."""
    match = re.compile(rb"[ \t]*\r?\n|[ \t]+").match(sql, end)
    return match.end() - end if match else 0


def _check(tokens: Sequence[_Token]) -> None:
    defines = tokens[0].text.upper() in {b"CREATE", b"ATTACH", b"REPLACE", b"ALTER"} if tokens else False
    for index, token in enumerate(tokens):
        following = tokens[index + 1] if index + 1 < len(tokens) else None
        if token.text == b";" and following is not None:
            raise Refused(62, "SYNTAX_ERROR", "Multi-statements are not allowed")
        if following is not None and following.text == b"(" and token.kind in ("word", "quoted"):
            _check_function(token.text.strip(b'`"').decode(errors="replace"))
        if defines and token.is_word(b"ENGINE") and token.depth == 0:
            _check_engine(tokens[index + 1 : index + 3])
        if token.is_word(b"OUTFILE") or token.is_word(b"INFILE"):
            raise Refused(497, "ACCESS_DENIED", "Files are out of reach of this engine")
    if len(tokens) > 1 and tokens[0].is_word(b"SYSTEM") and tokens[1].text.upper() in {b"SHUTDOWN", b"KILL"}:
        raise Refused(497, "ACCESS_DENIED", "The supervisor stops this engine")


def _check_function(name: str) -> None:
    if name.lower() in FUNCTIONS:
        raise Refused(497, "ACCESS_DENIED", f"Function {name} is not available in the embedded engine")


def _check_engine(tokens: Sequence[_Token]) -> None:
    words = [token.text.strip(b'`"').decode(errors="replace") for token in tokens if token.text != b"="]
    if words and words[0] not in ENGINES:
        raise Refused(48, "NOT_IMPLEMENTED", f"Engine {words[0]} is not available in the embedded engine")


def _text(sql: bytes) -> str:
    try:
        return sql.decode()
    except UnicodeDecodeError as error:
        raise Refused(62, "SYNTAX_ERROR", f"The statement is not UTF-8 text: {error}") from error
