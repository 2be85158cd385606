"""What services refuse alike: fields that cannot be accepted, things that are not there, states in the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelux_contracts.errors import Problem, ProblemError


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be accepted, named as the caller of the REST API writes it."""

    field: str
    message: str
    hint: str = ""

    def members(self) -> dict[str, str]:
        found = {"field": self.field, "message": self.message, "hint": self.hint}
        return {name: value for name, value in found.items() if value}


def invalid(*errors: FieldError, code: str = "invalid_request") -> ProblemError:
    """Fields that cannot be accepted; the first one's text is the detail."""
    first = errors[0]
    fields = tuple(each.members() for each in errors)
    return ProblemError(Problem(422, code, "Invalid request", f"{first.field}: {first.message}", first.hint, fields))


def not_found(what: str, identifier: str) -> ProblemError:
    """The same answer whether it never existed or belongs to another organization."""
    detail, hint = f"There is no {what} {identifier[:80]!r}.", f"List the {what}s to see their ids."
    return ProblemError(Problem(404, "not_found", "Not found", detail, hint))


def conflict(code: str, detail: str, hint: str = "", errors: Sequence[FieldError] = ()) -> ProblemError:
    return ProblemError(Problem(409, code, "Conflict", detail, hint, tuple(each.members() for each in errors)))


def too_many(what: str, detail: str, hint: str) -> ProblemError:
    """As many as may be at a time."""
    return ProblemError(Problem(429, f"too_many_{what}", "Too many at a time", detail, hint))


def unavailable(code: str, detail: str, hint: str = "Try again in a few seconds.") -> ProblemError:
    """What is away for now."""
    return ProblemError(Problem(503, code, "Not available", detail, hint))
