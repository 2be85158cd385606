"""Parse a regular expression of the linear-time subset into a small program of character tests, splits and anchors.

Supported: literals, `.`, classes `[a-z]` and `[^...]`, `\\d \\w \\s` and their negations (ASCII), escapes, `^ $`,
groups `( )` and `(?: )`, `|`, `* + ? {m} {m,} {m,n}` (a trailing `?` is accepted and means nothing: only whether
there is a match counts), and a leading `(?i)`. Refused: back-references, look-around, named groups, word boundaries.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from routing_core.errors import InvalidConfig

MAX_CHARACTERS = 256
MAX_PROGRAM = 150
_MAX_REPEAT = 100
_MAX_DEPTH = 20
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v"}
_CLASSES: dict[str, tuple[tuple[str, str], ...]] = {
    "d": (("0", "9"),),
    "w": (("0", "9"), ("A", "Z"), ("_", "_"), ("a", "z")),
    "s": (("\t", "\r"), (" ", " ")),
}


@dataclass(frozen=True, slots=True)
class Characters:
    """A set of characters as inclusive ranges."""

    ranges: tuple[tuple[str, str], ...]
    negated: bool = False
    any_case: bool = False

    def test(self, character: str) -> bool:
        return self._within(character) is not self.negated

    def _within(self, character: str) -> bool:
        if any(low <= character <= high for low, high in self.ranges):
            return True
        if not self.any_case:
            return False
        swapped = character.swapcase()
        return any(low <= swapped <= high for low, high in self.ranges)


@dataclass(frozen=True, slots=True)
class Operation:
    """`test` one character and go on; `split` to both targets; an anchor; or `match`."""

    kind: Literal["test", "split", "start", "end", "match"]
    characters: Characters | None = None
    targets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class _Anchor:
    kind: Literal["start", "end"]


@dataclass(frozen=True, slots=True)
class _Series:
    items: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Either:
    branches: tuple[_Node, ...]


@dataclass(frozen=True, slots=True)
class _Repeat:
    item: _Node
    low: int
    high: int | None


_Node = Characters | _Anchor | _Series | _Either | _Repeat


def program(text: str) -> tuple[Operation, ...]:
    """The program of a pattern; it starts at 0. Raises InvalidConfig with `where="column N"` of the pattern."""
    if len(text) > MAX_CHARACTERS:
        raise InvalidConfig(
            f"the pattern is too long: {len(text)} of {MAX_CHARACTERS} characters",
            where="column 1",
            code="invalid_pattern",
        )
    parser = _Parser(text)
    node = parser.either(0)
    if parser.pos < len(text):
        raise parser.error("unbalanced ')'")
    operations: list[Operation] = []
    _emit(node, operations)
    operations.append(Operation("match"))
    return tuple(operations)


class _Parser:
    def __init__(self, text: str) -> None:
        self.any_case = text.startswith("(?i)")
        self.text = text
        self.pos = 4 if self.any_case else 0

    def error(self, message: str, hint: str = "", pos: int | None = None) -> InvalidConfig:
        at = self.pos if pos is None else pos
        return InvalidConfig(message, where=f"column {at + 1}", hint=hint, code="invalid_pattern")

    def peek(self) -> str:
        return self.text[self.pos] if self.pos < len(self.text) else ""

    def take(self, what: str) -> str:
        character = self.peek()
        if not character:
            raise self.error(f"the pattern ends inside {what}")
        self.pos += 1
        return character

    def either(self, depth: int) -> _Node:
        if depth > _MAX_DEPTH:
            raise self.error(f"groups are nested too deeply: over {_MAX_DEPTH}")
        branches = [self.series(depth)]
        while self.peek() == "|":
            self.pos += 1
            branches.append(self.series(depth))
        return branches[0] if len(branches) == 1 else _Either(tuple(branches))

    def series(self, depth: int) -> _Node:
        items: list[_Node] = []
        while self.peek() not in ("", "|", ")"):
            items.append(self.repeated(self.atom(depth)))
        return _Series(tuple(items))

    def repeated(self, item: _Node) -> _Node:
        bounds = self.bounds()
        if bounds is None:
            return item
        if isinstance(item, _Anchor):
            raise self.error("an anchor cannot be repeated", pos=self.pos - 1)
        if self.peek() == "?":
            self.pos += 1
        if self.peek() in ("*", "+", "?"):
            raise self.error("nothing to repeat")
        return _Repeat(item, *bounds)

    def bounds(self) -> tuple[int, int | None] | None:
        simple: dict[str, tuple[int, int | None]] = {"*": (0, None), "+": (1, None), "?": (0, 1)}
        character = self.peek()
        if character in simple:
            self.pos += 1
            return simple[character]
        if character != "{":
            return None
        end = self.text.find("}", self.pos)
        low, comma, high = self.text[self.pos + 1 : max(end, self.pos + 1)].partition(",")
        if end < 0 or not _digits(low) or (high and not _digits(high)):
            raise self.error("not a repeat count", "Write \\{ for a brace.")
        first, last = int(low), int(high) if high else (None if comma else int(low))
        if first > _MAX_REPEAT or (last is not None and not first <= last <= _MAX_REPEAT):
            raise self.error(f"a repeat count runs from low to high, up to {_MAX_REPEAT}")
        self.pos = end + 1
        return first, last

    def atom(self, depth: int) -> _Node:
        start = self.pos
        character = self.take("an expression")
        match character:
            case "(":
                return self.group(start, depth)
            case "[":
                return self.bracket(start)
            case "\\":
                ranges, negated = self.escape()
                return Characters(ranges, negated, self.any_case)
            case ".":
                return Characters((("\n", "\n"),), negated=True)
            case "^":
                return _Anchor("start")
            case "$":
                return _Anchor("end")
            case "*" | "+" | "?" | "{":
                raise self.error("nothing to repeat", f"Write \\{character} for the character itself.", start)
            case _:
                return Characters(((character, character),), any_case=self.any_case)

    def group(self, start: int, depth: int) -> _Node:
        if self.text.startswith("?:", self.pos):
            self.pos += 2
        elif self.peek() == "?":
            raise self.error(
                "only plain groups and (?: ) are supported", "Look-around and named groups are not.", start
            )
        node = self.either(depth + 1)
        if self.peek() != ")":
            raise self.error("this group is not closed", pos=start)
        self.pos += 1
        return node

    def escape(self) -> tuple[tuple[tuple[str, str], ...], bool]:
        start = self.pos - 1
        character = self.take("an escape")
        if character.lower() in _CLASSES:
            return _CLASSES[character.lower()], character.isupper()
        plain = _ESCAPES.get(character, character)
        if plain == character and character.isalnum():
            raise self.error(f"\\{character} is not supported", "Back-references and word boundaries are not.", start)
        return ((plain, plain),), False

    def bracket(self, start: int) -> Characters:
        negated = self.peek() == "^"
        self.pos += negated
        ranges: list[tuple[str, str]] = []
        first = True
        while first or self.peek() != "]":
            if not self.peek():
                raise self.error("this class is not closed", pos=start)
            first = False
            ranges.extend(self.span())
        self.pos += 1
        return Characters(tuple(ranges), negated, self.any_case)

    def span(self) -> tuple[tuple[str, str], ...]:
        start = self.pos
        low = self.member()
        following = self.text[self.pos + 1 : self.pos + 2]
        if self.peek() != "-" or following in ("", "]"):
            return low
        self.pos += 1
        high = self.member()
        if len(low) != 1 or len(high) != 1 or low[0][0] != low[0][1] or high[0][0] != high[0][1] or low[0] > high[0]:
            raise self.error("not a range", "Write the lower character first, as in a-z.", start)
        return ((low[0][0], high[0][0]),)

    def member(self) -> tuple[tuple[str, str], ...]:
        character = self.take("a class")
        if character != "\\":
            return ((character, character),)
        ranges, negated = self.escape()
        if negated:
            raise self.error("a negated class cannot stand within another", pos=self.pos - 2)
        return ranges


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 4


def _emit(node: _Node, out: list[Operation]) -> None:
    if len(out) > MAX_PROGRAM:
        message = f"the pattern is too large: over {MAX_PROGRAM} parts"
        raise InvalidConfig(
            message, where="column 1", hint="Repeat counts multiply what they repeat.", code="invalid_pattern"
        )
    match node:
        case Characters():
            out.append(Operation("test", node, (len(out) + 1,)))
        case _Anchor(kind=kind):
            out.append(Operation(kind, None, (len(out) + 1,)))
        case _Series(items=items):
            for item in items:
                _emit(item, out)
        case _Either(branches=branches):
            _emit_either(branches, out)
        case _Repeat():
            _emit_repeat(node, out)


def _emit_either(branches: tuple[_Node, ...], out: list[Operation]) -> None:
    ends: list[int] = []
    for branch in branches[:-1]:
        fork = len(out)
        out.append(Operation("split"))
        _emit(branch, out)
        ends.append(len(out))
        out.append(Operation("split"))
        out[fork] = Operation("split", None, (fork + 1, len(out)))
    _emit(branches[-1], out)
    for end in ends:
        out[end] = Operation("split", None, (len(out),))


def _emit_repeat(node: _Repeat, out: list[Operation]) -> None:
    for _ in range(node.low):
        _emit(node.item, out)
    if node.high is None:
        fork = len(out)
        out.append(Operation("split"))
        _emit(node.item, out)
        out.append(Operation("split", None, (fork,)))
        out[fork] = Operation("split", None, (fork + 1, len(out)))
        return
    forks: list[int] = []
    for _ in range(node.high - node.low):
        forks.append(len(out))
        out.append(Operation("split"))
        _emit(node.item, out)
    for fork in forks:
        out[fork] = Operation("split", None, (fork + 1, len(out)))
