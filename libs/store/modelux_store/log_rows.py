"""What the log says of a request and of its attempts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LogRow:
    """A request as lists show it. Microseconds, nano-USD, tokens."""

    request_id: str
    organization_id: str
    project_id: str
    key_id: str
    started_at_us: int
    endpoint: str
    requested_model: str
    config_slug: str
    config_version: int
    policy_type: str
    outcome: str
    status: int
    error_code: str
    model: str
    provider: str
    credential_id: str
    stream: bool
    tags: Mapping[str, str]
    end_user_id: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    cost_nano: int
    latency_us: int
    ttft_us: int | None
    overhead_us: int
    attempts: int
    logging_mode: str
    body_shed: bool
    price_version: str
    response_id: str
    price_unknown: bool
    """Of an attempt: `cost_nano` includes a ceiling, not a price."""
    charged_nano: int
    """By budgets, where that is not `cost_nano`; 0: the same."""
    repeats: int
    """How often its run had made this very call, on the call that made it a loop; else 0."""
    usage_extras: Mapping[str, int]
    """What few calls have, by its name in `routing_core.types.UsageExtras`."""
    source: str
    """Empty where a proxy served it, `experiment` or `judge` where such a run made it, else the name of the history
    that it was imported with.
    """


@dataclass(frozen=True, slots=True)
class LogAttempt:
    """One attempt at a provider."""

    number: int
    model: str
    provider: str
    credential_id: str
    kind: str
    status: int
    error_code: str
    started_us: int
    latency_us: int
    ttft_us: int | None
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    usage_estimated: bool
    usage_extras: Mapping[str, int]
    cost_nano: int
    price_version: str
    """Names the row of prices that `cost_nano` was taken from; empty in old logs."""
    price_unknown: bool
    charged_nano: int
    """As of the request."""


@dataclass(frozen=True, slots=True)
class LogRecord:
    """A request with everything. `trace` is JSON; bodies are the bytes on the wire, empty where they were not kept."""

    row: LogRow
    trace: bytes
    request_body: bytes
    response_body: bytes
    attempts: tuple[LogAttempt, ...]


@dataclass(frozen=True, slots=True)
class LogPage:
    """Some rows, newest first, and the cursor for those after them; None where there are no more."""

    rows: tuple[LogRow, ...]
    next_cursor: str | None
