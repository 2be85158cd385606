"""Split traffic between arms by weight; one unit (a user, a run, a key, a request) always meets the same arm."""

from __future__ import annotations

from routing_core.draws import draw
from routing_core.policies.choice import Choice, Place
from routing_core.shapes import AbTest, Arm
from routing_core.types import Request
from routing_core.world import World


def ab_test(policy: AbTest, request: Request, world: World, place: Place) -> Choice:
    """The arm that the unit's draw falls on. The draw is a hash of the unit and the test's salt (its name and depth
    where none is set), so it is the same in every proxy and in replay, and independent between tests.

    A request that lacks the unit (no end user, no such tag) is split by its own id. `propensity` is the arm's share.
    """
    unit = _unit(policy.sticky_by, request)
    salt = policy.salt or f"{place.name}#{place.depth}"
    drawn = draw("ab_test", salt, *(unit or ("request_id", request.request_id)))
    whole = sum(arm.weight for arm in policy.split)
    arm = at(policy.split, drawn * whole)
    by = policy.sticky_by if unit else f"request_id, for it has no {policy.sticky_by}"
    share = arm.weight / whole
    reason = f"{share:.4g} of the traffic, by {by}"
    return Choice(arm.policy, arm.name, reason, arm.name, draw=round(drawn, 6), propensity=round(share, 6))


def _unit(sticky_by: str, request: Request) -> tuple[str, str] | None:
    if sticky_by.startswith("tag:"):
        value = request.tags.get(sticky_by.removeprefix("tag:"))
    else:
        value = {"end_user_id": request.end_user_id, "key_id": request.key_id}.get(sticky_by, request.request_id)
    return (sticky_by, value) if value else None


def at(split: tuple[Arm, ...], position: float) -> Arm:
    """The arm that `position` falls on when the weights are laid end to end."""
    for arm in split:
        if position < arm.weight:
            return arm
        position -= arm.weight
    return next(arm for arm in reversed(split) if arm.weight > 0)  # rounding, at the very end of the line
