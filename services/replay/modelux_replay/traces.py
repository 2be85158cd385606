"""Read stored decision traces of any age."""

from __future__ import annotations

import msgspec

from modelux_replay import stored
from routing_core.trace import Saw, SawHealth, Trace, TraceAttempt, TraceCandidate, from_json
from routing_core.types import Usage


def read_trace(text: bytes) -> Trace | None:
    """The trace; None where there is none."""
    if len(text) <= len(b"{}"):
        return None
    try:
        return _trace(stored.decode(text))
    except msgspec.ValidationError:
        pass  # an older shape
    except msgspec.DecodeError:
        return None
    try:
        return from_json(text)
    except ValueError:
        return None


def _trace(t: stored.StoredTrace) -> Trace:
    saw = t.saw
    health = {
        name: SawHealth(h.state, h.p50_ms, h.ttft_ms, h.error_rate, h.samples, h.inflight, h.credential_id, h.reason)
        for name, h in saw.health.items()
    }
    return Trace(
        t.request_id,
        t.policy_type,
        t.policy_name,
        t.policy_version,
        t.path,
        tuple([TraceCandidate(c.model, c.rank, c.reason) for c in t.candidates]),
        t.excluded,
        tuple([_attempt(a) for a in t.attempts]),
        t.selected,
        t.selection_reason,
        t.selected_attempt,
        Saw(health, saw.budgets, saw.price_version, saw.at_ms, saw.draw),
        t.measured,
    )


def _attempt(a: stored.StoredAttempt) -> TraceAttempt:
    u = a.usage
    return TraceAttempt(
        a.number,
        a.model,
        a.credential_id,
        a.outcome,
        a.status,
        a.error_code,
        a.latency_ms,
        a.ttft_ms,
        Usage(u.input, u.output, u.cache_read, u.cache_write, u.reasoning, u.estimated, u.extras),
        a.cost_usd,
        a.started_ms,
        a.reason,
        a.answer,
        a.output_cost_usd,
    )
