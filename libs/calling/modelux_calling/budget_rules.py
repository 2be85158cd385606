"""Read the budgets of a snapshot, and find for each key those that may hold for its requests."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import cast, get_args

from modelux.config.v1 import snapshot_pb2 as pb
from routing_core.budgets import Action, BudgetRule, Matcher, Scope, compile_rules
from routing_core.errors import ModeluxError
from routing_core.policies.downgrade import policy_of

_SCOPES = frozenset(get_args(Scope))
_ACTIONS = frozenset(get_args(Action))


class Rules:
    """The budgets of all organizations."""

    def __init__(self, budgets: Iterable[pb.Budget]) -> None:
        """Raises ValueError for a budget that cannot be kept as it says: none may be left out in silence."""
        self._of: dict[str, list[BudgetRule]] = defaultdict(list)
        for budget in budgets:
            self._of[budget.organization_id].append(rule_of(budget))

    def of(self, organization_id: str) -> tuple[BudgetRule, ...]:
        return tuple(self._of.get(organization_id, ()))

    def for_key(self, organization_id: str, project_id: str, key_id: str) -> Matcher:
        return compile_rules(self._of.get(organization_id, ()), organization_id, project_id, key_id)


def rule_of(budget: pb.Budget) -> BudgetRule:
    """Raises ValueError with what is wrong."""
    if budget.scope not in _SCOPES:
        raise ValueError(f"budget {budget.id} has the scope {budget.scope!r}, which this version does not know")
    if budget.action not in _ACTIONS:
        raise ValueError(f"budget {budget.id} has the action {budget.action!r}, which this version does not know")
    cap = budget.cap_nano if budget.HasField("cap_nano") else None
    calls = budget.max_calls if budget.HasField("max_calls") else None
    duration = budget.max_duration_s if budget.HasField("max_duration_s") else None
    if min(cap or 0, calls or 0, duration or 0, budget.downgrade_at_ppm, budget.loop_calls) < 0:
        raise ValueError(f"budget {budget.id} has a negative limit")
    if budget.downgrade_to:
        try:
            policy_of(budget.downgrade_to)
        except ModeluxError as error:
            raise ValueError(f"budget {budget.id} cannot downgrade to {budget.downgrade_to!r}: {error}") from error
    return BudgetRule(
        budget.id,
        cast("Scope", budget.scope),
        budget.organization_id,
        budget.project_id,
        budget.name,
        budget.scope_key,
        budget.each,
        cap,
        calls,
        duration,
        cast("Action", budget.action),
        budget.downgrade_to,
        budget.downgrade_at_ppm,
        budget.loop_calls,
    )
