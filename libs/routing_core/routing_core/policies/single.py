"""One model: its first usable offer, and the next credential where the fault is the credential's."""

from __future__ import annotations

from routing_core.flow import Flow
from routing_core.policies.chain import walk
from routing_core.policies.lineup import Wish, line_up
from routing_core.shapes import Single
from routing_core.types import Request
from routing_core.world import World

_NEVER: frozenset[str] = frozenset()


def single(policy: Single, request: Request, world: World) -> Flow:
    """The model's offers in their order of preference, at most three.

    401, 402, 403, 429 and a failed connection move to the next of them: another key may do. Any other fault is the answer, since the
    policy names no other model to ask.
    """
    wish = Wish(policy.model, policy.credential_id, policy.timeout_ms, policy.model, "the model asked for")
    return walk(line_up((wish,), world), _NEVER, "single", "the model asked for")
