"""An ordered list of models: the first that does not fail in a way listed in `retry_on`."""

from __future__ import annotations

from routing_core.flow import Flow
from routing_core.policies.chain import walk
from routing_core.policies.lineup import kept_line_up
from routing_core.shapes import Fallback
from routing_core.types import Request
from routing_core.world import World


def fallback(policy: Fallback, request: Request, world: World) -> Flow:
    """Attempts in the order given, each with its own timeout. An attempt whose model has several offers goes through up
    to three.
    """
    return walk(kept_line_up(policy.attempts, world, "fallback"), policy.retry_on, "fallback", "primary healthy")
