"""What the service refuses, each with a stable code and the way out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from modelux_contracts.errors import Problem, ProblemError
from modelux_runtime.auth import Role
from routing_core.errors import ModeluxError


@dataclass(frozen=True, slots=True)
class FieldError:
    """One field that cannot be accepted, named as the caller of the REST API writes it."""

    field: str
    message: str
    hint: str = ""

    def members(self) -> dict[str, str]:
        found = {"field": self.field, "message": self.message, "hint": self.hint}
        return {name: value for name, value in found.items() if value}


def unauthenticated() -> ProblemError:
    """One wording for a key that is missing, wrong, revoked or expired."""
    return ProblemError(
        Problem(
            401,
            "invalid_api_key",
            "Not authenticated",
            "The management key is missing, unknown, revoked or expired.",
            "Send 'Authorization: Bearer mlx_mk_…' with a management key of this installation.",
        )
    )


def forbidden(needed: Role, held: Role) -> ProblemError:
    return ProblemError(
        Problem(
            403,
            "role_required",
            f"Role {needed} needed",
            f"This operation needs the role {needed!r}; the key's role is {held!r}.",
            f"Use a management key with the role {needed!r} or a higher one.",
        )
    )


def denied(detail: str, hint: str) -> ProblemError:
    """A grant beyond the caller's own role."""
    return ProblemError(Problem(403, "role_required", "Not allowed", detail, hint))


def not_found(what: str, identifier: str) -> ProblemError:
    """The same answer whether it never existed or belongs to another organization."""
    return ProblemError(
        Problem(
            404,
            "not_found",
            "Not found",
            f"There is no {what} {identifier[:80]!r}.",
            f"List the {what}s to see their ids.",
        )
    )


def conflict(code: str, detail: str, hint: str = "", errors: Sequence[FieldError] = ()) -> ProblemError:
    return ProblemError(Problem(409, code, "Conflict", detail, hint, tuple(e.members() for e in errors)))


def stale(seen: int, current: int) -> ProblemError:
    return ProblemError(
        Problem(
            412,
            "stale_revision",
            "Changed meanwhile",
            f"If-Match names revision {seen}, the current one is {current}.",
            "Fetch the routing config again, look at the change, and send the new ETag.",
        )
    )


def invalid(*errors: FieldError, code: str = "invalid_request") -> ProblemError:
    """Fields that cannot be accepted; the first one's text is the detail."""
    first = errors[0]
    detail = f"{first.field}: {first.message}"
    return ProblemError(Problem(422, code, "Invalid request", detail, first.hint, tuple(e.members() for e in errors)))


def refused_policy(error: ModeluxError, field: str = "policy") -> ProblemError:
    """A policy that the routing core refuses, with the place in the document."""
    place = f"{field}.{error.where}" if error.where and not error.where.startswith("[") else f"{field}{error.where}"
    return invalid(FieldError(place, error.message, error.hint), code=error.code)
