"""Answers are UTF-8 however they are cut, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_providers.client_errors import InvalidResponse
from modelux_providers.utf8 import Utf8, mended


@given(st.text(), st.integers(1, 4))
def test_text_passes_however_it_is_cut(text, size):
    data = text.encode()
    check = Utf8()
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    assert b"".join(check.checked(piece) for piece in pieces) == data
    check.checked(b"", last=True)


@given(st.binary(), st.integers(1, 4))
def test_what_is_refused_is_what_python_cannot_decode(data, size):
    try:
        data.decode()
        good = True
    except UnicodeDecodeError:
        good = False
    check = Utf8()
    try:
        for at in range(0, len(data), size):
            check.checked(data[at : at + size], last=at + size >= len(data))
    except InvalidResponse:
        assert not good
    else:
        assert good


@pytest.mark.parametrize("data", [b"plain", "é😀".encode(), b"a\xffb", b"\xed\xa0\x80"])
def test_errors_are_mended(data):
    assert mended(data).decode() == data.decode("utf-8", "replace")
