"""A stage to run policies on: offers, health and scripted outcomes by the names that people use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import cast, get_args

import pytest

from routing_core.config import NamedPolicy, parse_policy
from routing_core.engine import Run
from routing_core.flow import Decision, Step
from routing_core.pricing import Price
from routing_core.trace import Trace
from routing_core.types import UNSENT, Answer, Capability, Outcome, OutcomeKind, Request, Target, Usage
from routing_core.world import BreakerState, Budget, Health, Offer, World

Scripted = str | int | Answer
"""How an attempt ends: "ok", another outcome kind, a status, or a whole answer."""


REQUEST = Request("req_1", "proj_1", model="@production", input_tokens=1000, at_ms=1_776_000_000_000)


@dataclass
class Played:
    """What came of a run."""

    run: Run
    decision: Decision
    trace: Trace
    calls: list[str]
    """`model:provider` of every attempt, in order."""


@dataclass
class Stage:
    offers: dict[str, tuple[Offer, ...]] = field(default_factory=dict)
    health: dict[Target, Health] = field(default_factory=dict)
    policies: dict[str, NamedPolicy] = field(default_factory=dict)
    budgets: tuple[Budget, ...] = ()
    request: Request = REQUEST

    def target(self, name: str) -> Target:
        """`model:provider`, with `#credential` where it is not the first."""
        plain, _, credential = name.partition("#")
        model, _, provider = plain.rpartition(":")
        return Target(model, provider, credential or f"pc_{provider}")

    def offer(
        self,
        name: str,
        price: int | None = 1000,
        tier: int = 2,
        context: int | None = None,
        most_output: int | None = None,
        can: tuple[str, ...] = (),
    ) -> None:
        """One more offer; `price` is nano-USD per token, in and out."""
        target = self.target(name)
        row = None if price is None else Price(price * 1_000_000, price * 1_000_000)
        capabilities = frozenset(cast("tuple[Capability, ...]", can))
        added = Offer(target, row, tier, context, most_output, capabilities)
        self.offers[target.model] = (*self.offers.get(target.model, ()), added)

    def feel(
        self, name: str, state: str = "closed", p50: float | None = None, errors: float = 0.0, n: int = 50
    ) -> None:
        self.health[self.target(name)] = Health(cast("BreakerState", state), p50, p50, errors, n)

    def ask(self, **changes: object) -> None:
        self.request = replace(self.request, **changes)  # type: ignore[arg-type]

    def world(self) -> World:
        return World(self.offers, self.health, self.policies, self.budgets, "prices-1")

    def name(self, slug: str, doc: object, version: int = 1) -> None:
        self.policies[slug] = NamedPolicy(slug.partition(":")[0], version, parse_policy(doc))

    def play(self, doc: object, script: Mapping[str, Scripted] | None = None, *, name: str = "production") -> Played:
        """Run a policy document; attempts that the script does not name succeed."""
        run = Run(NamedPolicy(name, 4, parse_policy(doc)), self.request, self.world())
        calls: list[str] = []
        step = run.start()
        while isinstance(step, Step):
            calls += [attempt.target.name for attempt in step.attempts]
            step = run.send([self.outcome(attempt.target, script or {}) for attempt in step.attempts])
        return Played(run, step, run.trace(), calls)

    def outcome(self, target: Target, script: Mapping[str, Scripted]) -> Outcome:
        found = script.get(f"{target.name}#{target.credential_id}", script.get(target.name, "ok"))
        if isinstance(found, Answer):
            return Outcome(target, "ok", 200, 500.0, 100.0, Usage(10, 20), 30_000, answer=found)
        if isinstance(found, int):
            return Outcome(target, "status", found, 50.0, error_code="provider_error")
        if found in UNSENT:
            return Outcome(target, "connect", error_code=found)
        assert found in get_args(OutcomeKind)
        kind = cast("OutcomeKind", found)
        return (
            Outcome(target, kind, 200, 500.0, 100.0, Usage(10, 20), 30_000) if kind == "ok" else Outcome(target, kind)
        )


@pytest.fixture
def stage() -> Stage:
    """Three models at their makers."""
    made = Stage()
    made.offer("gpt-4o:openai", 3000, tier=3, can=("tools", "vision"))
    made.offer("gpt-4o-mini:openai", 1000, tier=2, can=("tools",))
    made.offer("claude-haiku-4-5:anthropic", 2000, tier=2, can=("tools",))
    return made
