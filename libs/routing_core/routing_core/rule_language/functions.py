"""The functions and methods of the rule language."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from routing_core.errors import InvalidConfig
from routing_core.patterns import compile_pattern
from routing_core.rule_language.code import Typed
from routing_core.rule_language.operators import apply
from routing_core.rule_language.parser import INT_MAX, INT_MIN
from routing_core.rule_language.problem import Failure, Problem, did_you_mean
from routing_core.rule_language.schema import BOOL, DOUBLE, INT, STRING, TIME
from routing_core.rule_language.syntax import Call

MATCH_STEPS = 1000
"""What one `matches` costs of the step budget: it looks at each character of a text of this length."""
_DAY_S = 86_400
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
_CLOCK: dict[str, Callable[[int], int]] = {
    "getFullYear": lambda s: _civil(s // _DAY_S)[0],
    "getMonth": lambda s: _civil(s // _DAY_S)[1] - 1,
    "getDate": lambda s: _civil(s // _DAY_S)[2],
    "getDayOfMonth": lambda s: _civil(s // _DAY_S)[2] - 1,
    "getDayOfWeek": lambda s: (s // _DAY_S + 4) % 7,
    "getHours": lambda s: s // 3600 % 24,
    "getMinutes": lambda s: s // 60 % 60,
    "getSeconds": lambda s: s % 60,
}
"""Parts of a time, from seconds since 1970 in the wanted zone."""
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
    offset_s = 0
    if call.args:
        _count(call, 1)
        offset_s = _offset(call)
    part, run = _CLOCK[call.node.name], base.run

    def read(env: object) -> int:
        at_ms = run(env)  # type: ignore[arg-type]  # env is passed through
        assert isinstance(at_ms, int)
        return part(at_ms // 1000 + offset_s)

    return Typed(INT, read, call.steps())


def _offset(call: Arguments) -> int:
    """Seconds east of UTC."""
    name = call.args[0].constant
    if name in ("UTC", "Z"):
        return 0
    match = _OFFSET.fullmatch(name) if isinstance(name, str) else None
    if match is None:
        hint = "Use a fixed offset such as '+02:00', or 'UTC': a zone's rules change, and a replay must not."
        raise Problem(call.node.args[0].pos, "not a time offset", hint)
    seconds = (int(match[2]) * 60 + int(match[3])) * 60
    return seconds if match[1] == "+" else -seconds


def _civil(days: int) -> tuple[int, int, int]:
    """Year, month and day of a number of days since 1970-01-01.

    After H. Hinnant, "chrono-compatible low-level date algorithms": years are counted from March, so that the leap day
    is the last of its year.
    """
    era, day = divmod(days + 719_468, 146_097)
    year = (day - day // 1460 + day // 36_524 - day // 146_096) // 365
    day -= 365 * year + year // 4 - year // 100
    month = (5 * day + 2) // 153
    return year + era * 400 + (month >= 10), month + 3 if month < 10 else month - 9, day - (153 * month + 2) // 5 + 1


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
