"""The syntax tree of a rule. Each node knows its offset in the text and the height of the tree below it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Literal:
    value: bool | int | float | str | None
    pos: int
    height: int = 1


@dataclass(frozen=True, slots=True)
class Name:
    name: str
    pos: int
    height: int = 1


@dataclass(frozen=True, slots=True)
class Items:
    """A list literal."""

    items: tuple[Node, ...]
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Select:
    """`base.name`."""

    base: Node
    name: str
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Index:
    """`base[key]`."""

    base: Node
    key: Node
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Call:
    """`name(args)`, or `base.name(args)` where there is a base."""

    name: str
    base: Node | None
    args: tuple[Node, ...]
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Unary:
    """`!operand` or `-operand`."""

    op: str
    operand: Node
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Binary:
    op: str
    left: Node
    right: Node
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Chain:
    """`a && b && c` or `a || b || c`, kept flat so that long chains stay shallow."""

    op: str
    items: tuple[Node, ...]
    pos: int
    height: int


@dataclass(frozen=True, slots=True)
class Choice:
    """`condition ? then : otherwise`."""

    condition: Node
    then: Node
    otherwise: Node
    pos: int
    height: int


Node = Literal | Name | Items | Select | Index | Call | Unary | Binary | Chain | Choice
