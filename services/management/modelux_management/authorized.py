"""Routes that cannot be declared without a role: authenticate, check the role, then read the body, then run.

The role stands in the route itself (and in the OpenAPI document), not in a middleware that matches paths.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Annotated, Any, NoReturn, TypeVar, cast

import grpc.aio
from fastapi import APIRouter, Depends, Request, Response
from fastapi.routing import APIRoute
from google.protobuf.message import Message

from modelux.config.v1 import admin_pb2 as pb
from modelux.replay.v1 import replay_pb2 as replay
from modelux_contracts.errors import Problem, ProblemError
from modelux_contracts.refusals import FieldError, invalid
from modelux_management.admin import Admin
from modelux_management.failures import problem_responses
from modelux_management.wire import JsonFloat
from modelux_runtime.auth import MANAGEMENT_KEY_PREFIX, ROLES, Role, allows, key_hash
from modelux_runtime.calls import call

A = TypeVar("A", bound=Message)
Endpoint = TypeVar("Endpoint", bound=Callable[..., Coroutine[Any, Any, object]])
Handler = Callable[[Request], Coroutine[Any, Any, Response]]

ROLE = "x-modelux-role"
UPLOAD = "x-modelux-upload-bytes"
UPLOADS = (
    "application/x-ndjson",
    "text/csv",
    "application/jsonl",
    "application/json",
    "application/octet-stream",
    "text/plain",
    "text/tab-separated-values",
)
"""Content types of files of rows; what they hold tells by itself."""
MAX_BODY_BYTES = 1024 * 1024
_MAX_KEY_CHARS = 200
_MAX_DEPTH = 64
_DEADLINE_S = 20.0
"""Counting a long window, or reading the pairs of a large experiment, takes ClickHouse a while."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the way to other services in their name."""

    admin: Admin
    actor: pb.Actor
    organization_id: str
    organization_name: str
    key_id: str
    key_name: str
    role: Role

    async def call(self, request: Message, answer: type[A]) -> A:
        """Calls an operation of the config service, which checks the role once more."""
        request.actor.CopyFrom(self.actor)  # type: ignore[attr-defined]  # every request of the admin service has it
        return await self.admin.call(request, answer)

    async def ask(self, channel: grpc.aio.Channel, service: str, request: Message, answer: type[A]) -> A:
        """Calls an operation of the replay or the judge service. Raises `ProblemError`."""
        actor = replay.Actor(
            organization_id=self.organization_id,
            key_id=self.key_id,
            key_hash=self.actor.key_hash,
            request_id=self.actor.request_id,
            idempotency_key=self.actor.idempotency_key,
        )
        request.actor.CopyFrom(actor)  # type: ignore[attr-defined]  # every request of these services has it
        return await call(channel, service, request, answer, timeout_s=_DEADLINE_S)


class StrictRequest(Request):
    """A request whose body is bounded and whose JSON is read strictly."""

    most_bytes = MAX_BODY_BYTES

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            parts, size = [], 0
            async for part in self.stream():
                size += len(part)
                if size > self.most_bytes:
                    detail = f"The body has more than {self.most_bytes // 1024 // 1024} MiB."
                    hint = "Send it in pieces." if self.most_bytes > MAX_BODY_BYTES else ""
                    raise ProblemError(Problem(413, "body_too_large", "Too large", detail, hint))
                parts.append(part)
            self._body = b"".join(parts)
        return self._body

    async def json(self) -> object:
        return parse_json(await self.body())


class AuthorizedRoute(APIRoute):
    """One endpoint with its least role. Declaring one without a role fails at import."""

    def __init__(self, path: str, *args: Any, **kwargs: Any) -> None:
        extra = kwargs.get("openapi_extra") or {}
        role = extra.get(ROLE)
        if role not in ROLES:
            raise TypeError(f"{path} declares no role")
        self.role: Role = role
        self.upload_bytes: int = extra.get(UPLOAD, 0)
        super().__init__(path, *args, **kwargs)

    def get_route_handler(self) -> Handler:
        inner, role, upload_bytes = super().get_route_handler(), self.role, self.upload_bytes

        async def handle(request: Request) -> Response:
            strict = StrictRequest(request.scope, request.receive)
            strict.state.caller = await authenticate(strict, role)
            if upload_bytes:
                strict.most_bytes = upload_bytes
                await _check_upload(strict)
            elif request.method in ("POST", "PATCH", "PUT"):
                await _check_body(strict)
            return await inner(strict)

        return handle


class Routes(APIRouter):
    """A group of routes with one tag."""

    def __init__(self, tag: str) -> None:
        super().__init__(route_class=AuthorizedRoute, tags=[tag])

    def endpoint(
        self, method: str, path: str, summary: str, *, role: Role, status: int = 200, upload_bytes: int = 0
    ) -> Callable[[Endpoint], Endpoint]:
        """Registers an endpoint. Its name is the operation id; its docstring the description.

        `upload_bytes`: takes a file of rows of at most so many bytes, in place of JSON.
        """
        extra: dict[str, Any] = {ROLE: role, "security": [{"management_key": []}]}
        if upload_bytes:
            content = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in UPLOADS[:2]}
            extra |= {UPLOAD: upload_bytes, "requestBody": {"required": True, "content": content}}

        def register(function: Endpoint) -> Endpoint:
            self.add_api_route(
                path,
                function,
                methods=[method],
                summary=summary,
                status_code=status,
                operation_id=function.__name__,
                response_model_exclude_none=False,
                responses=problem_responses(method),
                openapi_extra=extra,
            )
            return function

        return register


async def authenticate(request: Request, needed: Role) -> Caller:
    """The caller behind the bearer token. Raises 401 in one shape for every kind of bad key, 403 that names the
    needed role.
    """
    headers = request.headers.getlist("authorization")
    scheme, _, key = headers[0].partition(" ") if len(headers) == 1 else ("", "", "")
    good = scheme.lower() == "bearer" and key.startswith(MANAGEMENT_KEY_PREFIX) and len(key) <= _MAX_KEY_CHARS
    actor = pb.Actor(
        key_hash=key_hash(key if good else ""),
        request_id=request.scope.get("modelux.request_id", ""),
        idempotency_key=_idempotency_key(request),
    )
    admin: Admin = request.app.state.admin
    found = await admin.call(pb.AuthenticateKeyRequest(actor=actor), pb.AuthenticateKeyResponse)
    role = cast(Role, found.role)
    if not allows(role, needed):
        detail = f"This operation needs the role {needed!r}; the key's role is {role!r}."
        hint = f"Use a management key with the role {needed!r} or a higher one."
        raise ProblemError(Problem(403, "role_required", f"Role {needed} needed", detail, hint))
    return Caller(admin, actor, found.organization_id, found.organization_name, found.key_id, found.key_name, role)


def caller_of(request: Request) -> Caller:
    """The caller that the route authenticated."""
    caller: Caller = request.state.caller
    return caller


Authorized = Annotated[Caller, Depends(caller_of)]


def parse_json(body: bytes) -> object:
    """JSON without the freedoms that two readers could take differently. Raises a 400 problem with the place of the
    fault.
    """
    try:
        text = body.decode("utf-8")
        value = json.loads(
            text,
            object_pairs_hook=_unique,
            parse_constant=_no_constant,
            parse_int=_bounded_int,
            parse_float=JsonFloat.parse,
        )
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise _bad_json("invalid_json", f"The body is not JSON: {error.msg} at {place}.") from error
    except UnicodeDecodeError as error:
        raise _bad_json("invalid_encoding", f"The body is not UTF-8 (byte {error.start}).") from error
    except RecursionError as error:
        raise _bad_json("too_deep", f"The body is nested deeper than {_MAX_DEPTH} levels.") from error
    _check_values(value)
    return value


def _check_values(value: object) -> None:
    """Bounds the depth, and refuses text that cannot be stored (lone surrogates, NUL)."""
    waiting = [(value, 1)]
    while waiting:
        item, depth = waiting.pop()
        if depth > _MAX_DEPTH:
            raise _bad_json("too_deep", f"The body is nested deeper than {_MAX_DEPTH} levels.")
        if isinstance(item, dict):
            waiting += [(each, depth + 1) for each in item.values()]
            waiting += [(each, depth) for each in item]
        elif isinstance(item, list):
            waiting += [(each, depth + 1) for each in item]
        elif isinstance(item, str) and ("\x00" in item or any("\ud800" <= c <= "\udfff" for c in item)):
            raise _bad_json("invalid_text", "A text holds a NUL character or half of a surrogate pair.")


async def _check_body(request: StrictRequest) -> None:
    """Reads the body, once the caller is known, so that what is wrong with it is told in full."""
    body = await request.body()
    kind = _content_type(request)
    if body and kind != "application/json":
        detail = f"The content type is {kind[:80]!r}." if kind else "There is no content type."
        raise ProblemError(Problem(415, "unsupported_media_type", "Not JSON", detail, "Send application/json."))
    if body:
        parse_json(body)


async def _check_upload(request: StrictRequest) -> None:
    kind = _content_type(request)
    if kind not in UPLOADS:
        detail = f"The content type is {kind[:80]!r}." if kind else "There is no content type."
        hint = "Send the file itself: curl -H 'content-type: application/x-ndjson' --data-binary @FILE"
        raise ProblemError(Problem(415, "unsupported_media_type", "Not a file of rows", detail, hint))
    await request.body()


def _content_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _idempotency_key(request: Request) -> str:
    """The header of a POST; other methods are idempotent by themselves."""
    value = request.headers.get("idempotency-key")
    if value is None or request.method != "POST":
        return ""
    if not 1 <= len(value) <= 255 or not value.isprintable():
        raise invalid(FieldError("Idempotency-Key", "is not 1 to 255 printable characters", "Send a UUID."))
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise _bad_json("duplicate_key", f"The key {key[:80]!r} stands twice in one object.")
        found[key] = value
    return found


def _no_constant(name: str) -> NoReturn:
    raise _bad_json("invalid_json", f"The body is not JSON: {name} is not a number.")


def _bounded_int(digits: str) -> int:
    if len(digits) > 40:
        raise _bad_json("number_too_large", f"A number has {len(digits)} digits.")
    return int(digits)


def _bad_json(code: str, detail: str) -> ProblemError:
    return ProblemError(Problem(400, code, "Unreadable body", detail, "Send one JSON object in UTF-8."))
