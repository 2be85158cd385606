"""Run a policy for one request: step by step, whoever makes the calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Never, TypeVar, overload

from routing_core.config import MAX_DEPTH, NamedPolicy, Policy, strategy_of
from routing_core.flow import Abandoned, Decision, Flow, Hop, Step
from routing_core.policies.ab_test import ab_test
from routing_core.policies.cascade import cascade
from routing_core.policies.choice import Choice, Place
from routing_core.policies.cost_optimized import cost_optimized
from routing_core.policies.custom_rules import custom_rules
from routing_core.policies.downgrade import within_budgets
from routing_core.policies.ensemble import ensemble
from routing_core.policies.fallback import fallback
from routing_core.policies.latency_optimized import latency_optimized
from routing_core.policies.reference import reference
from routing_core.policies.single import single
from routing_core.shapes import (
    AbTest,
    Cascade,
    CostOptimized,
    CustomRules,
    Ensemble,
    Fallback,
    LatencyOptimized,
    Ref,
    Single,
)
from routing_core.trace import Trace, build
from routing_core.types import Outcome, Request, Target
from routing_core.world import Health, World

_T = TypeVar("_T")
_TOP = Place()
_UNREAD = Health()
"""Marks a target that was not looked at: this very object stands in no world."""


def flow(policy: Policy, request: Request, world: World, place: Place = _TOP) -> Flow:
    """The policy as a flow (see `routing_core.flow`). `place` tells where it stands when it is nested in another."""
    calling = POLICIES.get(type(policy))
    if calling is not None:
        return calling(policy, request, world)  # type: ignore[arg-type]  # the table pairs each type with its function
    return _delegate(policy, request, world, place)


def _delegate(policy: Policy, request: Request, world: World, place: Place) -> Flow:
    """Follow a policy that only chooses another one."""
    choice, hop = choose(policy, request, world, place)
    if choice.policy is None:
        return Decision(None, choice.reason, hop.policy_type, path=(hop,), code="policy_not_found")
    if place.depth >= MAX_DEPTH:
        reason = f"policies nest at most {MAX_DEPTH} deep"
        return Decision(None, reason, hop.policy_type, path=(hop,), code="policy_too_deep")
    try:
        decision = yield from flow(choice.policy, request, world, place.within(choice))
    except Abandoned as given_up:
        decision = _given_up(choice.policy, given_up)
    return decision.via(hop, choice.name, choice.version)


def choose(policy: Policy, request: Request, world: World, place: Place) -> tuple[Choice, Hop]:
    """What a policy of `DELEGATES` chooses, and the hop that tells so."""
    choice = DELEGATES[type(policy)](policy, request, world, place)  # type: ignore[arg-type]  # as above
    hop = Hop(strategy_of(policy), place.name, choice.chose, choice.reason, choice.draw, choice.propensity)
    return choice, hop


class Run:
    """One request on its way through a policy: `start`, then `send` the outcomes of each step, until a Decision comes.

    What the policy sees of health is read once and kept, so a long run cannot see it change, and the trace can tell it.
    """

    __slots__ = ("_flow", "decision", "outcomes", "policy", "request", "seen", "steps", "world")

    def __init__(self, policy: NamedPolicy, request: Request, world: World) -> None:
        self.policy = policy
        self.request = request
        self.seen = Seen(world.health)
        self.world = World(world.offers, self.seen, world.policies, world.budgets, world.price_version, world.memo)
        self.steps: list[Step] = []
        self.outcomes: list[Outcome] = []
        """Everything sent so far: `Decision.selected` counts in it."""
        self.decision: Decision | None = None
        self._flow = self._begin()

    def _begin(self) -> Flow:
        named, place = self.policy, Place(self.policy.name, self.policy.version)
        if any(budget.downgrade_to for budget in self.world.budgets):
            return within_budgets(named, self.world.budgets, place, self.outcomes, self._follow)
        return self._follow(named.policy, place)

    def _follow(self, policy: Policy, place: Place) -> Flow:
        return flow(policy, self.request, self.world, place)

    def start(self) -> Step | Decision:
        """The first step, or the decision where there is nothing to try."""
        if self.steps or self.decision is not None:
            raise ValueError("the run has started or is decided")
        return self._advance(None)

    def send(self, outcomes: Sequence[Outcome]) -> Step | Decision:
        """The outcomes of the last step, one for each of its attempts, in order. Raises ValueError otherwise."""
        if self.decision is not None:
            raise ValueError("the run is decided")
        if not self.steps:
            raise ValueError("the run has not started")
        if len(outcomes) != len(self.steps[-1].attempts):
            raise ValueError(f"{len(outcomes)} outcomes for a step of {len(self.steps[-1].attempts)} attempts")
        self.outcomes += outcomes
        return self._advance(tuple(outcomes))

    def abandon(self, reason: str, code: str = "abandoned") -> Decision:
        """Give the run up between two steps (no time or retry budget is left): the decision that says so."""
        if self.decision is not None:
            raise ValueError("the run is decided")
        try:
            self._flow.throw(Abandoned(reason, code))
        except StopIteration as end:
            self.decision = self._named(end.value)
        except Abandoned as given_up:
            self.decision = self._named(_given_up(self.policy.policy, given_up))
        assert self.decision is not None, "a policy went on after it was abandoned"
        return self.decision

    def trace(self, final: Sequence[Outcome] | None = None, started_ms: Sequence[float] | None = None) -> Trace:
        """The trace of the run.

        `final` are the outcomes as they ended, in the order of `outcomes`: latency, usage and cost filled in; only the
        selected one may end otherwise than the policy was told (its stream broke). `started_ms` is when each attempt
        began, since the request arrived. Raises ValueError before the decision.
        """
        if self.decision is None:
            raise ValueError("the run has no decision yet")
        ended = self.outcomes if final is None else final
        if len(ended) != len(self.outcomes):
            raise ValueError(f"{len(ended)} final outcomes for {len(self.outcomes)} attempts")
        looked = self.seen.looked
        return build(self.request, self.world, self.decision, self.steps, self.outcomes, ended, started_ms, looked)

    def _advance(self, outcomes: tuple[Outcome, ...] | None) -> Step | Decision:
        try:
            step = self._flow.send(outcomes)  # type: ignore[arg-type]  # a generator is started with None
        except StopIteration as end:
            self.decision = self._named(end.value)
            return self.decision
        self.steps.append(step)
        return step

    def _named(self, decision: Decision) -> Decision:
        """The decision under the name and version of the request's own policy, where no nested one gave its own."""
        top, d = self.policy, decision
        if d.policy_version or not top.name:
            return d
        name = d.policy_name or top.name
        return Decision(
            d.selected, d.reason, d.policy_type, name, d.path, d.code, d.candidates, d.excluded, top.version, d.traits
        )


def _given_up(policy: Policy, why: Abandoned) -> Decision:
    return Decision(None, str(why), strategy_of(policy), code=why.code)


class Seen(Mapping[Target, Health]):
    """The health of targets as first looked at."""

    __slots__ = ("_health", "looked")

    def __init__(self, health: Mapping[Target, Health]) -> None:
        self._health = health
        self.looked: dict[Target, Health | None] = {}
        """In the order of looking; None where nothing was known."""

    @overload
    def get(self, target: Target, /) -> Health | None: ...
    @overload
    def get(self, target: Target, default: Health | _T, /) -> Health | _T: ...
    def get(self, target: Target, default: Health | _T | None = None, /) -> Health | _T | None:
        found = self.looked.get(target, _UNREAD)
        if found is _UNREAD:
            found = self.looked[target] = self._health.get(target)
        return default if found is None else found

    def __getitem__(self, target: Target) -> Health:
        found = self.get(target)
        if found is None:
            raise KeyError(target)
        return found

    def __iter__(self) -> Iterator[Target]:
        return iter(self._health)

    def __len__(self) -> int:
        return len(self._health)


POLICIES: Mapping[type, Callable[[Never, Request, World], Flow]] = {
    Single: single,
    Fallback: fallback,
    CostOptimized: cost_optimized,
    LatencyOptimized: latency_optimized,
    Ensemble: ensemble,
    Cascade: cascade,
}
"""Policies that make calls."""
DELEGATES: Mapping[type, Callable[[Never, Request, World, Place], Choice]] = {
    AbTest: ab_test,
    CustomRules: custom_rules,
    Ref: reference,
}
"""Policies that choose another one."""
