"""The life of one accepted request: drive its policy, answer, record."""

from __future__ import annotations

import asyncio
from time import perf_counter_ns

from modelux_providers.call import ProviderCall
from modelux_providers.client import Client, Deadlines
from modelux_providers.dialects.base import Complete, ProviderError
from modelux_providers.drive import drive
from modelux_proxy import answers, record, replay_answer
from modelux_proxy.attempts import Beginner
from modelux_proxy.call_context import Context
from modelux_proxy.clock import Clock
from modelux_proxy.emit import Emitter
from modelux_proxy.idempotency import Idempotency, Stored
from modelux_proxy.metrics import Metrics
from modelux_proxy.openai_schema import ChatBody
from modelux_proxy.rate_limits import RateLimits
from modelux_proxy.stream import Relay
from routing_core.engine import Run
from routing_core.health import Registry
from routing_core.world import World


class Lane:
    """What every request needs to be driven, answered and recorded."""

    def __init__(
        self,
        client: Client,
        registry: Registry,
        emitter: Emitter,
        clock: Clock,
        deadlines: Deadlines,
        keepalive_s: float,
        idempotency: Idempotency,
        rate_limits: RateLimits,
        metrics: Metrics,
    ) -> None:
        self.client = client
        self.registry = registry
        self.emitter = emitter
        self.clock = clock
        self.deadlines = deadlines
        self.keepalive_s = keepalive_s
        self.idempotency = idempotency
        self.rate_limits = rate_limits
        self.metrics = metrics

    async def serve(self, context: Context, world: World) -> None:
        """Runs the request to its end. Cancelled when the caller leaves; recorded either way."""
        context.run = Run(context.policy, context.request, world)
        context.slot = self.emitter.start(lambda: record.note(context))
        relay = Relay(context, self.keepalive_s) if context.stream else None
        try:
            await self._drive(context, relay)
        except asyncio.CancelledError:
            self._left(context)
            raise
        except BaseException:
            self._broken(context)
            raise
        finally:
            if relay is not None:
                relay.stop()

    async def _drive(self, context: Context, relay: Relay | None) -> None:
        beginner = Beginner(context, self.client, self.deadlines, self.registry, self.clock)
        run = context.run
        assert run is not None
        if relay is not None:
            relay.watch()
        decision = await drive(run, beginner.begin, context.driven, beginner.may_go_on)
        call = context.driven.selected
        if call is None:
            self._fail(context, answers.failure(context, decision), relay)
        elif call.answer is not None:
            self._whole(context, call, call.answer, relay)
        else:
            assert relay is not None
            now_ms = self.clock.steady_ms()
            self.registry.observe_head(call.target, now_ms - (perf_counter_ns() - call.started_ns) // 1_000_000, now_ms)
            await self._stream(context, call, relay)

    def _whole(self, context: Context, call: ProviderCall, answer: Complete, relay: Relay | None) -> None:
        context.response_id = answer.response_id or ""
        context.status = 200
        if relay is not None:
            assert isinstance(context.body, ChatBody)
            data = replay_answer.events(answer.body, context.body.wants_usage, call.final().usage)
            relay.send(data)
            context.response_body = data
            self._record(context, "ok")
            relay.finish()
            self._store(context, 200, answers.STREAM, data + b"data: [DONE]\n\n")
            return
        context.response_body = answer.body
        outcomes = context.driven.outcomes()
        cost_nano = outcomes[0].cost_nano if len(outcomes) == 1 else sum(each.cost_nano for each in outcomes)
        lines = answers.JSON + answers.head(context, call, cost_nano=cost_nano)
        context.first_sent_ns = perf_counter_ns()
        self._record(context, "ok")
        context.exchange.respond(200, lines, answer.body)
        self._store(context, 200, answers.JSON, answer.body)

    async def _stream(self, context: Context, call: ProviderCall, relay: Relay) -> None:
        context.status = 200
        await relay.run(call)
        relay.stop()
        context.response_body = relay.kept
        if relay.failed is not None:
            context.error_code = relay.failed.error.code or "upstream_error"
            self._record(context, "error")
            relay.finish()
            self._forget(context)
            return
        self._record(context, "ok")
        relay.finish()
        if context.response_body:
            self._store(context, 200, answers.STREAM, context.response_body + b"data: [DONE]\n\n")
        else:
            self._forget(context)

    def _fail(self, context: Context, error: ProviderError, relay: Relay | None) -> None:
        body = error.envelope()
        context.error_code = error.code or error.type
        context.response_body = body
        if relay is not None and context.exchange.started:  # a comment went out while a provider was silent
            context.status = 200
            relay.fail(error)
            self._record(context, "error")
            relay.finish()
            self._forget(context)
            return
        context.status = error.status
        calls = context.driven.trials
        last = calls[-1] if calls else None
        lines = answers.JSON + answers.head(context, last) + answers.error_lines(error, last)
        self._record(context, "error")
        context.exchange.respond(error.status, lines, body)
        self._store(context, error.status, answers.JSON, body)

    def _left(self, context: Context) -> None:
        """The caller went away."""
        for call in context.driven.trials:
            call.give_up("cancelled", "caller_left")
        context.status = 499
        context.error_code = "caller_left"
        self._record(context, "cancelled")
        self._forget(context)

    def _broken(self, context: Context) -> None:
        """A bug of ours: still no call is left running and no request unrecorded."""
        for call in context.driven.trials:
            call.give_up("cancelled", "internal_error")
        context.status = 500
        context.error_code = "internal_error"
        self._record(context, "error")
        self._forget(context)

    def _record(self, context: Context, outcome: str) -> None:
        emitter = self.emitter
        event = record.completed(context, outcome, keep_bodies=emitter.keep_bodies)
        request = context.request
        emitter.finish(context.slot, context.key.project.key, request.request_id, event)
        key = context.key
        used = 0
        for call in context.driven.trials:
            usage = call.final().usage
            used += usage.input + usage.output
        if key.tokens_per_minute:
            self.rate_limits.settle(key.id, request.input_tokens + (request.max_tokens or 0), used)
        self.metrics.finished(outcome, context.status, context.exchange.arrived_ns)

    def _store(self, context: Context, status: int, lines: bytes, body: bytes) -> None:
        if context.idempotency_key:
            call = context.driven.selected
            lines += answers.head(context, call) + b"idempotent-replayed: true\r\n"
            self.idempotency.finish(context.key.id, context.idempotency_key, Stored(status, lines, body))

    def _forget(self, context: Context) -> None:
        if context.idempotency_key:
            self.idempotency.forget(context.key.id, context.idempotency_key)
