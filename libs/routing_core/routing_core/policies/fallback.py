"""An ordered list of models: the first that does not fail in a way listed in `retry_on`."""

from __future__ import annotations

from routing_core.flow import Flow
from routing_core.policies.chain import walk
from routing_core.policies.lineup import Wish, line_up, place_name
from routing_core.shapes import Fallback
from routing_core.types import Request
from routing_core.world import World


def fallback(policy: Fallback, request: Request, world: World) -> Flow:
    """Attempts in the order given, each with its own timeout. An attempt whose model has several offers goes through up to three."""
    wishes = [
        Wish(item.model, item.credential_id, item.timeout_ms, place_name(index), "fallback" if index else "primary")
        for index, item in enumerate(policy.attempts)
    ]
    return walk(line_up(wishes, world), policy.retry_on, "fallback", "primary healthy")
