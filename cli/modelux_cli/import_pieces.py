"""Cut a file of rows into pieces to send, in bounded memory, each row joined with what other files say of it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from modelux_management.imports.presets import Preset, preset_of
from modelux_management.imports.records import Flaw, Format, Record, Values, format_of, lines, records, too_long
from routing_core.errors import ModeluxError

PIECE_BYTES = 4 * 1024 * 1024
PIECE_ROWS = 10_000
_HEAD_BYTES = 4096
_JOINED_BYTES = 1024 * 1024 * 1024
_NO_ROW = b"null\n"
"""Stands in for a row that cannot be read here, so that those behind it keep their places."""


@dataclass(slots=True)
class Piece:
    """Rows as JSON lines. `lines` says where each begins in the file, `flaws` (by that line) what was not sent."""

    first_row: int
    content: bytes = b""
    lines: list[int] = field(default_factory=list)
    flaws: dict[int, Flaw] = field(default_factory=dict)


@dataclass(slots=True)
class Join:
    """Another file, or one for each value of a column (`answers/{model}.jsonl`), whose rows share a column with ours.

    Its columns are added as `name.column`. What it holds is kept in memory.
    """

    name: str
    path: str
    on: str
    _rows: dict[Path, Mapping[str, Values]] = field(default_factory=dict)
    _bytes: int = 0

    def columns(self, values: Values) -> dict[str, object]:
        """What it says of a row; nothing where it does not know the row."""
        path = self._file(values)
        key = values.get(self.on)
        if path is None or key is None:
            return {}
        if path not in self._rows:
            self._rows[path] = self._load(path)
        return {f"{self.name}.{column}": each for column, each in self._rows[path].get(str(key), {}).items()}

    def _file(self, values: Values) -> Path | None:
        """None where the row lacks the column that the path asks for, or it could lead elsewhere."""
        told = {name: str(value) for name, value in values.items() if "/" not in str(value) and "\0" not in str(value)}
        try:
            return Path(self.path.format_map(told))
        except (KeyError, ValueError, IndexError, AttributeError):
            return None

    def _load(self, path: Path) -> Mapping[str, Values]:
        if not path.is_file():
            return {}
        self._bytes += path.stat().st_size
        if self._bytes > _JOINED_BYTES:
            raise ModeluxError(
                "usage", f"the files of {self.name!r} hold more than 1 GiB", hint="Join them beforehand."
            )
        with path.open("rb") as stream:
            found = [each.values for each in records(stream, _format(stream)) if isinstance(each, Record)]
        return {str(values[self.on]): values for values in found if values.get(self.on) is not None}


def parse_join(written: str, on: str) -> Join:
    """`NAME=PATH`. Raises ModeluxError."""
    name, equals, path = written.partition("=")
    if not (name and equals and path):
        hint = "Write --join prompts=prompts.jsonl, then map prompt columns as prompts.COLUMN."
        raise ModeluxError("usage", f"{written!r} is not NAME=PATH", hint=hint)
    if "{" not in path and not Path(path).is_file():
        raise ModeluxError("usage", f"there is no file {path!r}", hint="Name it as --join NAME=PATH.")
    return Join(name, path, on)


def recognised(path: Path) -> Preset:
    """Whose export a file is, by its first row. Raises Unreadable."""
    with path.open("rb") as stream:
        rows = records(stream, _format(stream))
        return preset_of(next((each.values for each in rows if isinstance(each, Record)), {}))


def pieces(path: Path, joins: Sequence[Join] = ()) -> Iterator[Piece]:
    """The whole file, in order. Raises Unreadable, OSError."""
    with path.open("rb") as stream:
        kind = _format(stream)
        plain = kind == "jsonl" and not joins
        yield from _cut(_raw(stream) if plain else _joined(stream, kind, joins))


def _format(stream: BinaryIO) -> Format:
    found = format_of(stream.read(_HEAD_BYTES))
    stream.seek(0)
    return found


def _raw(stream: BinaryIO) -> Iterator[tuple[int, bytes | Flaw]]:
    for number, line in lines(stream):
        if line is None:
            yield number, too_long(number)
        elif line.strip():
            yield number, line if line.endswith(b"\n") else line + b"\n"


def _joined(stream: BinaryIO, kind: Format, joins: Sequence[Join]) -> Iterator[tuple[int, bytes | Flaw]]:
    for each in records(stream, kind):
        if isinstance(each, Flaw):
            yield each.line, each
        else:
            values = dict(each.values)
            for join in joins:
                values |= join.columns(each.values)
            yield each.line, json.dumps(values).encode() + b"\n"


def _cut(rows: Iterable[tuple[int, bytes | Flaw]]) -> Iterator[Piece]:
    piece, parts, size = Piece(0), list[bytes](), 0
    for place, (line, row) in enumerate(rows):
        content = _NO_ROW if isinstance(row, Flaw) else row
        if parts and (size + len(content) > PIECE_BYTES or len(parts) >= PIECE_ROWS):
            piece.content = b"".join(parts)
            yield piece
            piece, parts, size = Piece(place), [], 0
        if isinstance(row, Flaw):
            piece.flaws[line] = row
        piece.lines.append(line)
        parts.append(content)
        size += len(content)
    if parts:
        piece.content = b"".join(parts)
        yield piece
