"""Read stored decision traces of any age."""

from __future__ import annotations

import msgspec

from modelux_replay import stored
from routing_core.flow import Excluded, Hop
from routing_core.trace import (
    Measured,
    Saw,
    SawBudget,
    SawHealth,
    Trace,
    TraceAnswer,
    TraceAttempt,
    TraceCandidate,
    from_json,
)
from routing_core.types import Traits, Usage, UsageExtras


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
    budgets = [
        SawBudget(b.budget_id, b.cap_usd, b.spent_usd, b.name, b.downgrade_to, b.downgrade_at_ppm) for b in saw.budgets
    ]
    hops = [Hop(h.policy_type, h.policy_name, h.chose, h.reason, h.draw, h.propensity) for h in t.path]
    measured = t.measured
    return Trace(
        t.request_id,
        t.policy_type,
        t.policy_name,
        t.policy_version,
        tuple(hops),
        tuple([TraceCandidate(c.model, c.rank, c.reason) for c in t.candidates]),
        tuple([Excluded(e.model, e.reason) for e in t.excluded]),
        tuple([_attempt(a) for a in t.attempts]),
        t.selected,
        t.selection_reason,
        t.selected_attempt,
        Saw(health, tuple(budgets), saw.price_version, saw.at_ms, saw.draw),
        Measured(measured.cost_usd, measured.latency_ms, measured.ttft_ms, measured.output_cost_usd),
    )


def _answer(a: stored.StoredAnswer) -> TraceAnswer:
    t = a.traits
    traits = Traits(t.digest, t.json, t.refusal, t.score, t.matches)
    return TraceAnswer(a.finish_reason, a.tool_calls, a.refusal, a.logprob_mean, traits)


def _extras(e: stored.StoredExtras) -> UsageExtras:
    return UsageExtras(
        e.cache_write_1h,
        e.input_audio,
        e.cache_audio_read,
        e.input_image,
        e.output_audio,
        e.output_image,
        e.web_searches,
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
        Usage(
            u.input,
            u.output,
            u.cache_read,
            u.cache_write,
            u.reasoning,
            u.estimated,
            None if u.extras is None else _extras(u.extras),
        ),
        a.cost_usd,
        a.started_ms,
        a.reason,
        None if a.answer is None else _answer(a.answer),
        a.output_cost_usd,
    )
