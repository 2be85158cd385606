"""Another named policy, by its `@slug`."""

from __future__ import annotations

from routing_core.policies.choice import Choice, Place
from routing_core.shapes import Ref
from routing_core.types import Request
from routing_core.world import World

ACTIVE = "active version"


def reference(policy: Ref, request: Request, world: World, place: Place) -> Choice:
    """The active version of the policy, or the pinned one."""
    found = world.policies.get(policy.key)
    if found is None:
        return Choice(None, f"@{policy.key}", f"there is no policy @{policy.key}")
    pinned = "pinned version" if policy.version else ACTIVE
    return Choice(found.policy, f"@{found.name} (v{found.version})", pinned, found.name, found.version)
