"""The functions and methods of the rule language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from routing_core.errors import InvalidConfig
from routing_core.patterns import compile_pattern
from routing_core.rules.code import Typed
from routing_core.rules.operators import apply
from routing_core.rules.parser import INT_MAX, INT_MIN
from routing_core.rules.problem import Failure, Problem, did_you_mean
from routing_core.rules.schema import BOOL, DOUBLE, INT, STRING, TIME
from routing_core.rules.syntax import Call

MATCH_STEPS = 1000
"""What one `matches` costs of the step budget: it looks at each character of a text of this length."""
_MATCH_CHARACTERS = 512
_WHOLE = re.compile(r"[+-]?[0-9]{1,19}", re.ASCII)
_REAL = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?", re.ASCII)
_OFFSET = re.compile(r"([+-])(0\d|1[0-4]):?([0-5]\d)", re.ASCII)

_TEXT: dict[str, Callable[..., bool]] = {
    "contains": lambda text, part: part in text,
    "startsWith": str.startswith,
    "endsWith": str.endswith,
}
_CASE: dict[str, Callable[[str], str]] = {
    "lowerAscii": lambda text: "".join([c.lower() if c.isascii() else c for c in text]),
    "upperAscii": lambda text: "".join([c.upper() if c.isascii() else c for c in text]),
}
_CLOCK: dict[str, Callable[[datetime], int]] = {
    "getFullYear": lambda t: t.year,
    "getMonth": lambda t: t.month - 1,
    "getDate": lambda t: t.day,
    "getDayOfMonth": lambda t: t.day - 1,
    "getDayOfWeek": lambda t: t.isoweekday() % 7,
    "getHours": lambda t: t.hour,
    "getMinutes": lambda t: t.minute,
    "getSeconds": lambda t: t.second,
}
METHODS = frozenset((*_TEXT, *_CASE, *_CLOCK, "matches", "size", "exists", "all", "exists_one"))
FUNCTIONS = frozenset(("size", "int", "double", "string", "has"))


@dataclass(frozen=True, slots=True)
class Arguments:
    """A call with its parts already checked."""

    node: Call
    base: Typed | None
    args: tuple[Typed, ...]

    def steps(self) -> int:
        return 1 + sum(arg.steps for arg in self.args) + (self.base.steps if self.base else 0)


def method(call: Arguments, base: Typed) -> Typed:
    """`base.name(args)` for all but the macros."""
    name = call.node.name
    if name in _TEXT:
        _needs(call, base, STRING, 1, STRING)
        return apply(_TEXT[name], base, call.args[0], BOOL)
    if name in _CASE:
        _needs(call, base, STRING, 0)
        return _mapped(_CASE[name], base, call, STRING)
    if name in _CLOCK:
        return _clock(call, base)
    if name == "matches":
        return _matches(call, base)
    if name == "size":
        return _size(call, base)
    hint = did_you_mean(name, METHODS)
    if name in FUNCTIONS:
        hint = f"Write {name}(...) around the value."
    raise Problem(call.node.pos, f"unknown method {name[:60]!r}", hint)


def function(call: Arguments) -> Typed:
    """`name(args)` for all but the macros."""
    name = call.node.name
    if name not in FUNCTIONS:
        hint = did_you_mean(name, FUNCTIONS | METHODS)
        if name in METHODS:
            hint = f"{name} is a method: write value.{name}(...)."
        raise Problem(call.node.pos, f"unknown function {name[:60]!r}", hint)
    _count(call, 1)
    (arg,) = call.args
    if name == "size":
        return _size(Arguments(call.node, arg, ()), arg)
    converters = {"int": (_to_int, INT), "double": (_to_double, DOUBLE), "string": (_to_text, STRING)}
    convert, result = converters[name]
    if arg.type not in (INT, DOUBLE, STRING) and not (name == "string" and arg.type is BOOL):
        raise Problem(call.node.pos, f"{name}() cannot convert {arg.type}")
    return _mapped(convert, arg, call, result)


def _mapped(function: Callable[..., object], arg: Typed, call: Arguments, result: object) -> Typed:
    run = arg.run
    assert result in (INT, DOUBLE, STRING)
    kind = INT if result is INT else DOUBLE if result is DOUBLE else STRING
    return Typed(kind, lambda env: function(run(env)), call.steps())


def _size(call: Arguments, base: Typed) -> Typed:
    if base.type is not STRING and base.type.name not in ("list", "map"):
        raise Problem(call.node.pos, f"{base.type} has no size")
    if call.args:
        _count(call, 0)
    return _mapped(len, base, call, INT)


def _matches(call: Arguments, base: Typed) -> Typed:
    _needs(call, base, STRING, 1, STRING)
    source = call.args[0].constant
    if not isinstance(source, str):
        raise Problem(call.node.pos, "the pattern of matches() must be written out as text")
    try:
        pattern = compile_pattern(source)
    except InvalidConfig as error:
        raise Problem(call.node.args[0].pos, f"{error.message} ({error.where} of the pattern)", error.hint) from error
    run = base.run

    def search(env: object) -> bool:
        text = run(env)  # type: ignore[arg-type]  # env is passed through
        assert isinstance(text, str)
        if len(text) > _MATCH_CHARACTERS:
            raise Failure(f"text over {_MATCH_CHARACTERS:,} characters in matches()")
        return pattern.search(text)

    return Typed(BOOL, search, call.steps() + MATCH_STEPS)


def _clock(call: Arguments, base: Typed) -> Typed:
    if base.type is not TIME:
        raise Problem(call.node.pos, f"{call.node.name}() is a method of now, not of {base.type}")
    zone: timezone = UTC
    if call.args:
        _count(call, 1)
        zone = _zone(call)
    part, run = _CLOCK[call.node.name], base.run
    start = datetime(1970, 1, 1, tzinfo=UTC)

    def read(env: object) -> int:
        at_ms = run(env)  # type: ignore[arg-type]  # env is passed through
        assert isinstance(at_ms, int)
        try:
            return part((start + timedelta(milliseconds=at_ms)).astimezone(zone))
        except OverflowError:
            raise Failure("a time outside the years 1 to 9999") from None

    return Typed(INT, read, call.steps())


def _zone(call: Arguments) -> timezone:
    name = call.args[0].constant
    if name in ("UTC", "Z"):
        return UTC
    match = _OFFSET.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        hint = "Use a fixed offset such as '+02:00', or 'UTC': a zone's rules change, and a replay must not."
        raise Problem(call.node.args[0].pos, "not a time offset", hint)
    minutes = int(match[2]) * 60 + int(match[3])
    return timezone(timedelta(minutes=minutes if match[1] == "+" else -minutes))


def _needs(call: Arguments, base: Typed, receiver: object, count: int, argument: object = None) -> None:
    if base.type is not receiver:
        raise Problem(call.node.pos, f"{call.node.name}() needs {receiver}, this is {base.type}")
    _count(call, count)
    for node, arg in zip(call.node.args, call.args, strict=True):
        if arg.type is not argument:
            raise Problem(node.pos, f"{call.node.name}() takes {argument}, this is {arg.type}")


def _count(call: Arguments, count: int) -> None:
    if len(call.args) != count:
        raise Problem(
            call.node.pos, f"{call.node.name}() takes {count} argument{'s' * (count != 1)}, not {len(call.args)}"
        )


def _to_int(value: float | str) -> int:
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise Failure(f"{value[:40]!r} is not an integer")
        value = int(value)
    elif not INT_MIN <= value <= INT_MAX:  # also catches infinities and NaN
        raise Failure("integer overflow")
    if not INT_MIN <= int(value) <= INT_MAX:
        raise Failure("integer overflow")
    return int(value)


def _to_double(value: float | str) -> float:
    if isinstance(value, str) and not _REAL.fullmatch(value):
        raise Failure(f"{value[:40]!r} is not a number")
    return float(value)


def _to_text(value: float | str) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
