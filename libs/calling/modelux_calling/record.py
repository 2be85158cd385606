"""What is kept of a request: one event with its attempts and its decision trace, whatever the end."""

from __future__ import annotations

import re
from collections.abc import Sequence
from time import perf_counter_ns

import msgspec

from modelux_calling import event_wire as wire
from modelux_calling.asked import Asked
from modelux_providers.call import ProviderCall
from routing_core.types import Outcome

_CONSTANTS_KEPT = 10_000
_OBFUSCATION = re.compile(rb',"obfuscation":"[^"\\]*"')
"""Random padding of stream chunks; quotes inside of texts are escaped, so only the member itself looks like this."""
BODY_LIMIT = 384 * 1024
"""Of request and response together; larger ones are not kept, as a bus carries messages of up to 1 MiB."""

_encode = msgspec.json.Encoder().encode


def completed(asked: Asked, outcome: str, outcomes: Sequence[Outcome], *, keep_bodies: bool, source: str = "") -> bytes:
    """The event of a request that has ended, encoded. `outcomes` are those of its attempts, final; `source` is empty
    for what a proxy served.
    """
    ended_ns = perf_counter_ns()
    arrived_ns = asked.arrived_ns
    calls = asked.driven.trials
    starts = [call.started_ns - arrived_ns for call in calls]
    made = [_made(call, start, outcome) for call, start, outcome in zip(calls, starts, outcomes, strict=True)]
    request = asked.request
    first_ns = asked.first_sent_ns
    latency_us = (ended_ns - arrived_ns) // 1000
    run = asked.run
    decision = None if run is None else run.decision
    request_body, response_body, shed = _bodies(asked, keep_bodies)
    trace = b""
    if run is not None and decision is not None:
        trace = _encode(run.trace(outcomes, [each.started_us / 1000 for each in made]))
    answered = asked.driven.selected_index
    last = outcomes[answered] if answered is not None else outcomes[-1] if outcomes else None
    return b"".join(
        (
            _constant(asked),
            wire.measured(
                asked.call_id,
                asked.arrived_us,
                outcome,
                asked.status,
                sum([each.cost_nano for each in outcomes]),
                latency_us,
                (first_ns - arrived_ns) // 1000 if first_ns else -1,
                max(latency_us - _covered_us(starts, outcomes), 0),
            ),
            wire.optional(
                "" if decision is None else decision.policy_type,
                asked.error_code or "",
                request.end_user_id or "",
                asked.response_id,
                request.tags,
                shed,
            ),
            wire.features(request.input_tokens, request.max_tokens, request.needs),
            b"" if last is None else wire.served_by(last.target, wire.usage(last.usage)),
            _charges(asked, outcomes, made),
            wire.attempts(outcomes, made),
            wire.source(source) if source else b"",
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


def _charges(asked: Asked, outcomes: Sequence[Outcome], made: Sequence[wire.Made]) -> bytes:
    charged, unknown = 0, False
    for each in made:
        charged += each.charged_nano
        unknown = unknown or each.price_unknown
    if charged:
        charged = sum([each.charged_nano or outcome.cost_nano for each, outcome in zip(made, outcomes, strict=True)])
    return wire.charges(charged, unknown, asked.purse.repeats if asked.purse is not None else None)


def _constant(asked: Asked) -> bytes:
    """Kept per project, as the same few combinations come again and again."""
    project, request, policy = asked.project, asked.request, asked.policy
    place = (asked.key_id, request.model, policy.version, request.stream, request.endpoint)
    found = project.wire.get(place)
    if found is None:
        if len(project.wire) >= _CONSTANTS_KEPT:
            project.wire.clear()
        found = project.wire[place] = wire.constant(
            project.organization_id,
            project.id,
            asked.key_id,
            request.endpoint,
            request.model,
            policy.name,
            policy.version,
            request.stream,
            project.full_logging,
            project.price_version,
        )
    return found


def _bodies(asked: Asked, keep: bool) -> tuple[bytes, bytes, bool]:
    """Request and response body as far as they are kept, and whether they were left out although the project wants
    them.
    """
    if not asked.project.full_logging:
        return b"", b"", False
    request, response = asked.raw, asked.response_body
    if asked.stream and b'"obfuscation":"' in response:
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
