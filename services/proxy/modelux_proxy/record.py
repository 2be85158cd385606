"""What is kept of a request: one event with its attempts and its decision trace, whatever the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import perf_counter_ns
from typing import NamedTuple

import msgspec

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_providers.call import ProviderCall
from modelux_proxy import event_wire as wire
from modelux_proxy.call_context import Context
from routing_core.types import Outcome

_CONSTANTS_KEPT = 10_000
_OBFUSCATION = re.compile(rb',"obfuscation":"[^"\\]*"')
"""Random padding of stream chunks; quotes inside of texts are escaped, so only the member itself looks like this."""
BODY_LIMIT = 384 * 1024
"""Of request and response together; larger ones are not kept, as a bus carries messages of up to 1 MiB."""

_encode = msgspec.json.Encoder().encode


class Note(NamedTuple):
    """What is written down of a request when it is dispatched: enough to tell of it if its end never comes."""

    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    started_at_us: int
    endpoint: str
    requested_model: str
    config_slug: str
    config_version: int
    stream: bool
    end_user_id: str
    logging_mode: str


_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Note).decode


def note(context: Context) -> bytes:
    """The `Note` of a request about to be dispatched, encoded."""
    project = context.key.project
    request = context.request
    return _pack(
        (
            request.request_id,
            project.organization_id,
            project.id,
            context.key.id,
            context.arrived_us,
            request.endpoint,
            request.model,
            context.policy.name,
            context.policy.version,
            request.stream,
            request.end_user_id or "",
            "full" if project.full_logging else "metadata_only",
        )
    )


def unknown(payload: bytes) -> tuple[str, str, bytes] | None:
    """Project id, request id and event of a request whose end nobody saw; None where the note is damaged."""
    try:
        left = _unpack(payload)
    except msgspec.DecodeError:
        return None
    event = RequestCompleted(outcome="unknown", ttft_us=-1, error_code="proxy_died")
    for name in Note._fields:
        setattr(event, name, getattr(left, name))
    return left.project_id, left.request_id, event.SerializeToString()


def completed(context: Context, outcome: str, outcomes: Sequence[Outcome], *, keep_bodies: bool) -> bytes:
    """The event of a request that has ended, encoded. `outcomes` are those of its attempts, final."""
    ended_ns = perf_counter_ns()
    arrived_ns = context.exchange.arrived_ns
    calls = context.driven.trials
    starts = [call.started_ns - arrived_ns for call in calls]
    made = [_made(call, start, outcome) for call, start, outcome in zip(calls, starts, outcomes, strict=True)]
    request = context.request
    first_ns = context.first_sent_ns
    latency_us = (ended_ns - arrived_ns) // 1000
    run = context.run
    decision = None if run is None else run.decision
    request_body, response_body, shed = _bodies(context, keep_bodies)
    trace = b""
    if run is not None and decision is not None:
        trace = _encode(run.trace(outcomes, [each.started_us / 1000 for each in made]))
    answered = context.driven.selected_index
    last = outcomes[answered] if answered is not None else outcomes[-1] if outcomes else None
    return b"".join(
        (
            _constant(context),
            wire.measured(
                request.request_id,
                context.arrived_us,
                outcome,
                context.status,
                sum([each.cost_nano for each in outcomes]),
                latency_us,
                (first_ns - arrived_ns) // 1000 if first_ns else -1,
                max(latency_us - _covered_us(starts, outcomes), 0),
            ),
            wire.optional(
                "" if decision is None else decision.policy_type,
                context.error_code or "",
                request.end_user_id or "",
                context.response_id,
                request.tags,
                shed,
            ),
            wire.features(request.input_tokens, request.max_tokens, request.needs),
            b"" if last is None else wire.served_by(last.target, wire.usage(last.usage)),
            _charges(context, outcomes, made),
            wire.attempts(outcomes, made),
            *wire.bodies(trace, request_body, response_body),
        )
    )


def _made(call: ProviderCall, start_ns: int, outcome: Outcome) -> wire.Made:
    price = call.price
    charged = call.charge.charged_nano if call.charge is not None else 0
    if charged == outcome.cost_nano:
        charged = 0
    if price is not None and price.known:
        return wire.Made(call.number, (start_ns + 500) // 1000, price.version, False, charged)
    version = price.version if price is not None else ""
    used = outcome.usage
    return wire.Made(call.number, (start_ns + 500) // 1000, version, used.input + used.output > 0, charged)


def _charges(context: Context, outcomes: Sequence[Outcome], made: Sequence[wire.Made]) -> bytes:
    charged, unknown = 0, False
    for each in made:
        charged += each.charged_nano
        unknown = unknown or each.price_unknown
    if charged:
        charged = sum([each.charged_nano or outcome.cost_nano for each, outcome in zip(made, outcomes, strict=True)])
    return wire.charges(charged, unknown, context.purse.repeats if context.purse is not None else None)


def _constant(context: Context) -> bytes:
    """Kept per project, as the same few combinations come again and again."""
    project, request, policy = context.key.project, context.request, context.policy
    place = (context.key.id, request.model, policy.version, request.stream, request.endpoint)
    found = project.wire.get(place)
    if found is None:
        if len(project.wire) >= _CONSTANTS_KEPT:
            project.wire.clear()
        found = project.wire[place] = wire.constant(
            project.organization_id,
            project.id,
            context.key.id,
            request.endpoint,
            request.model,
            policy.name,
            policy.version,
            request.stream,
            project.full_logging,
            project.price_version,
        )
    return found


def _bodies(context: Context, keep: bool) -> tuple[bytes, bytes, bool]:
    """Request and response body as far as they are kept, and whether they were left out although the project wants
    them.
    """
    if not context.key.project.full_logging:
        return b"", b"", False
    request, response = context.exchange.body, context.response_body
    if context.stream and b'"obfuscation":"' in response:
        response = _OBFUSCATION.sub(b"", response)
    if not keep or len(request) + len(response) > BODY_LIMIT:
        return b"", b"", True
    return request, response, False


def _covered_us(starts: Sequence[int], outcomes: Sequence[Outcome]) -> int:
    """Time during which at least one call was under way."""
    if len(outcomes) == 1:
        return int(outcomes[0].latency_ms * 1000)
    covered = 0
    reached = 0
    for start, outcome in sorted(zip(starts, outcomes, strict=True), key=lambda pair: pair[0]):
        end = start + int(outcome.latency_ms * 1e6)
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered // 1000
