"""Turn request events into the columns of ClickHouse's tables. Pure; the column names are those of the migrations."""

from __future__ import annotations

from collections.abc import Sequence

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage

Columns = dict[str, list[object]]

EXTRAS = (
    "cache_write_1h",
    "input_audio",
    "cache_audio_read",
    "input_image",
    "output_audio",
    "output_image",
    "web_searches",
)
"""Fields of `Usage` that are kept in one column."""
_EARLIEST_US = 946_684_800_000_000  # 2000-01-01
_LATEST_US = 4_102_444_800_000_000  # 2100-01-01


def flaw(event: RequestCompleted) -> str | None:
    """Why an event cannot be a row; None where it can."""
    if not event.request_id:
        return "request_id is empty"
    if not event.project_id:
        return f"project_id of {event.request_id!r} is empty"
    if not _EARLIEST_US <= event.started_at_us < _LATEST_US:
        return f"started_at_us of {event.request_id!r} is {event.started_at_us}, not microseconds since the epoch"
    return None


def request_columns(events: Sequence[RequestCompleted]) -> Columns:
    """Table `requests`: one row per event, in order."""
    return {
        "request_id": [e.request_id for e in events],
        "organization_id": [e.organization_id for e in events],
        "project_id": [e.project_id for e in events],
        "key_id": [e.key_id for e in events],
        "started_at": [e.started_at_us for e in events],
        "endpoint": [e.endpoint for e in events],
        "requested_model": [e.requested_model for e in events],
        "config_slug": [e.config_slug for e in events],
        "config_version": [e.config_version for e in events],
        "policy_type": [e.policy_type for e in events],
        "outcome": [e.outcome for e in events],
        "status": [e.status for e in events],
        "error_code": [e.error_code for e in events],
        "model": [e.model for e in events],
        "provider": [e.provider for e in events],
        "credential_id": [e.credential_id for e in events],
        "stream": [e.stream for e in events],
        "tags": [dict(e.tags) for e in events],
        "end_user_id": [e.end_user_id for e in events],
        **_usage_columns([e.usage for e in events]),
        "cost_nano": [e.cost_nano for e in events],
        "latency_us": [e.latency_us for e in events],
        "ttft_us": [_measured(e.ttft_us) for e in events],
        "overhead_us": [e.overhead_us for e in events],
        "attempts": [len(e.attempts) for e in events],
        "logging_mode": [e.logging_mode for e in events],
        "body_shed": [e.body_shed for e in events],
        "price_version": [e.price_version for e in events],
        "response_id": [e.response_id for e in events],
        "estimated_input_tokens": [e.estimated_input_tokens for e in events],
        "max_tokens": [e.max_tokens for e in events],
        "needs": [list(e.needs) for e in events],
        "price_unknown": [e.price_unknown for e in events],
        "charged_nano": [e.charged_nano for e in events],
        "repeats": [e.repeats.calls for e in events],
        "source": [e.source for e in events],
        "trace": [e.trace_json for e in events],
        "request_body": [e.request_body for e in events],
        "response_body": [e.response_body for e in events],
        "version": [_version(e) for e in events],
    }


def attempt_columns(events: Sequence[RequestCompleted]) -> Columns:
    """Table `attempts`: one row per attempt of each event."""
    pairs = [(event, attempt) for event in events for attempt in event.attempts]
    return {
        "request_id": [e.request_id for e, _ in pairs],
        "organization_id": [e.organization_id for e, _ in pairs],
        "project_id": [e.project_id for e, _ in pairs],
        "request_started_at": [e.started_at_us for e, _ in pairs],
        "version": [_version(e) for e, _ in pairs],
        "source": [e.source for e, _ in pairs],
        **_attempt_columns([attempt for _, attempt in pairs]),
    }


def _attempt_columns(attempts: Sequence[AttemptRecord]) -> Columns:
    return {
        "number": [a.number for a in attempts],
        "model": [a.model for a in attempts],
        "provider": [a.provider for a in attempts],
        "credential_id": [a.credential_id for a in attempts],
        "kind": [a.kind for a in attempts],
        "status": [a.status for a in attempts],
        "error_code": [a.error_code for a in attempts],
        "started_us": [a.started_us for a in attempts],
        "latency_us": [a.latency_us for a in attempts],
        "ttft_us": [_measured(a.ttft_us) for a in attempts],
        **_usage_columns([a.usage for a in attempts]),
        "cost_nano": [a.cost_nano for a in attempts],
        "price_version": [a.price_version for a in attempts],
        "price_unknown": [a.price_unknown for a in attempts],
        "charged_nano": [a.charged_nano for a in attempts],
    }


def _usage_columns(usages: Sequence[Usage]) -> Columns:
    return {
        "input_tokens": [u.input for u in usages],
        "output_tokens": [u.output for u in usages],
        "cache_read_tokens": [u.cache_read for u in usages],
        "cache_write_tokens": [u.cache_write for u in usages],
        "reasoning_tokens": [u.reasoning for u in usages],
        "usage_estimated": [u.estimated for u in usages],
        "usage_extras": [_extras(u) for u in usages],
    }


def _extras(usage: Usage) -> dict[str, int]:
    """What few calls have, by name; empty for most."""
    return {name: count for name in EXTRAS if (count := getattr(usage, name))}


def _measured(microseconds: int) -> int | None:
    """Events say -1 where there was nothing to measure."""
    return None if microseconds < 0 else microseconds


def _version(event: RequestCompleted) -> int:
    """What really happened replaces what a restarted proxy could only call unknown, in whichever order they come."""
    return 0 if event.outcome == "unknown" else 1
