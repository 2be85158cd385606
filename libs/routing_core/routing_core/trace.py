"""The decision trace: what was considered, seen, done and why. Its JSON shape is stored and stays readable."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from routing_core.flow import Decision, Excluded, Hop, Step
from routing_core.records import record
from routing_core.rounding import thousandths
from routing_core.types import Answer, Outcome, OutcomeKind, Request, Target, Traits, Usage, UsageExtras
from routing_core.world import BreakerState, Health, World

_T = TypeVar("_T")
Json = dict[str, Any]
"""A stored document, before it is read."""


@record
class TraceCandidate:
    model: str
    """`model:provider`, as everywhere in a trace."""
    rank: int
    reason: str


@record
class TraceAnswer:
    """What the policy weighed of an answer: of its text only traits."""

    finish_reason: str | None
    tool_calls: int
    refusal: bool
    logprob_mean: float | None
    traits: Traits


@record
class TraceAttempt:
    number: int
    model: str
    credential_id: str
    outcome: OutcomeKind
    status: int | None
    error_code: str | None
    latency_ms: float
    ttft_ms: float | None
    usage: Usage
    cost_usd: float
    started_ms: float
    """Since the request arrived."""
    reason: str
    answer: TraceAnswer | None = None
    output_cost_usd: float = 0.0
    """The output's part of `cost_usd`."""


@record
class SawHealth:
    state: BreakerState
    p50_ms: float | None
    ttft_ms: float | None
    error_rate: float
    samples: int
    inflight: int
    credential_id: str
    reason: str = ""


@record
class SawBudget:
    budget_id: str
    cap_usd: float
    spent_usd: float
    name: str = ""
    downgrade_to: str = ""
    downgrade_at_ppm: int = 0


@record
class Saw:
    """The state that the policy saw. `health` holds the targets it looked at and knew something of, by `model:provider`
    (with `#credential_id` for further credentials of the same).
    """

    health: Mapping[str, SawHealth]
    budgets: tuple[SawBudget, ...]
    price_version: str
    at_ms: int
    draw: float | None


@record
class Measured:
    """What the whole request cost and took: all attempts, from its arrival to the end of the answer."""

    cost_usd: float
    latency_ms: float
    ttft_ms: float | None
    output_cost_usd: float = 0.0


@record
class Trace:
    request_id: str
    policy_type: str
    policy_name: str
    policy_version: int
    path: tuple[Hop, ...]
    candidates: tuple[TraceCandidate, ...]
    excluded: tuple[Excluded, ...]
    attempts: tuple[TraceAttempt, ...]
    selected: str | None
    selection_reason: str
    selected_attempt: int | None
    """Number of the attempt whose answer was returned."""
    saw: Saw
    measured: Measured


def build(
    request: Request,
    world: World,
    decision: Decision,
    steps: Sequence[Step],
    sent: Sequence[Outcome],
    outcomes: Sequence[Outcome],
    started_ms: Sequence[float] | None,
    looked: Mapping[Target, Health | None],
) -> Trace:
    """The trace of a decided run: the outcomes as `sent` to the policy, and as they ended.

    Without `started_ms`, each step starts when the one before it ended.
    """
    starts = offsets(steps, outcomes) if started_ms is None else started_ms
    first = steps[0] if steps else None
    chosen = decision.selected
    attempts = _attempts(decision, steps, sent, outcomes, starts)
    return Trace(
        request.request_id,
        decision.policy_type,
        decision.policy_name,
        decision.policy_version,
        decision.path,
        tuple([TraceCandidate(c.target.name, c.rank, c.reason) for c in (first or decision).candidates]),
        (first or decision).excluded,
        attempts,
        None if chosen is None else attempts[chosen].model,
        decision.reason,
        None if chosen is None else chosen + 1,
        _saw(request, world, looked, draw_of(decision, first)),
        _measured(outcomes, attempts, chosen),
    )


def offsets(steps: Sequence[Step], outcomes: Sequence[Outcome]) -> list[float]:
    """When each attempt starts if every step starts at once after the one before it. Milliseconds."""
    starts: list[float] = []
    now = 0.0
    for step in steps:
        mine = outcomes[len(starts) : len(starts) + len(step.attempts)]
        starts += [now] * len(mine)
        won = [outcome.latency_ms for outcome in mine if outcome.ok] if step.mode == "race" else []
        now += min(won) if won else max((outcome.latency_ms for outcome in mine), default=0.0)
    return starts


def from_json(text: str | bytes) -> Trace:
    """A stored trace of any age, the JSON of the dataclass: fields that came later get their defaults, unknown ones are
    left out.

    Raises ValueError where it is not a trace.
    """
    try:
        return _trace(json.loads(text))
    except (KeyError, TypeError, AttributeError) as fault:
        raise ValueError(f"not a decision trace: {fault!r}") from fault


def _attempts(
    decision: Decision,
    steps: Sequence[Step],
    sent: Sequence[Outcome],
    outcomes: Sequence[Outcome],
    starts: Sequence[float],
) -> tuple[TraceAttempt, ...]:
    made = steps[0].attempts if len(steps) == 1 else [attempt for step in steps for attempt in step.attempts]
    traits = decision.traits
    found: list[TraceAttempt] = []
    for index, outcome in enumerate(outcomes):
        target, first, answer = outcome.target, outcome.ttft_ms, sent[index].answer
        found.append(
            TraceAttempt(
                index + 1,
                target.name,
                target.credential_id,
                outcome.kind,
                outcome.status,
                outcome.error_code,
                thousandths(outcome.latency_ms),
                None if first is None else thousandths(first),
                outcome.usage,
                outcome.cost_nano / 1e9,
                thousandths(starts[index]),
                made[index].reason,
                None if answer is None or index not in traits else _answer(answer, traits[index]),
                outcome.output_cost_nano / 1e9,
            )
        )
    return tuple(found)


def _answer(answer: Answer, traits: Traits) -> TraceAnswer:
    return TraceAnswer(answer.finish_reason, answer.tool_calls, answer.refusal, answer.logprob_mean, traits)


def _saw(request: Request, world: World, looked: Mapping[Target, Health | None], draw: float | None) -> Saw:
    health: dict[str, SawHealth] = {}
    for target, h in looked.items():
        if h is not None:
            credential, name = target.credential_id, target.name
            key = f"{name}#{credential}" if name in health else name
            seen = (h.state, h.p50_ms, h.ttft_ms, h.error_rate, h.samples, h.inflight)
            health[key] = SawHealth(*seen, credential, h.reason)
    return Saw(health, _saw_budgets(world), world.price_version, request.at_ms, draw)


def _saw_budgets(world: World) -> tuple[SawBudget, ...]:
    return tuple(
        [
            SawBudget(b.budget_id, b.cap_nano / 1e9, b.spent_nano / 1e9, b.name, b.downgrade_to, b.downgrade_at_ppm)
            for b in world.budgets
        ]
    )


def draw_of(decision: Decision, first: Step | None) -> float | None:
    """The chance that decided last: of the ranking, or of the innermost split."""
    if first is not None and first.draw is not None:
        return first.draw
    return next((hop.draw for hop in reversed(decision.path) if hop.draw is not None), None) if decision.path else None


def _measured(outcomes: Sequence[Outcome], attempts: Sequence[TraceAttempt], chosen: int | None) -> Measured:
    """From the rounded times of the attempts, so that a replay of the trace comes to the same."""
    cost, output_cost, end = 0, 0, 0.0
    for outcome, attempt in zip(outcomes, attempts, strict=True):
        cost += outcome.cost_nano
        output_cost += outcome.output_cost_nano
        end = max(end, attempt.started_ms + attempt.latency_ms)
    if chosen is None:
        return Measured(cost / 1e9, thousandths(end), None, output_cost / 1e9)
    picked = attempts[chosen]
    first = None if picked.ttft_ms is None else thousandths(picked.started_ms + picked.ttft_ms)
    return Measured(cost / 1e9, thousandths(picked.started_ms + picked.latency_ms), first, output_cost / 1e9)


def _trace(doc: Json) -> Trace:
    return Trace(
        request_id=doc["request_id"],
        policy_type=doc["policy_type"],
        policy_name=doc["policy_name"],
        policy_version=doc.get("policy_version", 0),
        path=tuple(_only(Hop, hop) for hop in doc.get("path", ())),
        candidates=tuple(_only(TraceCandidate, candidate) for candidate in doc["candidates"]),
        excluded=tuple(_only(Excluded, excluded) for excluded in doc.get("excluded", ())),
        attempts=tuple(_attempt(attempt) for attempt in doc.get("attempts", ())),
        selected=doc["selected"],
        selection_reason=doc["selection_reason"],
        selected_attempt=doc.get("selected_attempt"),
        saw=_read_saw(doc.get("saw", {})),
        measured=_only(Measured, {"latency_ms": 0.0, "ttft_ms": None, **doc["measured"]}),
    )


def _attempt(doc: Json) -> TraceAttempt:
    answer = doc.get("answer")
    read = {**doc, "usage": _read_usage(doc["usage"]), "answer": _read_answer(answer) if answer else None}
    return _only(TraceAttempt, read)


def _read_usage(doc: Json) -> Usage:
    extras = doc.get("extras")
    return _only(Usage, {**doc, "extras": _only(UsageExtras, extras) if extras else None})


def _read_answer(doc: Json) -> TraceAnswer:
    return _only(TraceAnswer, {**doc, "traits": _only(Traits, doc["traits"])})


def _read_saw(doc: Json) -> Saw:
    return Saw(
        health={name: _only(SawHealth, {"inflight": 0, **health}) for name, health in doc.get("health", {}).items()},
        budgets=tuple(_only(SawBudget, budget) for budget in doc.get("budgets", ())),
        price_version=doc.get("price_version", ""),
        at_ms=doc.get("at_ms", 0),
        draw=doc.get("draw"),
    )


def _only(kind: type[_T], doc: Json) -> _T:
    """The dataclass from those keys of `doc` that it knows."""
    return kind(**{name: doc[name] for name in kind.__match_args__ if name in doc})  # type: ignore[attr-defined]  # every dataclass has it
