"""Compiled expressions: closures over the environment, with the types and costs that the checker needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from routing_core.rule_language.problem import Exhausted
from routing_core.rule_language.schema import Type

Env = Mapping[str, object]
Code = Callable[[Env], object]

MAX_STEPS = 10_000
"""Steps of one evaluation. A rule without macros takes at most one step per part; macros count each turn."""


@dataclass(frozen=True, slots=True)
class Typed:
    """An expression of a known type."""

    type: Type
    run: Code
    """Its value; raises Failure where it has none."""
    steps: int = 1
    maybe: Code | None = None
    """For what may be absent: its value, or None."""
    constant: object = None
    """Its value, where that is known at compile time and not null."""


class Scope(Mapping[str, object]):
    """An environment with one more variable, that of a macro. All scopes of an evaluation share one step counter."""

    __slots__ = ("name", "outer", "steps", "value")

    def __init__(self, outer: Env, name: str = "", steps: list[int] | None = None) -> None:
        self.outer = outer
        self.name = name
        self.value: object = None
        self.steps = [0] if steps is None else steps

    def __getitem__(self, name: str) -> object:
        return self.value if name == self.name else self.outer[name]

    def __iter__(self) -> Iterator[str]:
        return iter((*self.outer, self.name))

    def __len__(self) -> int:
        return len(self.outer) + 1

    def spend(self, steps: int) -> None:
        self.steps[0] += steps
        if self.steps[0] > MAX_STEPS:
            raise Exhausted(f"the rule takes over {MAX_STEPS:,} steps")


def constant(type_: Type, value: object) -> Typed:
    return Typed(type_, lambda env: value, constant=value)
