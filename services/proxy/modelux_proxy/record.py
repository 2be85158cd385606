"""What is kept of a request: one event with its attempts and its decision trace, whatever the end."""

from __future__ import annotations

from time import perf_counter_ns

import msgspec

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted
from modelux.events.v1.request_pb2 import Usage as UsageRecord
from modelux_providers.call import ProviderCall
from modelux_proxy.call_context import Context
from routing_core.types import Outcome, Usage

BODY_LIMIT = 384 * 1024
"""Of request and response together; larger ones are not kept, as a bus carries messages of up to 1 MiB."""

_encode = msgspec.json.Encoder().encode


class Note(msgspec.Struct, array_like=True):
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
    """The note of a request about to be dispatched."""
    project = context.key.project
    request = context.request
    return _pack(
        Note(
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
    for name in Note.__struct_fields__:
        setattr(event, name, getattr(left, name))
    return left.project_id, left.request_id, event.SerializeToString()


def completed(context: Context, outcome: str, *, keep_bodies: bool) -> bytes:
    """The event of a request that has ended, encoded."""
    ended_ns = perf_counter_ns()
    arrived_ns = context.exchange.arrived_ns
    calls = context.driven.trials
    outcomes = [call.final() for call in calls]
    starts = [call.started_ns - arrived_ns for call in calls]
    project, request = context.key.project, context.request
    full = project.full_logging and keep_bodies
    response_body = context.response_body if full else b""
    if full and len(context.exchange.body) + len(response_body) > BODY_LIMIT:
        full = False
    selected = context.driven.selected
    last = selected or (calls[-1] if calls else None)
    first_ns = context.first_sent_ns
    latency_us = (ended_ns - arrived_ns) // 1000
    event = RequestCompleted(
        request_id=request.request_id,
        organization_id=project.organization_id,
        project_id=project.id,
        key_id=context.key.id,
        started_at_us=context.arrived_us,
        endpoint=request.endpoint,
        requested_model=request.model,
        config_slug=context.policy.name,
        config_version=context.policy.version,
        outcome=outcome,
        status=context.status,
        stream=request.stream,
        cost_nano=sum([each.cost_nano for each in outcomes]),
        latency_us=latency_us,
        ttft_us=(first_ns - arrived_ns) // 1000 if first_ns else -1,
        overhead_us=max(latency_us - _covered_us(calls, starts, outcomes), 0),
        attempts=[_attempt(call, each, start) for call, each, start in zip(calls, outcomes, starts, strict=True)],
        logging_mode="full" if project.full_logging else "metadata_only",
    )
    if context.error_code:
        event.error_code = context.error_code
    if request.tags:
        event.tags.update(request.tags)
    if request.end_user_id:
        event.end_user_id = request.end_user_id
    if context.response_id:
        event.response_id = context.response_id
    if last is not None:
        event.model, event.provider, event.credential_id = (
            last.target.model,
            last.target.provider,
            last.target.credential_id,
        )
        event.usage.CopyFrom(_usage(last.final().usage))
    if full:
        event.request_body = context.exchange.body
        event.response_body = response_body
    elif project.full_logging:
        event.body_shed = True
    _explain(event, context, outcomes, starts)
    return event.SerializeToString()


def _explain(event: RequestCompleted, context: Context, outcomes: list[Outcome], starts: list[int]) -> None:
    run = context.run
    if run is None or run.decision is None:
        return
    event.policy_type = run.decision.policy_type
    event.price_version = run.world.price_version
    event.trace_json = _encode(run.trace(outcomes, [start / 1e6 for start in starts]))


def _attempt(call: ProviderCall, outcome: Outcome, start_ns: int) -> AttemptRecord:
    return AttemptRecord(
        number=call.number,
        model=outcome.target.model,
        provider=outcome.target.provider,
        credential_id=outcome.target.credential_id,
        kind=outcome.kind,
        status=outcome.status or 0,
        error_code=outcome.error_code or "",
        latency_us=int(outcome.latency_ms * 1000),
        ttft_us=-1 if outcome.ttft_ms is None else int(outcome.ttft_ms * 1000),
        usage=_usage(outcome.usage),
        cost_nano=outcome.cost_nano,
        started_us=start_ns // 1000,
    )


def _usage(usage: Usage) -> UsageRecord:
    return UsageRecord(
        input=usage.input,
        output=usage.output,
        cache_read=usage.cache_read,
        cache_write=usage.cache_write,
        reasoning=usage.reasoning,
        estimated=usage.estimated,
    )


def _covered_us(calls: list[ProviderCall], starts: list[int], outcomes: list[Outcome]) -> int:
    """Time during which at least one call was under way."""
    covered = 0
    reached = 0
    for start, outcome in sorted(zip(starts, outcomes, strict=True), key=lambda pair: pair[0]):
        end = start + int(outcome.latency_ms * 1e6)
        if end > reached:
            covered += end - max(start, reached)
            reached = end
    return covered // 1000
