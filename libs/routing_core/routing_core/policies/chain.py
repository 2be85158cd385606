"""Try the links of a lineup one after the other, until one succeeds or a fault forbids going on."""

from __future__ import annotations

from collections.abc import Sequence

from routing_core.flow import Attempt, Decision, Flow, Step
from routing_core.policies.lineup import OPEN, Lineup, Link
from routing_core.types import BUDGET_EXCEEDED, CIRCUIT_OPEN, PRICE_UNKNOWN, Outcome

_OF_CREDENTIAL = frozenset({401, 402, 403})


def walk(lineup: Lineup, retry_on: frozenset[str], policy_type: str, at_once: str, draw: float | None = None) -> Flow:
    """Attempts in order; `at_once` is the selection reason where the first one succeeds.

    Within a place (the offers of one model), a fault of the credential or of the connection moves to the next offer,
    and a fault in `retry_on` to the next provider; from place to place, only a fault in `retry_on` moves on, at the
    very end to the last resort.
    """
    links = lineup.chain
    if not links:
        return nothing(lineup, policy_type)
    story = [lineup.prelude] if lineup.prelude else []
    step = Step((_attempt(links[0]),), candidates=lineup.candidates, excluded=lineup.excluded, draw=draw)
    current, made = 0, 0
    while True:
        (outcome,) = yield step
        made += 1
        if outcome.kind == "ok":
            reason = ", ".join([*story, f"{links[current].label} healthy"]) if story else at_once
            return Decision(made - 1, reason, policy_type)
        story.append(f"{links[current].label} {fault(outcome)}")
        follower = following(links, current, outcome, retry_on)
        if follower is None:
            return failed(story, policy_type, exhausted=current + 1 == len(links))
        current = follower
        step = Step((_attempt(links[current], f"after {fault(outcome)}"),))


def _attempt(link: Link, reason: str = "") -> Attempt:
    return Attempt(link.target, link.timeout_ms, reason or link.reason)


def nothing(lineup: Lineup, policy_type: str) -> Decision:
    """No target is eligible: the exclusions tell why."""
    return Decision(None, "no candidate is eligible", policy_type, code="no_candidates", excluded=lineup.excluded)


def failed(story: Sequence[str], policy_type: str, *, exhausted: bool) -> Decision:
    """All attempts made, or stopped at a fault that the caller gets to see: the last outcome."""
    end = "nothing left to try" if exhausted else "not a fault to retry"
    return Decision(None, f"{', '.join(story)}; {end}", policy_type, code="attempts_failed")


def following(links: Sequence[Link], current: int, outcome: Outcome, retry_on: frozenset[str]) -> int | None:
    """The link to try after `outcome` of link `current`; None: stop."""
    here = links[current]
    moving_on = retries(retry_on, outcome)
    in_pool = of_credential(outcome)
    for index in range(current + 1, len(links)):
        link = links[index]
        if link.place == here.place:
            if in_pool or (moving_on and link.target.provider != here.target.provider):
                return index
        elif moving_on:
            return index
    return None


def of_credential(outcome: Outcome) -> bool:
    """Whether another credential of the same model may do better: it is refused, out of quota or money, or out of
    reach.
    """
    if outcome.kind == "status":
        return outcome.status == 429 or outcome.status in _OF_CREDENTIAL
    return outcome.kind == "connect"


def retries(retry_on: frozenset[str], outcome: Outcome) -> bool:
    """Whether `retry_on` covers the fault.

    `5xx` also covers an answer that is none (`invalid`) and one cut short (`cut`); `credentials` covers 401, 402 and
    403, `timeout` also a provider's own 408. A cancelled attempt is never retried; one that never went out, for its
    circuit had opened meanwhile or it would have cost too much, always is: `retry_on` tells of faults that providers
    show.
    """
    kind = outcome.kind
    if outcome.unsent:
        return True
    if kind == "status":
        status = outcome.status or 0
        if str(status) in retry_on:
            return True
        if status >= 500:
            return "5xx" in retry_on
        return (status in _OF_CREDENTIAL and "credentials" in retry_on) or (status == 408 and "timeout" in retry_on)
    if kind in ("cut", "invalid"):
        return kind in retry_on or "5xx" in retry_on
    return kind in retry_on


def fault(outcome: Outcome) -> str:
    """A failed outcome in one or two words: `timeout`, `429`, `connection failed`."""
    if outcome.kind == "status":
        return str(outcome.status or "refused")
    if outcome.unsent:
        return _REFUSALS[outcome.error_code or ""]
    return _FAULTS.get(outcome.kind, outcome.kind)


_REFUSALS = {CIRCUIT_OPEN: OPEN, BUDGET_EXCEEDED: "over budget", PRICE_UNKNOWN: "price unknown"}
_FAULTS = {"connect": "connection failed", "cut": "connection cut", "invalid": "invalid answer"}
