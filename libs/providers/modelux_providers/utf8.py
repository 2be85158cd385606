"""Refuse answers that are not UTF-8: no reader of JSON could make anything of them, and some would fail on the way."""

from __future__ import annotations

import codecs

from modelux_providers.client_errors import InvalidResponse

_decoder = codecs.getincrementaldecoder("utf-8")


class Utf8:
    """Checks one answer, in whatever pieces it comes; a character may be split between two."""

    __slots__ = ("_decode", "_inside")

    def __init__(self) -> None:
        self._decode: codecs.IncrementalDecoder | None = None
        self._inside = False
        """The last piece ended within a character."""

    def checked(self, data: bytes, *, last: bool = False) -> bytes:
        """The piece itself. Raises InvalidResponse."""
        if not self._inside and data.isascii():
            return data
        if self._decode is None:
            self._decode = _decoder()
        try:
            self._decode.decode(data, last)
        except UnicodeDecodeError:
            raise InvalidResponse("the answer is not UTF-8") from None
        self._inside = bool(self._decode.getstate()[0])
        return data


def mended(data: bytes) -> bytes:
    """The same with U+FFFD for what is not UTF-8: for the text of errors."""
    return data if data.isascii() else data.decode("utf-8", "replace").encode()
