"""Files of rows become records with their line numbers, and what cannot be read is told and passed over."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_management.imports import records
from modelux_management.imports.records import MAX_LINE_BYTES, Flaw, Record, Unreadable, format_of

HEADER = b"model,prompt,tokens\n"


def read(content: bytes) -> list[Record | Flaw]:
    return list(records.records(io.BytesIO(content), format_of(content[:4096])))


def told(content: bytes) -> list[tuple[int, object]]:
    """Each row's line with its first value, or with what is wrong."""
    return [(r.line, r.message if isinstance(r, Flaw) else next(iter(r.values.values()))) for r in read(content)]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        pytest.param(b'{"a": 1}\n{"a": 2}', [(1, 1), (2, 2)], id="no last line break"),
        pytest.param(b'\xef\xbb\xbf{"a": 1}\r\n\r\n{"a": 2}\r\n', [(1, 1), (3, 2)], id="BOM, CRLF and a blank line"),
        pytest.param(b'{"a": 1}\n{"a": \n{"a": 3}\n', [(1, 1), (2, "JSON"), (3, 3)], id="broken line"),
        pytest.param(b'{"a": 1}\n[1]\n7\n', [(1, 1), (2, "object"), (3, "object")], id="not objects"),
        pytest.param(b'{"a": 1}\n{"a": "\xff"}\n', [(1, 1), (2, "UTF-8")], id="latin-1"),
        pytest.param(b'{"a": 1}\n' + b'{"a":' * 100_000 + b"\n", [(1, 1), (2, "beyond")], id="nested"),
        pytest.param(b'{"a": 1}\n{"a": ' + b"9" * 5000 + b"}\n", [(1, 1), (2, "beyond")], id="5,000 digits"),
        pytest.param(b'{"a": "' + b"x" * (10 << 20) + b'"}\n{"a": 2}\n', [(1, "4 MiB"), (2, 2)], id="10 MiB line"),
        pytest.param(HEADER + b"a,b,1\n\nc,d,2\n", [(2, "a"), (4, "c")], id="CSV with a blank line"),
        pytest.param(b"\xef\xbb\xbfmodel;b\r\nx;y\r\n", [(2, "x")], id="semicolons, BOM, CRLF"),
        pytest.param(b"model\tb\nx,1\ty\n", [(2, "x,1")], id="tabs"),
        pytest.param(
            HEADER + b'a,"he said ""hi"",\nand\r\nleft",1\nb,c,2\n', [(2, "a"), (5, "b")], id="quotes and line breaks"
        ),
        pytest.param(HEADER + b"a,b\nc,d,2\n", [(2, "2 cells"), (3, "c")], id="a cell too few"),
        pytest.param(HEADER + b'a,b,1\nc,"d,2\n', [(2, "a"), (3, "CSV")], id="a quote that is not closed"),
        pytest.param(HEADER + b"a,\xff,1\nb,c,2\n", [(2, "UTF-8"), (3, "b")], id="latin-1 in CSV"),
        pytest.param(
            HEADER + b"a," + b"x" * (10 << 20) + b",1\nb,c,2\n", [(2, "4 MiB"), (3, "b")], id="10 MiB line of CSV"
        ),
        pytest.param(HEADER, [], id="a header alone"),
    ],
)
def test_rows_keep_their_lines(content: bytes, expected: Sequence[tuple[int, object]]) -> None:
    found = told(content)
    assert [line for line, _ in found] == [line for line, _ in expected]
    for (_, value), (_, wanted) in zip(found, expected, strict=True):
        assert value == wanted or str(wanted) in str(value)


def test_a_cell_is_kept_as_it_stands() -> None:
    (row,) = read(HEADER + b'gpt-4o,"a ""b"",\r\nc",7\n')
    assert isinstance(row, Record)
    assert row.values == {"model": "gpt-4o", "prompt": 'a "b",\r\nc', "tokens": "7"}


def test_a_quote_left_open_does_not_hold_the_file_in_memory() -> None:
    """The field that it opens ends at the limit of a line, and the rest of the file is read on."""
    rows = b"a,b,1\n" * 10
    content = HEADER + b'x,"open,1\n' + (b"y" * 1000 + b"\n") * (MAX_LINE_BYTES // 1000) + rows
    found = read(content)
    assert isinstance(found[0], Flaw)
    assert (found[0].line, "CSV" in found[0].message) == (2, True)
    assert sum(isinstance(each, Record) for each in found) == 10


@pytest.mark.parametrize(
    ("content", "message", "hint"),
    [
        (b"", "empty", "header"),
        (b"\xef\xbb\xbf \r\n\n", "empty", "header"),
        (b'[{"a": 1}]', "JSON array", "jq -c"),
        (b"\x1f\x8b\x08\x00", "gzip", "gunzip"),
        (b"PK\x03\x04", "zip", "unzip"),
        (b"\xff\xfem\x00", "UTF-16", "iconv"),
        (b"PAR1", "Parquet", "CSV"),
    ],
)
def test_what_is_no_file_of_rows_is_named_with_a_remedy(content: bytes, message: str, hint: str) -> None:
    with pytest.raises(Unreadable, match=message) as refused:
        read(content)
    assert hint in refused.value.hint


def test_a_header_that_names_a_column_twice_is_refused() -> None:
    with pytest.raises(Unreadable, match="'a' twice"):
        read(b"a,b,a\n1,2,3\n")


@given(st.binary(max_size=300), st.sampled_from([b"{", b"a,b\n"]))
def test_no_bytes_break_the_reader(content: bytes, head: bytes) -> None:
    kind = format_of(head)
    lines = [each.line for each in records.records(io.BytesIO(head + content), kind)]
    assert lines == sorted(lines)
