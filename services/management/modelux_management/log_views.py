"""How the request logs are shown."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import datetime
from typing import Literal, cast

from pydantic import BaseModel, Field, JsonValue

from modelux_management.wire import moment, usd
from modelux_store.log_rows import LogAttempt, LogRecord, LogRow
from routing_core.types import UsageExtras

Outcome = Literal["ok", "error", "cancelled", "unknown"]


class Usage(BaseModel):
    """Tokens. `input` includes cached ones and those of sound and pictures, `output` includes reasoning."""

    input: int
    output: int
    cache_read: int
    cache_write: int
    cache_write_1h: int = Field(description="Of `cache_write`: kept for an hour.")
    input_audio: int
    cache_audio_read: int = Field(description="Of `cache_read` and of `input_audio`.")
    input_image: int = Field(description="Pictures and video frames.")
    output_audio: int
    output_image: int
    web_searches: int = Field(description="Made by the provider and charged one by one.")
    reasoning: int
    estimated: bool = Field(description="True where the provider sent none and the proxy counted.")


class Log(BaseModel):
    """A request."""

    request_id: str
    project_id: str
    key_id: str
    started_at: datetime
    endpoint: str
    requested_model: str = Field(description="As the caller wrote it.")
    config: str | None = Field(description="The slug, without the @; null for a plain model.")
    config_version: int | None
    policy_type: str
    outcome: Outcome
    status: int = Field(description="As the caller saw it; 499 where it left first.")
    error_code: str | None
    model: str | None
    provider: str | None
    credential_id: str | None
    stream: bool
    tags: dict[str, str]
    end_user_id: str | None
    usage: Usage
    cost_usd: float | None = Field(description="Of all attempts. Null where no price is known for one of them.")
    charged_usd: float = Field(
        description="What budgets were charged: the cost, or more where nobody knows it; a ceiling where no price is."
    )
    repeats: int = Field(description="How often the run had made this call, on the one that made it a loop; else 0.")
    latency_ms: float | None = Field(description="Null where an imported row does not tell.")
    ttft_ms: float | None
    overhead_ms: float = Field(description="Time in the proxy outside of provider calls.")
    attempts: int
    logging_mode: str
    body_shed: bool = Field(description="True where bodies were dropped because the proxy's disk was nearly full.")
    price_version: str
    response_id: str | None
    source: str | None = Field(
        description="Null where a proxy served it; `experiment` or `judge` where such a run made it; else the name of "
        "the history that it was imported with."
    )


class Attempt(BaseModel):
    """One attempt at a provider."""

    number: int
    model: str
    provider: str
    credential_id: str
    outcome: str
    status: int | None
    error_code: str | None
    started_ms: float = Field(description="Since the request came in.")
    latency_ms: float
    ttft_ms: float | None
    usage: Usage
    cost_usd: float | None = Field(description="Null where no price is known.")
    charged_usd: float = Field(
        description="The cost, or more where nobody knows it; the ceiling where no price is known."
    )
    price_version: str | None = Field(description="Names the row of prices that the cost was taken from.")


class LogDetail(Log):
    """A request with its decision trace, its attempts and, in `full` projects, its bodies."""

    trace: JsonValue = Field(description="Which candidates were considered, which was chosen, and why.")
    attempt_log: list[Attempt]
    request_body: JsonValue
    response_body: JsonValue


def log(row: LogRow) -> Log:
    """A request as lists show it."""
    return Log.model_validate(_fields(row))


def log_detail(record: LogRecord) -> LogDetail:
    """A request with everything."""
    own = {
        "trace": readable(record.trace),
        "attempt_log": [_attempt(each) for each in record.attempts],
        "request_body": readable(record.request_body),
        "response_body": readable(record.response_body),
    }
    return LogDetail.model_validate({**_fields(record.row), **own})


def _fields(row: LogRow) -> dict[str, object]:
    optional = {name: getattr(row, name) or None for name in _OPTIONAL}
    own = {
        "started_at": moment(row.started_at_us),
        "config": row.config_slug or None,
        "config_version": row.config_version or None,
        "usage": _usage(row),
        "tags": dict(row.tags),
        "cost_usd": None if row.price_unknown else usd(row.cost_nano),
        "charged_usd": usd(row.charged_nano or row.cost_nano),
        "latency_ms": _ms(row.latency_us) if row.latency_us or not row.source else None,
        "ttft_ms": _ms(row.ttft_us),
        "overhead_ms": row.overhead_us / 1000,
    }
    return {**asdict(row), **optional, **own}


def _attempt(attempt: LogAttempt) -> Attempt:
    return Attempt(
        number=attempt.number,
        model=attempt.model,
        provider=attempt.provider,
        credential_id=attempt.credential_id,
        outcome=attempt.kind,
        status=attempt.status or None,
        error_code=attempt.error_code or None,
        started_ms=attempt.started_us / 1000,
        latency_ms=attempt.latency_us / 1000,
        ttft_ms=_ms(attempt.ttft_us),
        usage=_usage(attempt),
        cost_usd=None if attempt.price_unknown else usd(attempt.cost_nano),
        charged_usd=usd(attempt.charged_nano or attempt.cost_nano),
        price_version=attempt.price_version or None,
    )


def _usage(row: LogRow | LogAttempt) -> Usage:
    return Usage(
        input=row.input_tokens,
        output=row.output_tokens,
        cache_read=row.cache_read_tokens,
        cache_write=row.cache_write_tokens,
        reasoning=row.reasoning_tokens,
        estimated=row.usage_estimated,
        **{name: row.usage_extras.get(name, 0) for name in UsageExtras.__match_args__},
    )


def _ms(micros_or_none: int | None) -> float | None:
    return None if micros_or_none is None or micros_or_none < 0 else micros_or_none / 1000


def readable(body: bytes) -> JsonValue:
    """JSON where it is that, else text; null where nothing was kept."""
    if not body:
        return None
    try:
        return cast(JsonValue, json.loads(body))
    except (ValueError, RecursionError):
        return body.decode(errors="replace")


_OPTIONAL = ("error_code", "model", "provider", "credential_id", "end_user_id", "response_id", "source")
