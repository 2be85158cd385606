"""Read stored decision traces of any age: what they tell of outcomes, health and budgets."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from modelux_replay.simulation import stored
from routing_core.flow import Candidate
from routing_core.trace import TraceCandidate, from_json
from routing_core.types import Answer, Outcome, Target, Traits, Usage, UsageExtras
from routing_core.world import Budget, Health

_encode = msgspec.json.Encoder().encode
_KEPT = 1_000
_targets: dict[tuple[str, str], Target] = {}
_candidates: dict[int, tuple[Sequence[Candidate], bytes]] = {}


def read_trace(text: bytes) -> stored.StoredTrace | None:
    """The trace; None where there is none."""
    if len(text) <= len(b"{}"):
        return None
    try:
        return stored.decode(text)
    except msgspec.ValidationError:
        pass  # an older shape
    except msgspec.DecodeError:
        return None
    try:
        return stored.decode(_encode(from_json(text)))
    except ValueError:
        return None


def outcomes_of(trace: stored.StoredTrace) -> tuple[Outcome, ...]:
    """`routing_core.replay.recorded_outcomes` of a stored trace."""
    return tuple([_outcome(attempt) for attempt in trace.attempts])


def health_of(trace: stored.StoredTrace) -> Mapping[Target, Health]:
    """What the trace's policy saw of health."""
    return {
        _target(name.removesuffix(f"#{h.credential_id}"), h.credential_id): Health(
            h.state, h.p50_ms, h.ttft_ms, h.error_rate, h.samples, h.inflight, h.reason
        )
        for name, h in trace.saw.health.items()
    }


def budgets_of(trace: stored.StoredTrace) -> tuple[Budget, ...]:
    """The budgets as they stood."""
    told = trace.saw.budgets
    if not told:
        return ()
    return tuple(
        [
            Budget(
                b.budget_id,
                round(b.cap_usd * 1e9),
                round(b.spent_usd * 1e9),
                b.name,
                b.downgrade_to,
                b.downgrade_at_ppm,
            )
            for b in told
        ]
    )


def lists(trace: stored.StoredTrace, candidates: Sequence[Candidate]) -> bool:
    """Whether the trace tells of just these candidates."""
    text = bytes(trace.candidates)
    if text == candidates_text(candidates):
        return True
    told = [(each.model, each.rank, each.reason) for each in stored.candidates(text)]
    return told == [(each.target.name, each.rank, each.reason) for each in candidates]


def candidates_text(candidates: Sequence[Candidate]) -> bytes:
    """Candidates as traces have them. Policies keep those that seldom change, so their text is kept too."""
    known = _candidates.get(id(candidates))
    if known is not None:
        return known[1]
    text = _encode([TraceCandidate(each.target.name, each.rank, each.reason) for each in candidates])
    if len(_candidates) >= _KEPT:
        _candidates.clear()
    _candidates[id(candidates)] = (candidates, text)  # kept with the text, so that its id stays its own
    return text


def _outcome(a: stored.StoredAttempt) -> Outcome:
    u, told = a.usage, a.answer
    extras = None if u.extras is None else _extras(u.extras)
    return Outcome(
        _target(a.model, a.credential_id),
        a.outcome,
        a.status,
        a.latency_ms,
        a.ttft_ms,
        Usage(u.input, u.output, u.cache_read, u.cache_write, u.reasoning, u.estimated, extras),
        round(a.cost_usd * 1e9),
        a.error_code,
        None if told is None else _answer(told),
        None,
        round(a.output_cost_usd * 1e9),
    )


def _answer(a: stored.StoredAnswer) -> Answer:
    t = a.traits
    traits = Traits(t.digest, t.json, t.refusal, t.score, t.matches)
    return Answer("", a.finish_reason, a.tool_calls, a.refusal, a.logprob_mean, traits)


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


def _target(name: str, credential_id: str) -> Target:
    """One object for each target, as far as they are few."""
    found = _targets.get((name, credential_id))
    if found is None:
        model, _, provider = name.rpartition(":")
        if len(_targets) >= _KEPT:
            _targets.clear()
        found = _targets[name, credential_id] = Target(model, provider, credential_id)
    return found
