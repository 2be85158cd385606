"""One model: its first usable offer, and the next credential where the fault is the credential's."""

from __future__ import annotations

from routing_core.flow import Flow
from routing_core.policies.chain import walk
from routing_core.policies.lineup import Lineup, Link, line_up
from routing_core.shapes import Single, Try
from routing_core.types import Request
from routing_core.world import World

_NEVER: frozenset[str] = frozenset()


def single(policy: Single, request: Request, world: World) -> Flow:
    """The model's offers in their order of preference, at most three.

    401, 402, 403, 429 and a failed connection move to the next of them: another key may do. Any other fault is the
    answer, since the policy names no other model to ask.
    """
    offers = world.resolve(policy.model, policy.credential_id)
    if len(offers) == 1 and world.health_of(offers[0].target).state != "open":
        link = Link(offers[0].target, 0, policy.model, "the model asked for", policy.timeout_ms)
        return walk(Lineup((link,)), _NEVER, "single", "the model asked for")
    asked = Try(policy.model, policy.credential_id, policy.timeout_ms)
    return walk(line_up((asked,), world, ""), _NEVER, "single", "primary healthy")
