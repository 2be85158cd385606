"""Parse a rule: precedence climbing over CEL's operators, with bounds on size and nesting."""

from __future__ import annotations

import math
from collections.abc import Iterator

from routing_core.rule_language.lexer import Token, tokens
from routing_core.rule_language.problem import Problem
from routing_core.rule_language.syntax import (
    Binary,
    Call,
    Chain,
    Choice,
    Index,
    Items,
    Literal,
    Name,
    Node,
    Select,
    Unary,
)

MAX_CHARACTERS = 100 * 1024
MAX_NODES = 10_000
MAX_HEIGHT = 32
"""Nesting, of parentheses as of operators. It keeps every recursion over a rule far from Python's limit."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
_BINARY = {"==": 3, "!=": 3, "<": 3, "<=": 3, ">": 3, ">=": 3, "in": 3, "+": 4, "-": 4, "*": 5, "/": 5, "%": 5}
_CONSTANTS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_WORDS = {"and": "&&", "or": "||", "not": "!", "AND": "&&", "OR": "||", "NOT": "!", "is": "=="}
_LOOKALIKES = {"True": "true", "TRUE": "true", "False": "false", "FALSE": "false", "None": "null", "NULL": "null"}
_RESERVED = frozenset(
    (
        *("as", "break", "const", "continue", "else", "for", "function", "if", "import", "in"),
        *("let", "loop", "package", "namespace", "return", "var", "void", "while"),
    )
)


def parse(text: str) -> Node:
    """The tree of a rule. Raises Problem when it is not one, or passes a bound."""
    if len(text) > MAX_CHARACTERS:
        raise Problem(
            0, f"the rule is too long: {len(text):,} of {MAX_CHARACTERS:,} characters", "Split it in several rules."
        )
    parser = _Parser(text)
    if parser.at_end():
        raise Problem(0, "the rule is empty", "Write a condition such as tags.team == 'search'.")
    node = parser.expression(0)
    if not parser.at_end():
        raise parser.unexpected("the rule should end here")
    return node


class _Parser:
    def __init__(self, text: str) -> None:
        self.stream: Iterator[Token] = tokens(text)
        self.nodes = 0
        self.token = next(self.stream)

    def advance(self) -> Token:
        token = self.token
        self.token = next(self.stream)
        return token

    def at_end(self) -> bool:
        return self.token.kind == "end"

    def accept(self, text: str) -> bool:
        if self.token.kind in ("op", "name") and self.token.text == text:
            self.advance()
            return True
        return False

    def expect(self, text: str) -> None:
        if not self.accept(text):
            raise self.unexpected(f"expected {text!r}")

    def unexpected(self, what: str) -> Problem:
        token = self.token
        found = "the end of the rule" if token.kind == "end" else repr(token.text)
        hint = f"Write {_WORDS[token.text]} instead." if token.kind == "name" and token.text in _WORDS else ""
        return Problem(token.pos, f"{what}, found {found}"[:200], hint)

    def grown(self, pos: int, *children: Node) -> int:
        """Count one more node; its height over these children."""
        self.nodes += 1
        if self.nodes > MAX_NODES:
            raise Problem(pos, f"the rule is too large: over {MAX_NODES:,} parts", "Split it in several rules.")
        height = 1 + max((child.height for child in children), default=0)
        if height > MAX_HEIGHT:
            raise Problem(pos, f"the rule is nested too deeply: over {MAX_HEIGHT} levels", "Take some levels apart.")
        return height

    def expression(self, depth: int) -> Node:
        if depth > MAX_HEIGHT:
            raise Problem(
                self.token.pos, f"the rule is nested too deeply: over {MAX_HEIGHT} levels", "Take some levels apart."
            )
        condition = self.chain("||", depth)
        pos = self.token.pos
        if not self.accept("?"):
            return condition
        then = self.chain("||", depth)
        self.expect(":")
        otherwise = self.expression(depth + 1)
        return Choice(condition, then, otherwise, pos, self.grown(pos, condition, then, otherwise))

    def chain(self, op: str, depth: int) -> Node:
        def operand() -> Node:
            return self.chain("&&", depth) if op == "||" else self.binary(3, depth)

        pos = self.token.pos
        items = [operand()]
        while self.accept(op):
            items.append(operand())
        return items[0] if len(items) == 1 else Chain(op, tuple(items), pos, self.grown(pos, *items))

    def binary(self, level: int, depth: int) -> Node:
        left = self.unary(depth)
        while (rank := self.rank()) >= level:
            token = self.advance()
            right = self.binary(rank + 1, depth)
            left = Binary(token.text, left, right, token.pos, self.grown(token.pos, left, right))
        return left

    def rank(self) -> int:
        return _BINARY.get(self.token.text, 0) if self.token.kind in ("op", "name") else 0

    def unary(self, depth: int) -> Node:
        marks: list[Token] = []
        while self.token.kind == "op" and self.token.text in "!-":
            marks.append(self.advance())
        if marks and marks[-1].text == "-" and self.token.kind in ("int", "double"):
            node = self.postfix(self.number(self.advance(), marks.pop()), depth)
        else:
            node = self.postfix(self.primary(depth), depth)
        for mark in reversed(marks):
            node = Unary(mark.text, node, mark.pos, self.grown(mark.pos, node))
        return node

    def postfix(self, node: Node, depth: int) -> Node:
        while self.token.kind == "op" and self.token.text in ".[":
            token = self.advance()
            if token.text == "[":
                key = self.expression(depth + 1)
                self.expect("]")
                node = Index(node, key, token.pos, self.grown(token.pos, node, key))
                continue
            name = self.token
            if name.kind != "name":
                raise self.unexpected("expected a name after '.'")
            self.advance()
            if self.accept("("):
                args = self.arguments(")", depth)
                node = Call(name.text, node, args, name.pos, self.grown(name.pos, node, *args))
            else:
                node = Select(node, name.text, name.pos, self.grown(name.pos, node))
        return node

    def primary(self, depth: int) -> Node:
        token = self.token
        if token.kind in ("int", "double"):
            return self.number(self.advance(), None)
        if token.kind == "string":
            self.advance()
            return Literal(token.text, token.pos, self.grown(token.pos))
        if token.kind == "name":
            return self.named(depth)
        if self.accept("("):
            node = self.expression(depth + 1)
            self.expect(")")
            return node
        if self.accept("["):
            items = self.arguments("]", depth)
            return Items(items, token.pos, self.grown(token.pos, *items))
        raise self.unexpected("expected a value")

    def named(self, depth: int) -> Node:
        token = self.advance()
        if token.text in _CONSTANTS:
            return Literal(_CONSTANTS[token.text], token.pos, self.grown(token.pos))
        if token.text in _LOOKALIKES:
            raise Problem(token.pos, f"unknown name {token.text!r}", f"Write {_LOOKALIKES[token.text]}.")
        if token.text in _WORDS or token.text in _RESERVED:
            hint = f"Write {_WORDS[token.text]} instead." if token.text in _WORDS else ""
            raise Problem(token.pos, f"{token.text!r} is a reserved word", hint)
        if self.accept("("):
            args = self.arguments(")", depth)
            return Call(token.text, None, args, token.pos, self.grown(token.pos, *args))
        return Name(token.text, token.pos, self.grown(token.pos))

    def arguments(self, closing: str, depth: int) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self.accept(closing):
            if items:
                self.expect(",")
                if closing == "]" and self.accept("]"):
                    break
            items.append(self.expression(depth + 1))
        return tuple(items)

    def number(self, token: Token, minus: Token | None) -> Literal:
        pos = token.pos if minus is None else minus.pos
        height = self.grown(pos)
        following = self.token
        if following.kind == "name" and following.pos == token.pos + len(token.text):
            hint = "Unsigned numbers are not supported: leave the u out." if following.text in "uU" else ""
            raise Problem(following.pos, f"unexpected {following.text!r} after a number"[:120], hint)
        sign = "" if minus is None else "-"
        if token.kind == "double":
            real = float(sign + token.text)
            if not math.isfinite(real):
                raise Problem(pos, f"{token.text[:40]} is too large for a double")
            return Literal(real, pos, height)
        # int() has a limit of its own; what is longer than this is out of range, or padded with zeros
        base = 16 if token.text[:2] in ("0x", "0X") else 10
        number = int(sign + token.text, base) if len(token.text) <= 20 else INT_MAX + 1
        if not INT_MIN <= number <= INT_MAX:
            raise Problem(
                pos, f"{(sign + token.text)[:40]} does not fit in 64 bits", "Write it as a double, such as 1e19."
            )
        return Literal(number, pos, height)
