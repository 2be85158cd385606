"""What the operators of CEL do to values: checked 64-bit integers, doubles, text; errors as `Failure`."""

from __future__ import annotations

import operator
from collections.abc import Callable

from routing_core.rule_language.code import Code, Env, Typed
from routing_core.rule_language.parser import INT_MAX, INT_MIN
from routing_core.rule_language.problem import Failure, Problem
from routing_core.rule_language.schema import BOOL, DOUBLE, INT, NULL, STRING, Type
from routing_core.rule_language.syntax import Binary

NUMBERS = (INT, DOUBLE)
MAX_TEXT = 64 * 1024

_COMPARE: dict[str, Callable[..., bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def _checked(result: int) -> int:
    if INT_MIN <= result <= INT_MAX:
        return result
    raise Failure("integer overflow")


def _int_divide(left: int, right: int) -> int:
    if right == 0:
        raise Failure("division by zero")
    quotient = abs(left) // abs(right)
    return _checked(quotient if (left < 0) == (right < 0) else -quotient)


def _int_remainder(left: int, right: int) -> int:
    return left - right * _int_divide(left, right)


def _real_divide(left: float, right: float) -> float:
    if right == 0:
        raise Failure("division by zero")
    return left / right


def _real_multiply(left: float, right: float) -> float:
    return float(left) * float(right)


def _real_add(left: float, right: float) -> float:
    return float(left) + float(right)


def _join(left: str, right: str) -> str:
    if len(left) + len(right) > MAX_TEXT:
        raise Failure(f"text over {MAX_TEXT:,} characters")
    return left + right


_INT: dict[str, Callable[..., int]] = {
    "+": lambda a, b: _checked(a + b),
    "-": lambda a, b: _checked(a - b),
    "*": lambda a, b: _checked(a * b),
    "/": _int_divide,
    "%": _int_remainder,
}
_REAL: dict[str, Callable[..., float]] = {
    "+": _real_add,
    "-": lambda a, b: float(a) - float(b),
    "*": _real_multiply,
    "/": _real_divide,
}


def apply(function: Callable[..., object], left: Typed, right: Typed, result: Type) -> Typed:
    """`function(left, right)`, with a shorter path for a constant on the right: the common case."""
    one, two, steps = left.run, right.run, left.steps + right.steps + 1
    if right.constant is not None:
        fixed = right.constant
        return Typed(result, lambda env: function(one(env), fixed), steps)
    return Typed(result, lambda env: function(one(env), two(env)), steps)


def binary(node: Binary, left: Typed, right: Typed) -> Typed:
    """Type-check and build one operator. Raises Problem where it has no meaning for these types."""
    if node.op in ("==", "!="):
        return _equality(node, left, right)
    if node.op == "in":
        return _membership(node, left, right)
    one, two = left.type, right.type
    if node.op in _COMPARE and ((one in NUMBERS and two in NUMBERS) or (one is STRING and two is STRING)):
        return apply(_COMPARE[node.op], left, right, BOOL)
    if one is INT and two is INT and node.op in _INT:
        return apply(_INT[node.op], left, right, INT)
    if one in NUMBERS and two in NUMBERS and node.op in _REAL:
        return apply(_REAL[node.op], left, right, DOUBLE)
    if one is STRING and two is STRING and node.op == "+":
        return apply(_join, left, right, STRING)
    raise _mismatch(node, one, two)


def _equality(node: Binary, left: Typed, right: Typed) -> Typed:
    if NULL in (left.type, right.type):
        return _null_check(node, left, right)
    same = left.type == right.type or (left.type in NUMBERS and right.type in NUMBERS)
    if not same or left.type.name in ("map", "budget", "request", "timestamp"):
        raise _mismatch(node, left.type, right.type)
    return apply(_COMPARE[node.op], left, right, BOOL)


def _null_check(node: Binary, left: Typed, right: Typed) -> Typed:
    """`field == null`: true where the field is absent."""
    value = left if right.type is NULL else right
    wanted = node.op == "=="
    if value.type is NULL:
        return Typed(BOOL, lambda env: wanted, constant=wanted)
    look: Code | None = value.maybe
    if look is None:
        raise Problem(node.pos, f"this {value.type} is never null")
    found = look
    return Typed(BOOL, lambda env: (found(env) is None) is wanted, left.steps + right.steps + 1)


def _membership(node: Binary, left: Typed, right: Typed) -> Typed:
    container, item = right.type, right.type.item
    if container.name == "list" and item is not None:
        if left.type != item and not (left.type in NUMBERS and item in NUMBERS):
            raise _mismatch(node, left.type, container)
        if isinstance(right.constant, tuple):
            members, one = frozenset(right.constant), left.run
            return Typed(BOOL, lambda env: one(env) in members, left.steps + right.steps + 1)
        return apply(lambda value, items: value in items, left, right, BOOL)
    if container.name == "map" and left.type is STRING:
        key, look = left.run, right.run
        return Typed(BOOL, lambda env: _get(look, env, key(env)) is not None, left.steps + right.steps + 1)
    raise _mismatch(node, left.type, container)


def _get(look: Code, env: Env, key: object) -> object:
    return getattr(look(env), "get")(key)  # noqa: B009  # maps are any object with `get`


def _mismatch(node: Binary, left: Type, right: Type) -> Problem:
    hint = ""
    maps = [t for t in (left, right) if t.name == "map"]
    if maps and maps[0].item is not STRING:
        hint = "This field holds one value per key: name the key, as in cost_usd['gpt-4o']."
    elif node.op == "in" and right is STRING:
        hint = "To look for text in text, write text.contains('part')."
    elif {left, right} == {INT, STRING} or {left, right} == {DOUBLE, STRING}:
        hint = "Convert the text first, as in int(tags.priority), or drop the quotes of the number."
    return Problem(node.pos, f"{node.op} cannot be applied to {left} and {right}", hint)
