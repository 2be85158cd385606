"""Run a stored trace's policy again, on what it saw and with what came back: unchanged, it leaves the same trace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from routing_core.config import NamedPolicy
from routing_core.engine import Run
from routing_core.flow import Step
from routing_core.policies.reference import ACTIVE
from routing_core.trace import Trace, TraceAnswer, TraceAttempt
from routing_core.types import Answer, Outcome, Request, Target
from routing_core.world import Budget, Health, Offer, World


def replay(trace: Trace, policy: NamedPolicy, request: Request, world: World) -> Trace:
    """The trace that `policy` leaves in `world` (see `world_from`) when each attempt ends as the trace recorded it.

    Where the policy asks for other attempts than were recorded, or more, the run is given up with the recorded reason:
    what those would have answered is for a projection to say.
    """
    ended = recorded_outcomes(trace)
    run = Run(policy, request, world)
    rerun(run, ended, trace.selected_attempt, trace.selection_reason)
    made = len(run.outcomes)
    return run.trace(ended[:made], [attempt.started_ms for attempt in trace.attempts[:made]])


def rerun(run: Run, ended: Sequence[Outcome], selected_attempt: int | None, selection_reason: str) -> None:
    """Decides a run that has not started as `replay` does, for callers that ask more of it: `ended` are the trace's
    `recorded_outcomes`, the rest is what it says itself.

    It was given up where its last step has no outcomes.
    """
    step = run.start()
    while isinstance(step, Step):
        made = len(run.outcomes)
        outcomes = list(ended[made : made + len(step.attempts)])
        if [outcome.target for outcome in outcomes] != [attempt.target for attempt in step.attempts]:
            step = run.abandon(selection_reason)
            continue
        if selected_attempt is not None and made < selected_attempt <= made + len(outcomes):
            place = selected_attempt - made - 1
            outcomes[place] = _as_told(outcomes[place])
        step = run.send(outcomes)


def recorded_outcomes(trace: Trace) -> tuple[Outcome, ...]:
    """The outcomes of the trace's attempts, as they ended. Of answers only what policies read off them is kept."""
    return tuple(_outcome(attempt) for attempt in trace.attempts)


def world_from(trace: Trace, offers: Mapping[str, tuple[Offer, ...]], policies: Mapping[str, NamedPolicy]) -> World:
    """The world as the trace's policy saw it; `offers` and `policies` are those of its config and price versions."""
    saw = trace.saw
    health = {
        _target(name.removesuffix(f"#{h.credential_id}"), h.credential_id): Health(
            h.state, h.p50_ms, h.ttft_ms, h.error_rate, h.samples, h.inflight, h.reason
        )
        for name, h in saw.health.items()
    }
    budgets = tuple(
        Budget(
            b.budget_id, round(b.cap_usd * 1e9), round(b.spent_usd * 1e9), b.name, b.downgrade_to, b.downgrade_at_ppm
        )
        for b in saw.budgets
    )
    return World(offers, health, policies, budgets, saw.price_version)


def policies_from(trace: Trace, versions: Mapping[tuple[str, int], NamedPolicy]) -> dict[str, NamedPolicy]:
    """`World.policies` as the trace's policy saw it, from all versions of all policies by slug and number: each pinned
    version, and for each `@slug` that was followed the version that was active then.
    """
    found = {f"{slug}:{number}": policy for (slug, number), policy in versions.items()}
    for hop in trace.path:
        if hop.policy_type == "reference" and hop.reason == ACTIVE:
            slug, _, number = hop.chose.removeprefix("@").removesuffix(")").rpartition(" (v")
            found[slug] = versions[slug, int(number)]
    return found


def _as_told(outcome: Outcome) -> Outcome:
    """The selected outcome as the policy was told it: a success then, though its stream may have broken."""
    return outcome if outcome.ok else replace(outcome, kind="ok")


def _outcome(attempt: TraceAttempt) -> Outcome:
    answer = attempt.answer
    return Outcome(
        target=_target(attempt.model, attempt.credential_id),
        kind=attempt.outcome,
        status=attempt.status,
        latency_ms=attempt.latency_ms,
        ttft_ms=attempt.ttft_ms,
        usage=attempt.usage,
        cost_nano=round(attempt.cost_usd * 1e9),
        error_code=attempt.error_code,
        answer=None if answer is None else _answer(answer),
        output_cost_nano=round(attempt.output_cost_usd * 1e9),
    )


def _answer(answer: TraceAnswer) -> Answer:
    return Answer("", answer.finish_reason, answer.tool_calls, answer.refusal, answer.logprob_mean, answer.traits)


def _target(name: str, credential_id: str) -> Target:
    model, _, provider = name.rpartition(":")
    return Target(model, provider, credential_id)
