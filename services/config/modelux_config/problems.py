"""What the service refuses, each with a stable code and the way out."""

from __future__ import annotations

from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_runtime.auth import Role
from routing_core.errors import ModeluxError


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


def refused_policy(error: ModeluxError, field: str = "policy") -> ProblemError:
    """A policy that the routing core refuses, with the place in the document."""
    place = f"{field}.{error.where}" if error.where and not error.where.startswith("[") else f"{field}{error.where}"
    return invalid(FieldError(place, error.message, error.hint), code=error.code)
