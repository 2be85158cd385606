"""Compile the text of a rule, and decide it on a request.

    tags.tier == "gold" && budget.used_fraction < 0.8 ? input_tokens > 4000 : weekday in [0, 6]

The language is a subset of CEL (the Common Expression Language of Kubernetes and Envoy): literals, lists, field and
index access, `! - * / % + < <= > >= == != in && || ?:`, `size has int double string`, the text methods `contains
startsWith endsWith matches lowerAscii upperAscii`, the time methods of `now`, and the macros `exists all exists_one`.
It differs where noted: mixed int and double arithmetic gives a double; division by zero fails for doubles too;
`matches` takes the patterns of `routing_core.patterns`. There are no loops but macros, no assignments, and no way to
reach Python.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from routing_core.rule_language.checker import Checker
from routing_core.rule_language.code import MAX_STEPS, Code, Env, Scope
from routing_core.rule_language.environment import environment
from routing_core.rule_language.parser import parse
from routing_core.rule_language.problem import Exhausted, Failure, Problem, refusal
from routing_core.rule_language.schema import SCHEMA, Field

__all__ = ["MAX_STEPS", "SCHEMA", "Rule", "RuleError", "compile_rule", "environment"]


@dataclass(frozen=True, slots=True)
class RuleError:
    """Why a rule could not be decided on a request. Falsy, since such a rule does not match; `note` is the trace's."""

    note: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule that passed the checks. Stateless, so one serves all requests."""

    text: str
    refers: frozenset[tuple[str, str]]
    """Keys that the rule names, with their map: ("budgets", "bud_1"), ("latency_ms", "gpt-4o"), ("tags", "team")."""
    _run: Code = field(repr=False, compare=False)
    _scoped: bool = field(repr=False, compare=False, default=False)

    def evaluate(self, env: Env) -> bool | RuleError:
        """Whether the rule holds in `env` (see `environment`). Takes at most `MAX_STEPS` steps; never raises."""
        try:
            return self._run(Scope(env) if self._scoped else env) is True
        except (Failure, Exhausted) as failure:
            return RuleError(str(failure))


def compile_rule(text: str, schema: Mapping[str, Field] = SCHEMA) -> Rule:
    """Parse and type-check a rule.

    Raises:
        InvalidConfig: `where` is the column (from 1) of the mistake, `hint` how to mend it.
    """
    try:
        checker = Checker(schema)
        typed = checker.condition(parse(text))
        if typed.steps > MAX_STEPS:
            raise Problem(0, f"the rule takes {typed.steps:,} steps of {MAX_STEPS:,}", "Split it in several rules.")
    except Problem as problem:
        raise refusal(text, problem) from None
    return Rule(text, frozenset(checker.refers), typed.run, checker.macros > 0)
