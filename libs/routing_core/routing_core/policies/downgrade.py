"""Serve with something cheaper where a budget asks for it: once its money runs short, or once an attempt was denied."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache

from routing_core.config import NamedPolicy, Policy, parse_reference, strategy_of
from routing_core.flow import Abandoned, Decision, Flow, Hop
from routing_core.money import dollars
from routing_core.policies.choice import Place
from routing_core.shapes import Ref, Single
from routing_core.types import BUDGET_EXCEEDED, Outcome
from routing_core.world import Budget

Follow = Callable[[Policy, Place], Flow]


def within_budgets(
    named: NamedPolicy, budgets: Sequence[Budget], place: Place, outcomes: Sequence[Outcome], follow: Follow
) -> Flow:
    """The flow of a policy under budgets that name something cheaper.

    That serves from the start where a budget is used up to its `downgrade_at_ppm`, and once more where the policy
    failed and its last attempt was denied. Of several budgets the one with the greatest share used decides. It serves
    at most once per request, so a downgrade never leads to another. `outcomes` is what the whole run has been told.
    """
    asking = sorted((each for each in budgets if each.downgrade_to), key=_used_ppm, reverse=True)
    asking = [each for each in asking if policy_of(each.downgrade_to) not in (Ref(named.name), named.policy)]
    for budget in asking:
        if budget.downgrade_at_ppm and _used_ppm(budget) >= budget.downgrade_at_ppm:
            return (yield from _downgraded(budget, f"{used(budget)} is used", place, follow))
    decision = yield from follow(named.policy, place)
    if not asking or decision.selected is not None or not (outcomes and _denied(outcomes[-1])):
        return decision
    made = len(outcomes)
    second = yield from _downgraded(asking[0], f"over budget; {used(asking[0])} was used", place, follow)
    return replace(
        second,
        path=(*decision.path, *second.path),
        selected=None if second.selected is None else made + second.selected,
        traits={made + index: traits for index, traits in second.traits.items()},
    )


def used(budget: Budget) -> str:
    """`80.0 % of $0.05 of budget 'runs'`, never more than is used."""
    tenths = _used_ppm(budget) // 1000
    return f"{tenths // 10}.{tenths % 10} % of {dollars(budget.cap_nano)} of budget {budget.name or budget.budget_id!r}"


@lru_cache(maxsize=4096)
def policy_of(text: str) -> Policy:
    """What a downgrade names: a model, or a policy by its `@slug`. Raises InvalidConfig."""
    return parse_reference(text) if text.startswith("@") else Single(text)


def _downgraded(budget: Budget, reason: str, place: Place, follow: Follow) -> Flow:
    policy = policy_of(budget.downgrade_to)
    hop = Hop("budget", place.name, budget.downgrade_to, reason)
    try:
        decision = yield from follow(policy, replace(place, depth=0))  # a policy of its own: its depth counts anew
    except Abandoned as given_up:
        decision = Decision(None, str(given_up), strategy_of(policy), code=given_up.code)
    return decision.via(hop)


def _denied(outcome: Outcome) -> bool:
    return outcome.unsent and outcome.error_code == BUDGET_EXCEEDED


def _used_ppm(budget: Budget) -> int:
    """Everything for a cap of nothing."""
    return budget.spent_nano * 1_000_000 // budget.cap_nano if budget.cap_nano > 0 else 1_000_000
