"""The JSON shape of decision traces of today, as structs: what occurs in every trace is decoded some times as fast."""

from __future__ import annotations

import msgspec

from routing_core.flow import Excluded, Hop
from routing_core.trace import Measured, SawBudget, TraceAnswer
from routing_core.types import OutcomeKind, UsageExtras
from routing_core.world import BreakerState


class StoredCandidate(msgspec.Struct, gc=False):
    model: str
    rank: int
    reason: str


class StoredUsage(msgspec.Struct):
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    estimated: bool
    extras: UsageExtras | None


class StoredAttempt(msgspec.Struct):
    number: int
    model: str
    credential_id: str
    outcome: OutcomeKind
    status: int | None
    error_code: str | None
    latency_ms: float
    ttft_ms: float | None
    usage: StoredUsage
    cost_usd: float
    started_ms: float
    reason: str
    answer: TraceAnswer | None
    output_cost_usd: float


class StoredHealth(msgspec.Struct, gc=False):
    state: BreakerState
    p50_ms: float | None
    ttft_ms: float | None
    error_rate: float
    samples: int
    inflight: int
    credential_id: str
    reason: str


class StoredSaw(msgspec.Struct):
    health: dict[str, StoredHealth]
    budgets: tuple[SawBudget, ...]
    price_version: str
    at_ms: int
    draw: float | None


class StoredTrace(msgspec.Struct):
    request_id: str
    policy_type: str
    policy_name: str
    policy_version: int
    path: tuple[Hop, ...]
    candidates: tuple[StoredCandidate, ...]
    excluded: tuple[Excluded, ...]
    attempts: tuple[StoredAttempt, ...]
    selected: str | None
    selection_reason: str
    selected_attempt: int | None
    saw: StoredSaw
    measured: Measured


decode = msgspec.json.Decoder(StoredTrace).decode
"""Raises `msgspec.DecodeError`; `msgspec.ValidationError` for the shape of an older trace."""
