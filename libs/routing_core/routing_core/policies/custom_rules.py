"""Rules over the request, budgets, latency and time: the first that holds decides."""

from __future__ import annotations

from routing_core.policies.choice import Choice, Place
from routing_core.rules import RuleError, environment
from routing_core.shapes import CustomRules
from routing_core.types import Request
from routing_core.world import World


def custom_rules(policy: CustomRules, request: Request, world: World, place: Place) -> Choice:
    """Rules in order, else `otherwise`. A rule that cannot be decided (a tag is missing, a division by zero, too many
    steps) does not hold, and the reason of the hop says so.
    """
    env = environment(request, world)
    notes: list[str] = []
    for number, case in enumerate(policy.rules, 1):
        name = case.name or f"rule {number}"
        held = case.when.evaluate(env)
        if held:
            return Choice(case.then, name, "; ".join([_shortened(case.text), *notes]), case.name)
        if isinstance(held, RuleError):
            notes.append(f"{name}: {held.note}")
    return Choice(policy.otherwise, "otherwise", "; ".join(["no rule holds", *notes]))


def _shortened(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 200 else f"{line[:199]}…"
