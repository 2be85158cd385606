"""Cut the text of a rule into tokens."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from routing_core.rule_language.problem import Problem

Kind = Literal["int", "double", "string", "name", "op", "end"]

_TOKEN = re.compile(
    r"(?P<space>[ \t\r\n]+|//[^\n]*)"
    r"|(?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)"
    r"|(?P<int>0[xX][0-9a-fA-F]+|\d+)"
    r"|(?P<string>[rR]?(?:\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<op>\|\||&&|==|!=|<=|>=|[-+*/%<>!?:.,()\[\]])",
)
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-3][0-7]{2})|(.))", re.DOTALL)
_SIMPLE = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"} | {c: c for c in "\\'\"`?"}
_HINTS = {
    "=": "To compare, write ==.",
    "&": "To join conditions, write &&.",
    "|": "To join conditions, write ||.",
    "{": "A rule is a bare expression: no braces, templates or map literals.",
    "`": "Quote text with ' or \".",
    '"': "This text has no closing quote.",
    "'": "This text has no closing quote.",
}


@dataclass(frozen=True, slots=True)
class Token:
    kind: Kind
    text: str
    """The source text; for strings, their value."""
    pos: int


def tokens(text: str) -> Iterator[Token]:
    """Tokens one by one, ended by one `end`. Raises Problem at the first character that starts none."""
    pos = 0
    while pos < len(text):
        match = _TOKEN.match(text, pos)
        if match is None:
            raise _unexpected(text[pos], pos)
        kind = match.lastgroup
        if kind == "string":
            yield Token("string", _unquoted(match.group(), pos), pos)
        elif kind in ("int", "double", "name", "op"):
            yield Token(kind, match.group(), pos)  # type: ignore[arg-type]  # the pattern's group names are kinds
        pos = match.end()
    yield Token("end", "", pos)


def _unquoted(source: str, pos: int) -> str:
    for offset, character in enumerate(source):
        if unicodedata.category(character) in ("Cf", "Cc", "Cs") and character != "\t":
            message = f"invisible character {_named(character)} in text"
            raise Problem(pos + offset, message, "Write it as an escape such as \\u200d.")
    if source[0] in "rR":
        return source[2:-1]

    def plain(match: re.Match[str]) -> str:
        code = match[1] or match[2] or match[3]
        number = int(code, 16) if code else int(match[4], 8) if match[4] else None
        if number is not None:
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:
                raise Problem(pos + 1 + match.start(), f"{match[0]} is not a character")
            return chr(number)
        if match[5] not in _SIMPLE:
            hint = "Write \\\\ for a backslash, or r'...' for text without escapes."
            raise Problem(pos + 1 + match.start(), f"unknown escape {match[0]!r}", hint)
        return _SIMPLE[match[5]]

    return _ESCAPE.sub(plain, source[1:-1])


def _unexpected(character: str, pos: int) -> Problem:
    shown = repr(character) if " " < character <= "~" else _named(character)
    hint = _HINTS.get(character, "")
    if character > "\x7f":
        hint = "Names and operators are plain ASCII; this may be a look-alike of the letter you meant."
    return Problem(pos, f"unexpected {shown}", hint)


def _named(character: str) -> str:
    return f"U+{ord(character):04X} {unicodedata.name(character, 'unnamed')}"
