"""The application behind the server: paths, methods, authentication, and the three endpoints of `/v1`."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from urllib.parse import unquote

from modelux_contracts.errors import OpenAIError, envelope
from modelux_contracts.ids import new_id
from modelux_proxy import admit, answers, models, openai_schema
from modelux_proxy.call_context import Context
from modelux_proxy.chat import Lane
from modelux_proxy.exchange import Exchange, header
from modelux_proxy.openai_schema import ChatBody, EmbeddingsBody
from modelux_proxy.tenants import Key, Tenants
from routing_core.types import Capability, Request
from routing_core.world import World

_PREFIXES = re.compile(r"^(?:/openai)?(?:/v1)*(?=/)")
_JSON_TYPES = (b"application/json", b"text/json")
_CORS = (
    b"access-control-allow-origin: *\r\naccess-control-allow-methods: GET, POST, OPTIONS\r\n"
    b"access-control-allow-headers: *, authorization\r\naccess-control-max-age: 86400\r\n"
)
_EXPOSE = b"access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n"
_IGNORED_HEADERS = (b"x-portkey-custom-host", b"x-portkey-config", b"x-api-base")

Handler = Callable[["Proxy", Exchange, str], Awaitable[None]]


class Proxy:
    """Answers every request. `tenants` is looked at once per request, so a new snapshot never changes one under way."""

    def __init__(self, lane: Lane, tenants: Callable[[], Tenants | None], *, refuse_when_full: bool = True) -> None:
        self._lane = lane
        self._tenants = tenants
        self._refuse_when_full = refuse_when_full

    async def __call__(self, exchange: Exchange) -> None:
        """See `http_server.App`."""
        request_id = new_id("req_")
        try:
            await self._route(exchange, request_id)
        except OpenAIError as error:
            self._lane.metrics.refuse(error.code or "invalid_request")
            if not exchange.started:
                lines = answers.JSON + answers.own_error(error, request_id) + _cors(exchange) + _client_id(exchange)
                exchange.respond(error.status, lines, error.body())

    async def _route(self, exchange: Exchange, request_id: str) -> None:
        handler = ROUTES.get(exchange.path)
        if handler is None:
            path = _PREFIXES.sub("/v1", exchange.path, count=1)
            handler = ROUTES.get(path)
            if handler is None and path.startswith("/v1/models/"):
                handler = _MODEL
        if handler is None:
            raise OpenAIError(404, f"there is no {exchange.path[:200]} here", code="unknown_url")
        if exchange.method == "OPTIONS":
            exchange.respond(204, b"x-request-id: %b\r\n" % request_id.encode() + _CORS, b"")
            return
        method, run = handler
        if exchange.method != method:
            headers = (("allow", f"{method}, OPTIONS"),)
            raise OpenAIError(405, f"use {method} here", code="method_not_allowed", headers=headers)
        await run(self, exchange, request_id)

    async def chat(self, exchange: Exchange, request_id: str) -> None:
        now_us = self._lane.clock.now_us()
        tenants, key = self._enter(exchange, now_us)
        body, needs, tokens = openai_schema.read_chat(exchange.body)
        await self._serve(exchange, request_id, tenants, key, body, needs, tokens, now_us)

    async def embeddings(self, exchange: Exchange, request_id: str) -> None:
        now_us = self._lane.clock.now_us()
        tenants, key = self._enter(exchange, now_us)
        body, tokens = openai_schema.read_embeddings(exchange.body)
        await self._serve(exchange, request_id, tenants, key, body, _EMBEDDINGS, tokens, now_us)

    async def models(self, exchange: Exchange, request_id: str) -> None:
        _, key = self._authenticate(exchange, self._lane.clock.now_us())
        self._json(exchange, request_id, models.listing(key))

    async def model(self, exchange: Exchange, request_id: str) -> None:
        _, key = self._authenticate(exchange, self._lane.clock.now_us())
        name = unquote(exchange.path.split("/models/", 1)[1])
        self._json(exchange, request_id, models.one(key, name))

    def _authenticate(self, exchange: Exchange, now_us: int) -> tuple[Tenants, Key]:
        tenants = self._tenants()
        if tenants is None:
            message = "the proxy has no configuration yet, try again in a moment"
            raise OpenAIError(503, message, code="not_ready", type="server_error", headers=(("retry-after", "1"),))
        return tenants, admit.authenticate(tenants, exchange, now_us)

    def _enter(self, exchange: Exchange, now_us: int) -> tuple[Tenants, Key]:
        """Who it is, whether the body is JSON, and whether there is room to record it."""
        found = self._authenticate(exchange, now_us)
        kind = exchange.headers.get(b"content-type", b"application/json")
        if kind != b"application/json":
            _check_type(kind)
        if self._refuse_when_full and self._lane.emitter.full:
            message = "the event journal is full because the message bus does not take events"
            raise OpenAIError(503, message, code="spool_full", type="server_error", headers=(("retry-after", "5"),))
        return found

    async def _serve(
        self,
        exchange: Exchange,
        request_id: str,
        tenants: Tenants,
        key: Key,
        body: ChatBody | EmbeddingsBody,
        needs: frozenset[Capability],
        tokens: int,
        now_us: int,
    ) -> None:
        lane = self._lane
        policy = admit.resolve(key, body.model)
        tags = admit.tags_of(exchange, body.tags)
        chat = isinstance(body, ChatBody)
        limit = body.limit if isinstance(body, ChatBody) else None
        request = Request(
            request_id,
            key.project.id,
            "chat" if chat else "embeddings",
            body.model,
            bool(isinstance(body, ChatBody) and body.stream),
            tokens,
            limit,
            needs,
            tags,
            body.end_user_id or body.user,
            key.id,
            now_us // 1000,
        )
        context = Context(exchange, key, policy, request, body, now_us)
        if self._stored(context, now_us):
            return
        try:
            if key.requests_per_minute or key.tokens_per_minute:
                context.limit_lines = lane.rate_limits.admit(
                    key.id, key.requests_per_minute, key.tokens_per_minute, tokens + (limit or 0), now_us / 1e6
                )
            self.reserve(context)
        except OpenAIError:
            if context.idempotency_key:
                lane.idempotency.forget(key.id, context.idempotency_key)
            raise
        if b"origin" in exchange.headers:
            context.limit_lines += _EXPOSE
        ignored = [name.decode() for name in _IGNORED_HEADERS if name in exchange.headers]
        if ignored:
            context.limit_lines += header("x-modelux-ignored-headers", ", ".join(ignored))
        project = key.project
        world = World(
            project.offers, lane.registry.view(lane.clock.steady_ms()), project.policies, (), project.price_version
        )
        await lane.serve(context, world)

    def reserve(self, context: Context) -> None:
        """The place where a request's worst cost is reserved under every spend cap that applies, before any call.

        No caps exist yet, so nothing is reserved and every request passes.
        """

    def _stored(self, context: Context, now_us: int) -> bool:
        """Answers a repeated request with the stored answer."""
        exchange = context.exchange
        given = exchange.headers.get(b"idempotency-key")
        if given is None:
            return False
        key = given.decode("latin-1")
        idempotency = self._lane.idempotency
        stored = idempotency.begin(context.key.id, key, exchange.path, exchange.body, now_us / 1e6)
        if stored is None:
            context.idempotency_key = key
            return False
        exchange.respond(stored.status, stored.headers, stored.body)
        return True

    def _json(self, exchange: Exchange, request_id: str, body: bytes) -> None:
        lines = answers.JSON + b"x-request-id: %b\r\n" % request_id.encode() + _cors(exchange) + _client_id(exchange)
        exchange.respond(200, lines, body)


def _check_type(kind: bytes) -> None:
    name, _, parameters = kind.lower().partition(b";")
    charset = parameters.replace(b" ", b"").partition(b"charset=")[2].strip(b'"')
    if name.strip() not in _JSON_TYPES or charset not in (b"", b"utf-8", b"utf8", b"us-ascii"):
        raise OpenAIError(415, "send the body as application/json in UTF-8", code="unsupported_media_type")


def _cors(exchange: Exchange) -> bytes:
    return _EXPOSE if b"origin" in exchange.headers else b""


def _client_id(exchange: Exchange) -> bytes:
    given = exchange.headers.get(b"x-client-request-id")
    return b"" if given is None else header("x-client-request-id", given[:256].decode("latin-1"))


def unavailable(message: str, code: str) -> bytes:
    """The body of an error of ours that no request caused."""
    return envelope(message, type="server_error", code=code)


_EMBEDDINGS: frozenset[Capability] = frozenset({"embeddings"})
_MODEL: tuple[str, Handler] = ("GET", Proxy.model)
ROUTES: Mapping[str, tuple[str, Handler]] = {
    "/v1/chat/completions": ("POST", Proxy.chat),
    "/v1/embeddings": ("POST", Proxy.embeddings),
    "/v1/models": ("GET", Proxy.models),
}
