"""Split a JSONL or CSV file into records with their line numbers, in bounded memory; a line that cannot be read is a
flaw.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

from routing_core.errors import ModeluxError

MAX_LINE_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"
_DELIMITERS = ",;\t"

Format = Literal["jsonl", "csv"]
Values = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Record:
    """One row of a file. `line`: where it begins, from 1."""

    line: int
    values: Values


@dataclass(frozen=True, slots=True)
class Flaw:
    """Why a row is not taken. `field`: empty where the whole row is meant."""

    line: int
    field: str
    message: str
    hint: str = ""


class Unreadable(ModeluxError):
    """The file as a whole cannot be read."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__("file_unreadable", message, hint=hint)


def format_of(head: bytes) -> Format:
    """The format of a file that begins so. Raises Unreadable for what is neither, naming the remedy."""
    for magic, name, hint in _OTHERS:
        if head.startswith(magic):
            raise Unreadable(f"the file is {name}", hint)
    text = head.removeprefix(_BOM).lstrip()
    if not text:
        raise Unreadable("the file is empty", "Give a file with a JSON object a line, or CSV with a header.")
    if text.startswith(b"["):
        raise Unreadable("the file is one JSON array", "Make it one object a line: jq -c '.[]' FILE > FILE.jsonl")
    return "jsonl" if text.startswith(b"{") else "csv"


def lines(stream: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number; None where it is longer than MAX_LINE_BYTES."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, None
        else:
            yield number, line.removeprefix(_BOM) if number == 1 else line


def records(stream: BinaryIO, kind: Format) -> Iterator[Record | Flaw]:
    """The rows of a file, in order. Raises Unreadable where CSV has no usable header."""
    return _csv(stream) if kind == "csv" else _jsonl(stream)


def too_long(line: int) -> Flaw:
    """The flaw of a line that was not read."""
    limit = MAX_LINE_BYTES // 1024 // 1024
    return Flaw(line, "", f"is longer than {limit} MiB", "Leave its bodies out.")


def _jsonl(stream: BinaryIO) -> Iterator[Record | Flaw]:
    for number, line in lines(stream):
        if line is None:
            yield too_long(number)
        elif line.strip():
            yield _object(number, line)


def _object(number: int, line: bytes) -> Record | Flaw:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        return Flaw(number, "", f"is not UTF-8 (byte {error.start})", "Save the file as UTF-8.")
    except json.JSONDecodeError as error:
        return Flaw(number, "", f"is not JSON: {error.msg} at column {error.colno}", "Write one object a line.")
    except (ValueError, RecursionError):
        return Flaw(number, "", "holds a number or nesting beyond all measure", "Leave it out.")
    if not isinstance(value, dict):
        return Flaw(number, "", "is not a JSON object", "Write one object a line.")
    return Record(number, value)


class _Text:
    """The lines of CSV as text. Bytes that are not UTF-8 become lone surrogates, which are looked for later."""

    def __init__(self, stream: BinaryIO) -> None:
        self._lines = lines(stream)
        self.began = 0
        """Where the row at hand begins; 0 before its first line."""
        self.dropped: list[Flaw] = []

    def __iter__(self) -> _Text:
        return self

    def __next__(self) -> str:
        for number, line in self._lines:
            if line is not None:
                self.began = self.began or number
                return line.decode(errors="surrogateescape")
            self.dropped.append(too_long(number))
        raise StopIteration


def _csv(stream: BinaryIO) -> Iterator[Record | Flaw]:
    text = _Text(stream)
    first = next(text, "")
    # A cell may be as long as a line; the module's own limit is 128 KiB.
    csv.field_size_limit(MAX_LINE_BYTES)
    delimiter = max(_DELIMITERS, key=first.count)
    header = _header(next(csv.reader([first], delimiter=delimiter), []))
    rows = csv.reader(text, delimiter=delimiter, strict=True)
    while True:
        text.began = 0
        try:
            cells = next(rows)
        except StopIteration:
            yield from text.dropped
            return
        except csv.Error as error:
            yield Flaw(text.began, "", f"is not CSV: {error}", "Close the quotes, and double those inside a cell.")
            continue
        yield from text.dropped
        text.dropped.clear()
        if cells:
            yield _row(text.began, header, cells)


def _header(cells: Sequence[str]) -> list[str]:
    names = [cell.strip() for cell in cells]
    doubled = next((name for place, name in enumerate(names) if name in names[:place]), None)
    if doubled is not None:
        raise Unreadable(f"the header names {doubled!r} twice", "Rename one of the columns.")
    if not any(names):
        raise Unreadable("the first line names no columns", "Give CSV a header.")
    return names


def _row(line: int, header: Sequence[str], cells: Sequence[str]) -> Record | Flaw:
    if len(cells) != len(header):
        hint = "Quote cells that hold the separator or a line break."
        return Flaw(line, "", f"has {len(cells)} cells where the header has {len(header)}", hint)
    for name, cell in zip(header, cells, strict=True):
        if not cell.isascii() and any("\udc80" <= character <= "\udcff" for character in cell):
            return Flaw(line, name, "is not UTF-8", "Save the file as UTF-8.")
    return Record(line, dict(zip(header, cells, strict=True)))


_UTF16 = "Save the file as UTF-8: iconv -f UTF-16 -t UTF-8 FILE > FILE.utf8"
_OTHERS = (
    (b"\x1f\x8b", "compressed (gzip)", "Unpack it first: gunzip -k FILE"),
    (b"PK\x03\x04", "an archive (zip)", "Unpack it first: unzip FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed (zstd)", "Unpack it first: zstd -d FILE"),
    (b"PAR1", "Parquet", "Export it as JSONL or CSV."),
    (b"\xff\xfe", "UTF-16", _UTF16),
    (b"\xfe\xff", "UTF-16", _UTF16),
)
