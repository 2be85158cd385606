"""Turn the tree of a rule into typed closures: names against the schema, operators against types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from routing_core.rule_language.code import Code, Env, Scope, Typed, constant
from routing_core.rule_language.functions import Arguments, function, method
from routing_core.rule_language.operators import NUMBERS, apply, binary
from routing_core.rule_language.problem import Failure, Problem, did_you_mean
from routing_core.rule_language.schema import BOOL, DOUBLE, INT, NULL, STRING, Field, Type, list_of
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

_MACROS = ("exists", "all", "exists_one")
_MAX_ITEMS = 1000


class Checker:
    """One compilation. After `check`, `refers` holds the (map, key) pairs that the rule names."""

    def __init__(self, schema: Mapping[str, Field]) -> None:
        self.schema = schema
        self.variables: dict[str, Type] = {}
        self.refers: set[tuple[str, str]] = set()
        self.macros = 0

    def check(self, node: Node) -> Typed:
        match node:
            case Literal():
                return _literal(node)
            case Binary():
                return binary(node, self.check(node.left), self.check(node.right))
            case Items():
                return self.items(node)
            case Name() | Select() | Index() | Call():
                return self.access(node)
            case Unary():
                return self.unary(node)
            case Chain():
                return self.chain(node)
            case Choice():
                return self.choice(node)

    def access(self, node: Name | Select | Index | Call) -> Typed:
        match node:
            case Name():
                return self.name(node)
            case Select():
                return self.select(node)
            case Index():
                return self.index(node)
            case Call():
                return self.call(node)

    def condition(self, node: Node) -> Typed:
        typed = self.check(node)
        if typed.type is not BOOL:
            hint = "Compare it with something, for example tags.team == 'search'."
            raise Problem(_start(node), f"a condition must be true or false; this is {typed.type}", hint)
        return typed

    def name(self, node: Name) -> Typed:
        name = node.name
        if name in self.variables:
            return Typed(self.variables[name], lambda env: env[name])
        field = self.schema.get(name)
        if field is None:
            raise Problem(node.pos, f"unknown name {name[:60]!r}", did_you_mean(name, (*self.schema, *self.variables)))
        if field.optional:
            return _optional(field.type, lambda env: env[name], f"{name} is not set")
        return Typed(field.type, lambda env: env[name])

    def select(self, node: Select) -> Typed:
        if isinstance(node.base, Name) and node.base.name == "request" and "request" not in self.variables:
            fields = self.schema["request"].type.fields if "request" in self.schema else {}
            if node.name not in fields:
                raise Problem(node.pos, f"unknown field {node.name[:60]!r}", did_you_mean(node.name, fields))
            return self.name(Name(node.name, node.pos))
        base = self.check(node.base)
        if base.type.name == "map":
            return self.looked_up(node, base, constant(STRING, node.name))
        field = base.type.fields.get(node.name)
        if field is None:
            hint = did_you_mean(node.name, base.type.fields) if base.type.fields else ""
            raise Problem(node.pos, f"{base.type} has no field {node.name[:60]!r}", hint)
        look = _getter(base, node.name)
        if field.optional or base.maybe is not None:
            return replace(_optional(field.type, look, f"{_shown(node)} is not set"), steps=base.steps + 1)
        return Typed(field.type, look, base.steps + 1)

    def index(self, node: Index) -> Typed:
        base, key = self.check(node.base), self.check(node.key)
        if base.type.name == "map":
            return self.looked_up(node, base, key)
        item = base.type.item
        if base.type.name != "list" or item is None:
            raise Problem(node.pos, f"{base.type} cannot be indexed")
        if key.type is not INT:
            raise Problem(_start(node.key), f"a list is indexed by int, this is {key.type}")

        def element(values: list[object], position: int) -> object:
            if not 0 <= position < len(values):
                raise Failure(f"index {position} is outside a list of {len(values)}")
            return values[position]

        return apply(element, base, key, item)

    def looked_up(self, node: Select | Index, base: Typed, key: Typed) -> Typed:
        """A value of a map: absent where the map lacks the key."""
        if key.type is not STRING or base.type.item is None:
            raise Problem(node.pos, f"a map is indexed by string, this is {key.type}")
        if isinstance(key.constant, str):
            if isinstance(node.base, Name):
                self.refers.add((node.base.name, key.constant))
            typed = _optional(base.type.item, _getter(base, key.constant), f"{_shown(node)} is not known")
        else:
            look, name = base.maybe or base.run, key.run
            typed = _optional(base.type.item, lambda env: _get(look(env), name(env)), f"{_shown(node)} is not known")
        return replace(typed, steps=base.steps + key.steps + 1)

    def call(self, node: Call) -> Typed:
        if node.name == "has" and node.base is None:
            return self.has(node)
        if node.base is not None and node.name in _MACROS:
            return self.macro(node, node.base)
        base = None if node.base is None else self.check(node.base)
        call = Arguments(node, base, tuple(self.check(arg) for arg in node.args))
        return function(call) if base is None else method(call, base)

    def has(self, node: Call) -> Typed:
        if len(node.args) != 1 or not isinstance(node.args[0], Name | Select | Index):
            raise Problem(node.pos, "has() takes one field, such as has(tags.team)")
        field = self.check(node.args[0])
        if field.maybe is None:
            raise Problem(node.args[0].pos, "this field is always there", "Leave has() out.")
        look = field.maybe
        return Typed(BOOL, lambda env: look(env) is not None, field.steps + 1)

    def macro(self, node: Call, over: Node) -> Typed:
        """`list.exists(x, condition)`, `all`, `exists_one`; over the keys of a map likewise."""
        items = self.check(over)
        if items.type.name not in ("list", "map") or len(node.args) != 2 or not isinstance(node.args[0], Name):
            hint = f"Write needs.{node.name}(n, n == 'tools')."
            raise Problem(node.pos, f"{node.name}() takes a list, a variable and a condition", hint)
        name = node.args[0].name
        if name in self.variables or name in self.schema:
            raise Problem(node.args[0].pos, f"the name {name!r} is taken", "Use another variable.")
        element = items.type.item if items.type.name == "list" else STRING
        assert element is not None
        self.macros += 1
        self.variables[name] = element
        condition = self.condition(node.args[1])
        del self.variables[name]
        return Typed(BOOL, _loop(node.name, name, items.run, condition), items.steps + condition.steps + 1)

    def items(self, node: Items) -> Typed:
        if len(node.items) > _MAX_ITEMS:
            raise Problem(node.pos, f"the list is too long: {len(node.items):,} of {_MAX_ITEMS:,} elements")
        if not node.items:
            raise Problem(node.pos, "the list is empty")
        typed = [self.check(item) for item in node.items]
        kind = typed[0].type
        for item, source in zip(typed, node.items, strict=True):
            if item.type != kind:
                if kind not in NUMBERS or item.type not in NUMBERS:
                    raise Problem(_start(source), f"a list holds one type: {kind} first, here {item.type}")
                kind = DOUBLE
        if kind is NULL:
            raise Problem(node.pos, "a list of nulls has no use")
        steps = 1 + sum(item.steps for item in typed)
        if all(item.constant is not None for item in typed):
            values = tuple(item.constant for item in typed)
            return Typed(list_of(kind), lambda env: values, steps, constant=values)
        runs = [item.run for item in typed]
        return Typed(list_of(kind), lambda env: tuple(run(env) for run in runs), steps)

    def unary(self, node: Unary) -> Typed:
        typed = self.condition(node.operand) if node.op == "!" else self.check(node.operand)
        run = typed.run
        if node.op == "!":
            return Typed(BOOL, lambda env: not run(env), typed.steps + 1)
        if typed.type is INT:
            return binary(Binary("-", node.operand, node.operand, node.pos, 1), constant(INT, 0), typed)
        if typed.type is not DOUBLE:
            raise Problem(node.pos, f"- cannot be applied to {typed.type}")
        zero = Typed(DOUBLE, lambda env: -0.0)
        return binary(Binary("-", node.operand, node.operand, node.pos, 1), zero, typed)

    def chain(self, node: Chain) -> Typed:
        items = [self.condition(item) for item in node.items]
        steps = 1 + sum(item.steps for item in items)
        return Typed(BOOL, _any_of([i.run for i in items], node.op == "||"), steps)

    def choice(self, node: Choice) -> Typed:
        condition, then, otherwise = self.condition(node.condition), self.check(node.then), self.check(node.otherwise)
        kind = then.type
        if then.type != otherwise.type:
            if then.type not in NUMBERS or otherwise.type not in NUMBERS:
                message = f"both sides of ?: must have one type, not {then.type} and {otherwise.type}"
                raise Problem(node.pos, message)
            kind = DOUBLE
        test, one, two = condition.run, then.run, otherwise.run
        steps = condition.steps + then.steps + otherwise.steps + 1
        return Typed(kind, lambda env: one(env) if test(env) else two(env), steps)


def _literal(node: Literal) -> Typed:
    value = node.value
    if value is None:
        return Typed(NULL, lambda env: None)
    kinds = {bool: BOOL, int: INT, float: DOUBLE, str: STRING}
    return constant(kinds[type(value)], value)


def _optional(kind: Type, look: Code, message: str) -> Typed:
    def run(env: Env) -> object:
        value = look(env)
        if value is None:
            raise Failure(message)
        return value

    return Typed(kind, run, maybe=look)


def _get(container: object, key: object) -> object:
    """`container[key]` or None. Containers are mappings, or objects with a lazy `get`."""
    return None if container is None else container.get(key)  # type: ignore[attr-defined]  # checked by type


def _getter(base: Typed, key: str) -> Code:
    look = base.maybe or base.run
    return lambda env: _get(look(env), key)


def _any_of(runs: list[Code], wanted: bool) -> Code:
    """CEL's `||` (wanted true) and `&&` (wanted false): an error counts only if no other operand decides."""

    def decide(env: Env) -> bool:
        failure: Failure | None = None
        for run in runs:
            try:
                if run(env) is wanted:
                    return wanted
            except Failure as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not wanted

    return decide


def _loop(macro: str, name: str, over: Code, condition: Typed) -> Code:
    test, steps = condition.run, condition.steps

    def turns(env: Env) -> Callable[[object], bool]:
        assert isinstance(env, Scope)
        scope = Scope(env, name, env.steps)

        def turn(value: object) -> bool:
            scope.spend(steps)
            scope.value = value
            return test(scope) is True

        return turn

    def count(env: Env) -> bool:
        turn = turns(env)
        return sum(turn(value) for value in over(env)) == 1  # type: ignore[attr-defined]  # checked by type

    def search(env: Env) -> bool:
        turn, wanted, failure = turns(env), macro == "exists", None
        for value in over(env):  # type: ignore[attr-defined]  # checked by type
            try:
                if turn(value) is wanted:
                    return wanted
            except Failure as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not wanted

    return count if macro == "exists_one" else search


def _start(node: Node) -> int:
    """The leftmost offset of an expression."""
    match node:
        case Select(base=base) | Index(base=base):
            return _start(base)
        case Call(base=base) if base is not None:
            return _start(base)
        case Binary(left=left):
            return _start(left)
        case Choice(condition=condition):
            return _start(condition)
        case _:
            return node.pos


def _shown(node: Node) -> str:
    """A field as the user wrote it, for messages."""
    match node:
        case Name(name=name):
            return name
        case Select(base=base, name=name):
            return f"{_shown(base)}.{name}"
        case Index(base=base, key=Literal(value=str(key))):
            return f"{_shown(base)}[{key[:60]!r}]"
        case Index(base=base):
            return f"{_shown(base)}[...]"
        case _:
            return "the value"
