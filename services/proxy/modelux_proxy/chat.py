"""The life of one accepted request: drive its policy, answer, record."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from time import perf_counter_ns

from modelux_calling import failures, record
from modelux_calling.attempts import Beginner
from modelux_calling.blocked import Blocked
from modelux_calling.charge import Spending, settled_refusal
from modelux_calling.clock import Clock
from modelux_calling.loops import Loops
from modelux_calling.openai_shapes import ChatBody
from modelux_calling.tenants import Project
from modelux_providers.call import ProviderCall
from modelux_providers.client import Client, Deadlines
from modelux_providers.dialects.base import Complete, ProviderError
from modelux_providers.dialects.chunks import replay
from modelux_providers.drive import drive
from modelux_proxy import answers, notes
from modelux_proxy.call_context import Context
from modelux_proxy.emit import Emitter
from modelux_proxy.idempotency import Idempotency, Stored
from modelux_proxy.metrics import Metrics
from modelux_proxy.rate_limits import RateLimits
from modelux_proxy.stream import Relay
from routing_core.engine import Run
from routing_core.health import Registry
from routing_core.types import Outcome
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
        spending: Spending | None = None,
    ) -> None:
        """Without `spending`, keys that have budgets are refused."""
        self.client = client
        self.registry = registry
        self.emitter = emitter
        self.clock = clock
        self.deadlines = deadlines
        self.keepalive_s = keepalive_s
        self.idempotency = idempotency
        self.rate_limits = rate_limits
        self.metrics = metrics
        self.spending = spending
        self.loops = Loops()

    async def serve(self, context: Context, world: World) -> None:
        """Runs the request to its end. Cancelled when the caller leaves; recorded either way."""
        run = context.run = Run(context.policy, context.request, world)
        context.slot = self.emitter.start(notes.note(context))
        beginner = Beginner(context, self.client, self.deadlines, self.registry, self.clock)
        relay = None
        try:
            if context.stream:
                relay = Relay(context, self.keepalive_s)
                relay.watch()
            decision = await drive(run, beginner.begin, context.driven, beginner.may_go_on)
            call = context.driven.selected
            if call is None:
                error = failures.failure(context.driven.trials, decision)
                self._fail(context, await self._settled(context, error), relay)
            elif call.answer is not None:
                self._whole(context, call, call.answer, relay)
            elif relay is not None:
                now_ms = self.clock.steady_ms()
                started_ms = now_ms - (perf_counter_ns() - call.started_ns) // 1_000_000
                self.registry.observe_head(call.target, started_ms, now_ms)
                await self._stream(context, call, relay)
        except asyncio.CancelledError:
            self._ended_early(context, "cancelled", 499, "caller_left")
            raise
        except BaseException:
            self._ended_early(context, "error", 500, "internal_error")
            raise
        finally:
            if relay is not None:
                relay.stop()

    def _whole(self, context: Context, call: ProviderCall, answer: Complete, relay: Relay | None) -> None:
        context.response_id = answer.response_id or ""
        context.status = 200
        if relay is not None:
            assert isinstance(context.body, ChatBody)
            data = b"".join(replay(answer.body, call.final().usage, wants_usage=context.body.wants_usage) or ())
            relay.send(data)
            context.response_body = data
            self._record(context, "ok")
            relay.finish()
            self._store(context, 200, answers.STREAM, data + b"data: [DONE]\n\n")
            return
        context.response_body = answer.body
        outcomes = context.driven.outcomes()
        cost_nano = outcomes[0].cost_nano if len(outcomes) == 1 else sum(each.cost_nano for each in outcomes)
        known = all(_priced(context.key.project, each) for each in outcomes)
        lines = answers.JSON + answers.head(context, call, cost_nano=cost_nano if known else None)
        context.first_sent_ns = perf_counter_ns()
        self._record(context, "ok", outcomes)
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
        call = failures.told_by(context.driven.trials)
        lines = answers.JSON + answers.head(context, call) + answers.error_lines(error, call)
        self._record(context, "error")
        context.exchange.respond(error.status, lines, body)
        if isinstance(error, Blocked):  # nothing was done, and a budget may have room the next time
            self._forget(context)
        else:
            self._store(context, error.status, answers.JSON, body)

    async def _settled(self, context: Context, error: ProviderError) -> ProviderError:
        """The error as the ledger has it, where that refused."""
        if self.spending is None or not isinstance(error, Blocked):
            return error
        errors = [call.error for call in context.driven.trials]
        return await settled_refusal(self.spending.spender, error, errors, context.request.request_id)

    def _ended_early(self, context: Context, outcome: str, status: int, code: str) -> None:
        """The caller went away, or a bug of ours: still no call is left running and no request unrecorded."""
        if context.recorded:
            return
        for call in context.driven.trials:
            call.give_up("cancelled", code)
        context.status = status
        context.error_code = code
        self._record(context, outcome)
        self._forget(context)

    def _record(self, context: Context, outcome: str, outcomes: Sequence[Outcome] | None = None) -> None:
        if outcomes is None:
            outcomes = context.driven.outcomes()
        context.recorded = True
        emitter = self.emitter
        event = record.completed(context, outcome, outcomes, keep_bodies=emitter.keep_bodies)
        key = context.key
        emitter.finish(context.slot, key.project.key, context.request.request_id, event)
        if key.tokens_per_minute:
            request = context.request
            used = sum(each.usage.input + each.usage.output for each in outcomes)
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


def _priced(project: Project, outcome: Outcome) -> bool:
    """Whether the cost is one by a price: a 0 where none is known would claim that the call was free, and a ceiling is
    no cost.
    """
    used = outcome.usage
    if outcome.kind != "ok" and not (used.input or used.output):
        return True
    offer = project.offer_of(outcome.target)
    return offer is not None and offer.price is not None and offer.price.known
