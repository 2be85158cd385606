"""What can be wrong with a rule: a `Problem` when it is compiled, a `Failure` when it runs."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from routing_core.errors import InvalidConfig

_LONGEST_NAME = 64


class Problem(Exception):
    """A mistake in the text of a rule, at offset `pos`. Never leaves this package: see `refusal`."""

    def __init__(self, pos: int, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.pos = pos
        self.message = message
        self.hint = hint


class Failure(Exception):
    """A rule cannot be decided on this request (a tag is missing, a division by zero): it then counts as false."""


class Exhausted(Exception):
    """The step budget of an evaluation is spent. Unlike a `Failure` it ends the whole rule at once."""


def refusal(text: str, problem: Problem) -> InvalidConfig:
    """The error for the user. `where` is `column N`, in characters from 1, or `line L, column N` in longer rules."""
    before = text[: problem.pos]
    line = before.count("\n") + 1
    column = problem.pos - (before.rfind("\n") + 1) + 1
    where = f"column {column}" if "\n" not in text.strip() else f"line {line}, column {column}"
    return InvalidConfig(problem.message, where=where, hint=problem.hint, code="invalid_rule")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or lists the known ones when nothing is near and the list is short."""
    names = sorted(known)
    near = get_close_matches(name[:_LONGEST_NAME], names, n=1)
    if near:
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(names)}." if len(names) <= 25 else ""
