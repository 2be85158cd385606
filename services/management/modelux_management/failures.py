"""Every failure as an RFC 9457 problem: what was refused, what did not validate, and what broke."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from modelux_bus.base import BusUnavailable
from modelux_contracts.errors import Problem, ProblemError
from modelux_store.errors import Unavailable

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = "2"

_WORDS = {404: ("not_found", "Not found"), 405: ("method_not_allowed", "Method not allowed")}


class FieldProblem(BaseModel):
    """One field that was not accepted."""

    field: str
    message: str
    hint: str | None = None


class ProblemBody(BaseModel):
    """An RFC 9457 problem."""

    type: str = "about:blank"
    title: str
    status: int
    code: str = Field(description="Stable, for programs.")
    detail: str | None = None
    hint: str | None = Field(None, description="How to mend it.")
    errors: list[FieldProblem] | None = Field(None, description="The fields that were not accepted.")
    request_id: str | None = None


def problem_responses(method: str) -> dict[int | str, dict[str, Any]]:
    """The refusals of an endpoint, for the OpenAPI document."""
    statuses = {401: "The key is missing or not valid.", 403: "The key's role does not suffice.", 503: "Try again."}
    if method != "GET":
        statuses |= {409: "It conflicts with what is there."}
    statuses |= {404: "There is no such thing.", 422: "A field was not accepted."}
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemBody"}}}
    return {status: {"description": text, "content": content} for status, text in sorted(statuses.items())}


def answer(request: Request, problem: Problem) -> Response:
    """The problem as an answer, with the headers that belong to its status."""
    headers: dict[str, str] = {}
    if problem.status == 401:
        headers["www-authenticate"] = 'Bearer realm="modelux"'
    if problem.status == 503:
        headers["retry-after"] = RETRY_AFTER_S
    request_id = request.scope.get("modelux.request_id", "")
    body = problem.body(instance=request.scope["path"][:500], request_id=request_id)
    return Response(body, problem.status, headers, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Registers a handler for every way in which a request can fail."""

    async def refused(request: Request, error: Exception) -> Response:
        assert isinstance(error, ProblemError)
        return answer(request, error.problem)

    async def not_valid(request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        return answer(request, invalid(error.errors()))

    async def http(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        code, title = _WORDS.get(error.status_code, ("http_error", str(error.detail)))
        response = answer(request, Problem(error.status_code, code, title, hint="See /openapi.json."))
        response.headers.update(error.headers or {})
        return response

    async def no_analytics(request: Request, error: Exception) -> Response:
        log.warning("the analytics store is not available: %s", error)
        detail = "The request logs cannot be read now; requests are still served and recorded."
        return answer(
            request, Problem(503, "analytics_unavailable", "Not available", detail, "Try again in a few seconds.")
        )

    async def no_bus(request: Request, error: Exception) -> Response:
        log.warning("the bus is not available: %s", error)
        detail = "The bus does not take messages now, so that only some of the rows may have been imported."
        hint = "Send the same again: what is there already is not counted twice."
        return answer(request, Problem(503, "bus_unavailable", "Not available", detail, hint))

    async def broken(request: Request, error: Exception) -> Response:
        log.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
        detail = "Something broke here; the log tells what, under this request id."
        return answer(request, Problem(500, "internal_error", "Internal error", detail))

    app.add_exception_handler(ProblemError, refused)
    app.add_exception_handler(RequestValidationError, not_valid)
    app.add_exception_handler(HTTPException, http)
    app.add_exception_handler(Unavailable, no_analytics)
    app.add_exception_handler(BusUnavailable, no_bus)
    app.add_exception_handler(Exception, broken)


def invalid(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """Pydantic's findings as one problem that names every field."""
    found = tuple(_field(error) for error in errors[:20])
    first = found[0]
    detail = f"{first['field']}: {first['message']}"
    return Problem(422, "invalid_request", "Invalid request", detail, first.get("hint", ""), found)


def _field(error: Mapping[str, Any]) -> dict[str, str]:
    where, *path = error["loc"]
    name = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or str(where)
    message = str(error["msg"]).removeprefix("Value error, ")
    found = {"field": name, "message": message[:1].lower() + message[1:]}
    if error["type"] == "extra_forbidden":
        found |= {"message": "is not a field of this request", "hint": "Remove it; /openapi.json lists the fields."}
    elif error["type"] == "missing":
        found |= {"message": "is missing"}
    return found
