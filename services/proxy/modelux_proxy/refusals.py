"""Record requests that were refused although their key is valid, so that the log explains them too."""

from __future__ import annotations

from time import perf_counter_ns

import msgspec

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_calling.tenants import Key, Tenants
from modelux_contracts.errors import OpenAIError
from modelux_proxy import admit
from modelux_proxy.emit import Emitter
from modelux_proxy.exchange import Exchange
from modelux_proxy.rate_limits import RateLimits

PER_MINUTE = 120
"""Refusals of one key that are recorded, or as many as it may send requests where that is less: being refused costs a
caller nothing, so it must not fill the journal faster than calls do."""
BODY_LIMIT = 16 * 1024
"""A request body beyond it is not kept, and not read for the model it names."""
_MODEL_CHARS = 200
_ENDPOINTS = (("/chat/completions", "chat"), ("/embeddings", "embeddings"))


class _Asked(msgspec.Struct):
    """What a body that was not accepted may still tell."""

    model: object = None
    stream: object = None


_read = msgspec.json.Decoder(_Asked).decode


class Refusals:
    """Writes events with the outcome "error" and no attempts. `skipped` counts those beyond the limit of their key."""

    def __init__(self, emitter: Emitter) -> None:
        self.skipped = 0
        self._emitter = emitter
        self._limits = RateLimits()

    def record(
        self, exchange: Exchange, tenants: Tenants | None, request_id: str, now_us: int, error: OpenAIError
    ) -> None:
        """Takes the event of a refusal. Nothing is taken without a valid key, and of paths that call no model."""
        endpoint = next((name for path, name in _ENDPOINTS if exchange.path.endswith(path)), None)
        if endpoint is None or tenants is None or exchange.method != "POST" or self._emitter.full:
            return
        try:
            key = admit.authenticate(tenants, exchange, now_us)
        except OpenAIError:
            return
        allowed = min(key.requests_per_minute or PER_MINUTE, PER_MINUTE)
        try:
            self._limits.admit(key.id, allowed, 0, 0, now_us / 1e6)
        except OpenAIError:
            self.skipped += 1
            return
        event = _event(exchange, key, error)
        event.request_id, event.endpoint, event.started_at_us = request_id, endpoint, now_us
        self._keep_bodies(event, exchange, key, error)
        self._emitter.finish(-1, key.project.key, request_id, event.SerializeToString())

    def _keep_bodies(self, event: RequestCompleted, exchange: Exchange, key: Key, error: OpenAIError) -> None:
        if not key.project.full_logging:
            return
        if self._emitter.keep_bodies and len(exchange.body) <= BODY_LIMIT:
            event.request_body, event.response_body = exchange.body, error.body()
        else:
            event.body_shed = True


def _event(exchange: Exchange, key: Key, error: OpenAIError) -> RequestCompleted:
    asked = _asked(exchange.body)
    model = asked.model[:_MODEL_CHARS] if isinstance(asked.model, str) else ""
    latency_us = (perf_counter_ns() - exchange.arrived_ns) // 1000
    event = RequestCompleted(
        organization_id=key.project.organization_id,
        project_id=key.project.id,
        key_id=key.id,
        requested_model=model,
        stream=asked.stream is True,
        outcome="error",
        status=error.status,
        error_code=error.code or "invalid_request",
        latency_us=latency_us,
        overhead_us=latency_us,
        ttft_us=-1,
        logging_mode="full" if key.project.full_logging else "metadata_only",
        price_version=key.project.price_version,
    )
    policy = key.project.policies.get(model[1:]) if model.startswith("@") else None
    if policy is not None:
        event.config_slug, event.config_version = policy.name, policy.version
    return event


def _asked(body: bytes) -> _Asked:
    if len(body) > BODY_LIMIT:
        return _Asked()
    try:
        return _read(body)
    except (ValueError, RecursionError):  # not JSON, or not UTF-8: msgspec's errors are ValueErrors
        return _Asked()
