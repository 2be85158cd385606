"""Carry what the candidate would have spent otherwise from request to request: budgets as it would have met them.

A logged request tells what was spent of each of its budgets when it came. Under the candidate that would be more or
less by what all requests before it, in the same account, would have cost more or less: budget rules tell which attempts
draw on which accounts. A sampled request stands for as many as its weight says. Where the logged spend of an account
falls to less than half, a new window has begun, and nothing is carried into it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from modelux.config.v1 import snapshot_pb2 as pb
from modelux_calling.budget_rules import rule_of
from routing_core.budgets import BudgetRule, Matcher, compile_rules
from routing_core.types import Outcome, Request, Target
from routing_core.world import Budget

Account = tuple[str, str]
"""A budget's id, and the value that the account is for; empty where the budget has one account."""


class State(msgspec.Struct):
    """What is carried from one batch to the next."""

    more: dict[str, dict[str, int]] = {}
    """By budget and value the candidate's spend above the logged one, in nano-USD."""
    spent: dict[str, dict[str, int]] = {}
    """The same of the logged spend, as last seen."""


@dataclass(slots=True)
class Purse:
    """The budgets of one request under the candidate."""

    budgets: tuple[Budget, ...]
    moved: bool
    """Whether they stand otherwise than in the log."""
    hard: Mapping[Account, int] = field(default_factory=dict)
    """What is left of each that stops calls."""
    matcher: Matcher | None = None
    request: Request | None = None

    def left(self, target: Target) -> int | None:
        """How much an attempt at the target may cost, all attempts of the request together; None: no limit."""
        if self.matcher is None or self.request is None:
            return None
        drawn = self.matcher.for_target(self.matcher.for_request(self.request), target).capped
        found = [self.hard[key] for each in drawn if (key := (each.rule.id, each.value)) in self.hard]
        return min(found) if found else None


class Carry:
    """For requests in order of time. `budgets` are serialised as the configuration has them, of one organization."""

    def __init__(self, budgets: Iterable[bytes], project_id: str, state: bytes = b"") -> None:
        self._rules: Sequence[BudgetRule] = [rule_of(pb.Budget.FromString(each)) for each in budgets]
        self._project_id = project_id
        self._matchers: dict[str, Matcher] = {}
        self._state = msgspec.msgpack.decode(state, type=State) if state else State()

    @property
    def state(self) -> bytes:
        """For the `Carry` of the next requests."""
        return msgspec.msgpack.encode(self._state)

    def purse(self, request: Request, budgets: Sequence[Budget]) -> Purse:
        """The budgets of a request, which the log tells as they stood."""
        matcher = self._matcher(request.key_id)
        drawn = [*matcher.for_request(request).capped, *matcher.anywhere()]
        held = {each.rule.id: each for each in drawn}
        found, hard, moved = [], {}, False
        for budget in budgets:
            applied = held.get(budget.budget_id)
            if applied is None:
                found.append(budget)
                continue
            account = (budget.budget_id, applied.value)
            more = self._met(account, budget.spent_nano)
            spent = max(0, budget.spent_nano + more)
            moved |= spent != budget.spent_nano
            names = budget.name, budget.downgrade_to, budget.downgrade_at_ppm
            found.append(Budget(budget.budget_id, budget.cap_nano, spent, *names) if more else budget)
            if applied.rule.hard:
                hard[account] = budget.cap_nano - spent
        return Purse(tuple(found), moved, hard, matcher, request)

    def add(self, request: Request, candidate: Sequence[Outcome], logged: Sequence[Outcome], weight: float) -> None:
        """Carries on what a request would have cost, and what it did."""
        matcher = self._matcher(request.key_id)
        draw = matcher.for_request(request)
        for outcomes, sign in ((candidate, 1), (logged, -1)):
            for outcome in outcomes:
                if outcome.cost_nano:
                    for each in matcher.for_target(draw, outcome.target).capped:
                        values = self._state.more.setdefault(each.rule.id, {})
                        values[each.value] = values.get(each.value, 0) + sign * round(outcome.cost_nano * weight)

    def _met(self, account: Account, spent_nano: int) -> int:
        """What is carried into a request that met an account at this spend."""
        budget, value = account
        seen = self._state.spent.setdefault(budget, {})
        if 2 * spent_nano < seen.get(value, 0):
            self._state.more.get(budget, {}).pop(value, None)
        seen[value] = spent_nano
        return self._state.more.get(budget, {}).get(value, 0)

    def _matcher(self, key_id: str) -> Matcher:
        found = self._matchers.get(key_id)
        if found is None:
            organization = self._rules[0].organization_id if self._rules else ""
            found = self._matchers[key_id] = compile_rules(self._rules, organization, self._project_id, key_id)
        return found
