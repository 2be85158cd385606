"""ClickHouse's HTTP interface over an `Engine`, as far as its clients use it: queries, inserts, parameters, errors."""

from __future__ import annotations

import base64
import email.parser
import email.policy
import hmac
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, MutableMapping, Sequence
from typing import TypeAlias
from urllib.parse import parse_qsl

from modelux_embedded.engine import Engine
from modelux_embedded.session import Call, EngineFailure, Result
from modelux_embedded.statement import Refused, parse

Message: TypeAlias = MutableMapping[str, object]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Headers: TypeAlias = Mapping[bytes, bytes]

USER = "modelux"
MAX_BODY_BYTES = 512 << 20

_TRANSPORT = frozenset(
    {
        "query", "database", "user", "password", "default_format", "query_id", "session_id", "session_timeout",
        "session_check", "quota_key", "compress", "decompress", "buffer_size", "wait_end_of_query", "role",
        "client_protocol_version", "send_progress_in_http_headers", "http_headers_progress_interval_ms",
        "enable_http_compression", "cancel_http_readonly_queries_on_client_close",
    }
)  # fmt: skip
"""Arguments of the HTTP interface itself; every other one is a setting of the call."""
_NOT_FOUND = frozenset({60, 81})
_BAD_REQUEST = frozenset({36, 42, 43, 46, 47, 48, 53, 62, 115, 306, 456, 457, 497})
_TIMEOUT = 159


class _Rejected(Exception):
    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.code = code


class Facade:
    """A raw ASGI application. `password` belongs to the user `modelux`, the only one there is."""

    def __init__(self, engine: Engine, password: str) -> None:
        self._engine = engine
        self._basic = base64.b64encode(f"{USER}:{password}".encode())
        self._password = password.encode()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        raw_headers = scope["headers"]
        assert isinstance(raw_headers, Sequence)
        headers: Headers = dict(raw_headers)
        if scope["path"] in ("/ping", "/replicas_status"):
            await _answer(send, 200, b"Ok.\n")
            return
        try:
            query_string = scope["query_string"]
            assert isinstance(query_string, bytes)
            arguments = dict(parse_qsl(query_string.decode(), keep_blank_values=True))
            self._authenticate(headers, arguments)
            call = _call(arguments, headers, await _body(receive, headers))
            result, rest = await self._engine.run(call)
        except _Rejected as error:
            await _fail(send, error.status, error.code, str(error))
        except (Refused, EngineFailure) as error:
            await _fail(send, _status(error.code), error.code, str(error))
        else:
            await _succeed(send, result, rest, arguments.get("query_id", ""))

    def _authenticate(self, headers: Headers, arguments: Mapping[str, str]) -> None:
        scheme, _, credentials = headers.get(b"authorization", b"").partition(b" ")
        if scheme.lower() == b"basic" and hmac.compare_digest(credentials, self._basic):
            return
        user = headers.get(b"x-clickhouse-user", arguments.get("user", "").encode())
        password = headers.get(b"x-clickhouse-key", arguments.get("password", "").encode())
        if user == USER.encode() and hmac.compare_digest(password, self._password):
            return
        text = "Code: 516. DB::Exception: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)"
        raise _Rejected(403, 516, text)


def _call(arguments: Mapping[str, str], headers: Headers, body: bytes) -> Call:
    form, body = _form(headers, body)
    everything = {**arguments, **form}
    query = everything.get("query", "").encode()
    statement = parse(query + b"\n" + body if query and body else query or body)
    return Call(
        statement,
        database=everything.get("database") or headers.get(b"x-clickhouse-database", b"default").decode(),
        parameters={k[6:]: v for k, v in everything.items() if k.startswith("param_")},
        settings={k: v for k, v in everything.items() if not k.startswith("param_") and k not in _TRANSPORT},
        default_format=everything.get("default_format")
        or headers.get(b"x-clickhouse-format", b"TabSeparated").decode(errors="replace"),
    )


def _form(headers: Headers, body: bytes) -> tuple[dict[str, str], bytes]:
    """The fields of a form, in which clients send what is too long for an address."""
    kind = headers.get(b"content-type", b"")
    if kind.startswith(b"application/x-www-form-urlencoded"):
        return dict(parse_qsl(body.decode(), keep_blank_values=True)), b""
    if not kind.startswith(b"multipart/form-data"):
        return {}, body
    parsed = email.parser.BytesParser(policy=email.policy.HTTP).parsebytes(
        b"Content-Type: " + kind + b"\r\n\r\n" + body
    )
    fields: dict[str, str] = {}
    for part in parsed.iter_parts():
        name = part.get_param("name", header="content-disposition")
        payload = part.get_payload(decode=True)
        if not isinstance(name, str) or not isinstance(payload, bytes) or part.get_filename():
            raise _Rejected(400, 48, "Code: 48. DB::Exception: External tables are not supported. (NOT_IMPLEMENTED)")
        fields[name] = payload.decode()
    return fields, b""


async def _body(receive: Receive, headers: Headers) -> bytes:
    if headers.get(b"content-encoding", b"identity") not in (b"identity", b""):
        raise _Rejected(415, 48, "Code: 48. DB::Exception: Compressed bodies are not supported. (NOT_IMPLEMENTED)")
    parts: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise _Rejected(400, 210, "Code: 210. DB::Exception: The client left. (NETWORK_ERROR)")
        part = message.get("body", b"")
        assert isinstance(part, bytes)
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise _Rejected(
                413, 307, f"Code: 307. DB::Exception: A body is at most {MAX_BODY_BYTES} bytes. (TOO_MANY_BYTES)"
            )
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts)


def _status(code: int) -> int:
    if code in _NOT_FOUND:
        return 404
    if code == _TIMEOUT:
        return 408
    return 400 if code in _BAD_REQUEST else 500


async def _succeed(send: Send, result: Result, rest: AsyncGenerator[bytes, None] | None, query_id: str) -> None:
    headers = [
        (b"x-clickhouse-summary", json.dumps(dict(result.summary)).encode()),
        (b"x-clickhouse-timezone", b"UTC"),
        (b"x-clickhouse-query-id", query_id.encode("latin-1", "replace")),
    ]
    if result.format is not None:
        headers.append((b"x-clickhouse-format", result.format.encode()))
    if rest is None:
        await _answer(send, 200, result.body, headers)
        return
    try:
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": result.body, "more_body": True})
        # A failure from here on must reach the client as a broken transfer: an exception cuts the connection.
        async for chunk in rest:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
        await send({"type": "http.response.body", "body": b""})
    finally:
        await rest.aclose()


async def _fail(send: Send, status: int, code: int, text: str) -> None:
    await _answer(send, status, text.encode(), [(b"x-clickhouse-exception-code", str(code).encode())])


async def _answer(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    fixed = [(b"content-length", str(len(body)).encode()), (b"x-clickhouse-server-display-name", b"modelux")]
    await send({"type": "http.response.start", "status": status, "headers": [*fixed, *headers]})
    await send({"type": "http.response.body", "body": body})
