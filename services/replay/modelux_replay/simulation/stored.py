"""The JSON shape of decision traces of today, as structs: msgspec cannot read into dataclasses that are compiled."""

from __future__ import annotations

import msgspec

from routing_core.types import OutcomeKind
from routing_core.world import BreakerState


class StoredCandidate(msgspec.Struct, gc=False):
    model: str
    rank: int
    reason: str


class StoredHop(msgspec.Struct):
    policy_type: str
    policy_name: str
    chose: str
    reason: str
    draw: float | None
    propensity: float | None


class StoredExcluded(msgspec.Struct, gc=False):
    model: str
    reason: str


class StoredMeasured(msgspec.Struct, gc=False):
    cost_usd: float
    latency_ms: float
    ttft_ms: float | None
    output_cost_usd: float


class StoredBudget(msgspec.Struct, gc=False):
    budget_id: str
    cap_usd: float
    spent_usd: float
    name: str
    downgrade_to: str
    downgrade_at_ppm: int


class StoredTraits(msgspec.Struct, gc=False):
    digest: str
    json: bool | None
    refusal: bool | None
    score: float | None
    matches: bool | None


class StoredAnswer(msgspec.Struct):
    finish_reason: str | None
    tool_calls: int
    refusal: bool
    logprob_mean: float | None
    traits: StoredTraits


class StoredExtras(msgspec.Struct, gc=False):
    cache_write_1h: int
    input_audio: int
    cache_audio_read: int
    input_image: int
    output_audio: int
    output_image: int
    web_searches: int


class StoredUsage(msgspec.Struct):
    input: int
    output: int
    cache_read: int
    cache_write: int
    reasoning: int
    estimated: bool
    extras: StoredExtras | None


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
    answer: StoredAnswer | None
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
    budgets: tuple[StoredBudget, ...]
    price_version: str
    at_ms: int
    draw: float | None


class StoredTrace(msgspec.Struct):
    request_id: str
    policy_type: str
    policy_name: str
    policy_version: int
    path: tuple[StoredHop, ...]
    candidates: msgspec.Raw
    """Of `StoredCandidate`: as text, for it is compared and hardly ever read."""
    excluded: tuple[StoredExcluded, ...]
    attempts: tuple[StoredAttempt, ...]
    selected: str | None
    selection_reason: str
    selected_attempt: int | None
    saw: StoredSaw


class StoredRest(msgspec.Struct, gc=False):
    """The part of a trace that is seldom another's too: all but policy, candidates and exclusions."""

    request_id: str
    path: object
    """Of `Hop` records."""
    attempts: list[StoredAttempt]
    selected: str | None
    selection_reason: str
    selected_attempt: int | None
    saw: StoredSaw
    measured: StoredMeasured
    sources: list[str]


candidates = msgspec.json.Decoder(tuple[StoredCandidate, ...]).decode
"""What a trace's `candidates` hold."""
decode = msgspec.json.Decoder(StoredTrace).decode
"""Raises `msgspec.DecodeError`; `msgspec.ValidationError` for the shape of an older trace."""
