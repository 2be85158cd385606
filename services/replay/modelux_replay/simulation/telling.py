"""Write the decision trace of a case as it is stored: what `Run.trace` tells, many times as fast as through records."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from modelux_replay.simulation.cases import PROJECTED, Case
from modelux_replay.simulation.stored import (
    StoredAnswer,
    StoredAttempt,
    StoredBudget,
    StoredExtras,
    StoredHealth,
    StoredMeasured,
    StoredRest,
    StoredSaw,
    StoredTraits,
    StoredUsage,
)
from modelux_replay.simulation.traces import candidates_text
from routing_core.flow import Decision, Excluded, Step
from routing_core.rounding import thousandths
from routing_core.trace import draw_of, offsets
from routing_core.types import Answer, Outcome, Traits, Usage

_encode = msgspec.json.Encoder().encode
_HEADS_KEPT = 1_000
_heads: dict[tuple[str, str, int, bytes], bytes] = {}
SOURCES = {True: "projected", False: "reused"}
"""Where an outcome comes from, by whether it is projected."""


def tell(case: Case) -> tuple[bytes, StoredMeasured]:
    """The trace of a decided case, with where each attempt's outcome comes from, and what it measures.

    What many rows have in common comes first.
    """
    run, ended = case.run, case.ended
    decision, steps = run.decision, run.steps
    assert decision is not None
    attempts = _attempts(case, decision, steps, ended)
    measured = _measured(ended, attempts, decision.selected)
    chosen = decision.selected
    rest = StoredRest(
        run.request.request_id,
        decision.path,
        attempts,
        None if chosen is None else attempts[chosen].model,
        decision.reason,
        None if chosen is None else chosen + 1,
        _saw(case, decision, steps),
        measured,
        [SOURCES[match == PROJECTED] for match in case.matches],
    )
    return _head(decision, steps) + _encode(rest)[1:], measured


def _head(decision: Decision, steps: Sequence[Step]) -> bytes:
    candidates = candidates_text(steps[0].candidates if steps else decision.candidates)
    known = (decision.policy_type, decision.policy_name, decision.policy_version, candidates)
    head = _heads.get(known)
    if head is None:
        named = {"policy_type": known[0], "policy_name": known[1], "policy_version": known[2]}
        head = _encode(named)[:-1] + b',"candidates":' + candidates + b',"excluded":'
        if len(_heads) >= _HEADS_KEPT:
            _heads.clear()
        _heads[known] = head
    return head + _excluded(steps[0].excluded if steps else decision.excluded) + b","


def _excluded(excluded: Sequence[Excluded]) -> bytes:
    return _encode([{"model": each.model, "reason": each.reason} for each in excluded]) if excluded else b"[]"


def _attempts(case: Case, decision: Decision, steps: Sequence[Step], ended: Sequence[Outcome]) -> list[StoredAttempt]:
    trace = case.logged.trace
    if trace is not None and case.as_logged:
        starts = [attempt.started_ms for attempt in trace.attempts]
    else:
        starts = offsets(steps, ended) if len(ended) > 1 else [0.0]
    sent, traits = case.run.outcomes, decision.traits
    made = steps[0].attempts if len(steps) == 1 else [attempt for step in steps for attempt in step.attempts]
    found: list[StoredAttempt] = []
    for index, outcome in enumerate(ended):
        target, first, answer = outcome.target, outcome.ttft_ms, sent[index].answer
        weighed = answer is not None and index in traits and not case.assumed(index + 1)
        found.append(
            StoredAttempt(
                index + 1,
                target.name,
                target.credential_id,
                outcome.kind,
                outcome.status,
                outcome.error_code,
                thousandths(outcome.latency_ms),
                None if first is None else thousandths(first),
                _usage(outcome.usage),
                outcome.cost_nano / 1e9,
                thousandths(starts[index]),
                made[index].reason,
                _answer(answer, traits[index]) if weighed and answer is not None else None,
                outcome.output_cost_nano / 1e9,
            )
        )
    return found


def _usage(u: Usage) -> StoredUsage:
    e = u.extras
    extras = None
    if e is not None:
        extras = StoredExtras(
            e.cache_write_1h,
            e.input_audio,
            e.cache_audio_read,
            e.input_image,
            e.output_audio,
            e.output_image,
            e.web_searches,
        )
    return StoredUsage(u.input, u.output, u.cache_read, u.cache_write, u.reasoning, u.estimated, extras)


def _answer(a: Answer, t: Traits) -> StoredAnswer:
    traits = StoredTraits(t.digest, t.json, t.refusal, t.score, t.matches)
    return StoredAnswer(a.finish_reason, a.tool_calls, a.refusal, a.logprob_mean, traits)


def _saw(case: Case, decision: Decision, steps: Sequence[Step]) -> StoredSaw:
    run = case.run
    health: dict[str, StoredHealth] = {}
    for target, h in run.seen.looked.items():
        if h is not None:
            credential, name = target.credential_id, target.name
            key = f"{name}#{credential}" if name in health else name
            health[key] = StoredHealth(
                h.state, h.p50_ms, h.ttft_ms, h.error_rate, h.samples, h.inflight, credential, h.reason
            )
    world = run.world
    budgets: tuple[StoredBudget, ...] = ()
    if world.budgets:
        budgets = tuple(
            [
                StoredBudget(
                    b.budget_id, b.cap_nano / 1e9, b.spent_nano / 1e9, b.name, b.downgrade_to, b.downgrade_at_ppm
                )
                for b in world.budgets
            ]
        )
    draw = draw_of(decision, steps[0] if steps else None)
    return StoredSaw(health, budgets, world.price_version, run.request.at_ms, draw)


def _measured(ended: Sequence[Outcome], attempts: Sequence[StoredAttempt], chosen: int | None) -> StoredMeasured:
    """As `routing_core.trace` measures: from the rounded times of the attempts."""
    cost, output_cost, end = 0, 0, 0.0
    for outcome, attempt in zip(ended, attempts, strict=True):
        cost += outcome.cost_nano
        output_cost += outcome.output_cost_nano
        end = max(end, attempt.started_ms + attempt.latency_ms)
    if chosen is None:
        return StoredMeasured(cost / 1e9, thousandths(end), None, output_cost / 1e9)
    picked = attempts[chosen]
    first = None if picked.ttft_ms is None else thousandths(picked.started_ms + picked.ttft_ms)
    return StoredMeasured(cost / 1e9, thousandths(picked.started_ms + picked.latency_ms), first, output_cost / 1e9)
