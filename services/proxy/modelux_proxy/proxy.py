"""The application behind the server: paths, methods, authentication, and the three endpoints of `/v1`."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Mapping
from urllib.parse import unquote

from modelux_calling import blocked, openai_schema
from modelux_calling.purse import Purse
from modelux_calling.tenants import Key, Tenants
from modelux_contracts.errors import OpenAIError
from modelux_proxy import admit, answers, models
from modelux_proxy.call_context import Context
from modelux_proxy.chat import Lane
from modelux_proxy.exchange import Exchange, header
from modelux_proxy.refusals import Refusals
from modelux_proxy.request_ids import RequestIds
from routing_core.types import Capability, Request
from routing_core.world import World

_PREFIXES = re.compile(r"^(?:/openai)?(?:/v1)*(?=/)")
_JSON_TYPES = (b"application/json", b"text/json")
_CORS = (
    b"access-control-allow-origin: *\r\naccess-control-allow-methods: GET, POST, OPTIONS\r\n"
    b"access-control-allow-headers: *, authorization\r\naccess-control-max-age: 86400\r\n"
)
_EXPOSE = b"access-control-allow-origin: *\r\naccess-control-expose-headers: *\r\n"
_IGNORED_HEADERS = frozenset(
    {
        b"helicone-target-url",
        b"x-api-base",
        b"x-base-url",
        b"x-custom-host",
        b"x-portkey-config",
        b"x-portkey-custom-host",
        b"x-target-host",
        b"x-target-url",
    }
)
"""By which other gateways let a caller choose the upstream. Never obeyed here; the caller is told."""

Serving = Coroutine[None, None, None]
Handler = Callable[["Proxy", Exchange, str, int], Serving | None]
"""Answers at once, or returns what will."""


class Proxy:
    """Answers every request. `tenants` is looked at once per request, so a new snapshot never changes one under way."""

    def __init__(self, lane: Lane, tenants: Callable[[], Tenants | None], *, refuse_when_full: bool = True) -> None:
        self._lane = lane
        self._tenants = tenants
        self._refuse_when_full = refuse_when_full
        self.refusals = Refusals(lane.emitter)
        self._ids = RequestIds()

    async def __call__(self, exchange: Exchange) -> None:
        """See `http_server.App`."""
        now_us = self._lane.clock.now_us()
        request_id = self._ids.next(now_us // 1000)
        try:
            handler = self._handler(exchange, request_id)
            serving = handler(self, exchange, request_id, now_us) if handler is not None else None
        except OpenAIError as error:
            self._lane.metrics.refuse(error.code or "invalid_request")
            self.refusals.record(exchange, self._tenants(), request_id, now_us, error)
            lines = answers.JSON + answers.own_error(error, request_id) + _cors(exchange) + _client_id(exchange)
            exchange.respond(error.status, lines, error.body())
            return
        if serving is not None:
            await serving

    def commit(self) -> None:
        """See `http_server.App`: no answer goes out before its event is in the journal."""
        self._lane.emitter.flush()

    def _handler(self, exchange: Exchange, request_id: str) -> Handler | None:
        """What serves the path; None where a preflight was answered already. Raises OpenAIError (404, 405)."""
        route = ROUTES.get(exchange.path)
        if route is None:
            path = _PREFIXES.sub("/v1", exchange.path, count=1)
            route = ROUTES.get(path)
            if route is None and path.startswith("/v1/models/"):
                route = _MODEL
        if route is None:
            raise OpenAIError(404, f"there is no {exchange.path[:200]} here", code="unknown_url")
        method, handler = route
        if exchange.method == method:
            return handler
        if exchange.method == "OPTIONS":
            exchange.respond(204, b"x-request-id: %b\r\n" % request_id.encode() + _CORS, b"")
            return None
        headers = (("allow", f"{method}, OPTIONS"),)
        raise OpenAIError(405, f"use {method} here", code="method_not_allowed", headers=headers)

    def chat(self, exchange: Exchange, request_id: str, now_us: int) -> Serving | None:
        key = self._enter(exchange, now_us)
        body, needs, tokens, text = openai_schema.read_chat(exchange.body)
        request = Request(
            request_id,
            key.project.id,
            "chat",
            body.model,
            body.stream is True,
            tokens,
            openai_schema.limit_of(body),
            needs,
            admit.tags_of(exchange, body.tags),
            body.end_user_id or body.user or None,
            key.id,
            now_us // 1000,
        )
        context = Context(exchange, key, admit.resolve(key, body.model), request, body, now_us)
        context.text = text
        return self._serve(context)

    def embeddings(self, exchange: Exchange, request_id: str, now_us: int) -> Serving | None:
        key = self._enter(exchange, now_us)
        body, tokens = openai_schema.read_embeddings(exchange.body)
        request = Request(
            request_id,
            key.project.id,
            "embeddings",
            body.model,
            False,
            tokens,
            None,
            _EMBEDDINGS,
            admit.tags_of(exchange, body.tags),
            body.end_user_id or body.user or None,
            key.id,
            now_us // 1000,
        )
        return self._serve(Context(exchange, key, admit.resolve(key, body.model), request, body, now_us))

    def models(self, exchange: Exchange, request_id: str, now_us: int) -> None:
        self._json(exchange, request_id, models.listing(self._authenticate(exchange, now_us)))

    def model(self, exchange: Exchange, request_id: str, now_us: int) -> None:
        key = self._authenticate(exchange, now_us)
        name = unquote(exchange.path.split("/models/", 1)[1])
        self._json(exchange, request_id, models.one(key, name))

    def _authenticate(self, exchange: Exchange, now_us: int) -> Key:
        tenants = self._tenants()
        if tenants is None:
            message = "the proxy has no configuration yet, try again in a moment"
            raise OpenAIError(503, message, code="not_ready", type="server_error", headers=(("retry-after", "1"),))
        return admit.authenticate(tenants, exchange, now_us)

    def _enter(self, exchange: Exchange, now_us: int) -> Key:
        """Who it is, whether the body is JSON, and whether there is room to record it."""
        key = self._authenticate(exchange, now_us)
        kind = exchange.headers.get(b"content-type", b"application/json")
        if kind != b"application/json":
            _check_type(kind)
        if self._refuse_when_full and self._lane.emitter.full:
            message = "the event journal is full because the message bus does not take events"
            raise OpenAIError(503, message, code="spool_full", type="server_error", headers=(("retry-after", "5"),))
        return key

    def _serve(self, context: Context) -> Serving | None:
        """The run of an admitted request; None where a stored answer was given. Raises OpenAIError (409, 422, 429)."""
        lane = self._lane
        key, request, exchange = context.key, context.request, context.exchange
        headers = exchange.headers
        if b"idempotency-key" in headers and self._stored(context):
            return None
        try:
            if key.requests_per_minute or key.tokens_per_minute:
                estimate = request.input_tokens + (request.max_tokens or 0)
                context.limit_lines = lane.rate_limits.admit(
                    key.id, key.requests_per_minute, key.tokens_per_minute, estimate, context.arrived_us / 1e6
                )
            self.reserve(context)
        except OpenAIError:
            if context.idempotency_key:
                lane.idempotency.forget(key.id, context.idempotency_key)
            raise
        if b"origin" in headers:
            context.limit_lines += _EXPOSE
        if not _IGNORED_HEADERS.isdisjoint(headers):
            names = sorted(name.decode() for name in _IGNORED_HEADERS.intersection(headers))
            context.limit_lines += header("x-modelux-ignored-headers", ", ".join(names))
        project = key.project
        health = lane.registry.view(lane.clock.steady_ms())
        budgets = context.purse.budgets if context.purse is not None else ()
        world = World(project.offers, health, project.policies, budgets, project.price_version, project.lineups)
        return lane.serve(context, world)

    def reserve(self, context: Context) -> None:
        """Every request passes here: one whose key has budgets gets a purse, from which each of its attempts reserves.

        Raises OpenAIError (503).
        """
        key, lane = context.key, self._lane
        if not key.budgets:
            return
        if lane.spending is None:
            error = blocked.store_unavailable()
            raise OpenAIError(error.status, error.message, code=error.code, type=error.type)
        exchange = context.exchange
        context.purse = Purse(
            lane.spending, lane.loops, key.budgets, context.request, context.body, exchange.body, text=context.text
        )

    def _stored(self, context: Context) -> bool:
        """Answers a repeated request with the stored answer, or takes its key."""
        exchange = context.exchange
        key = exchange.headers[b"idempotency-key"].decode("latin-1")
        now_s = context.arrived_us / 1e6
        stored = self._lane.idempotency.begin(context.key.id, key, exchange.path, exchange.body, now_s)
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


_EMBEDDINGS: frozenset[Capability] = frozenset({"embeddings"})
_MODEL: tuple[str, Handler] = ("GET", Proxy.model)
ROUTES: Mapping[str, tuple[str, Handler]] = {
    "/v1/chat/completions": ("POST", Proxy.chat),
    "/v1/embeddings": ("POST", Proxy.embeddings),
    "/v1/models": ("GET", Proxy.models),
}
