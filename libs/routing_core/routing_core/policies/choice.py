"""What a delegating policy returns: the policy to follow, and why."""

from __future__ import annotations

from routing_core.records import record
from routing_core.shapes import Policy


@record
class Choice:
    """The way to go on. `chose` and `reason` become the hop of the trace, `name` and `version` the place that was
    reached.
    """

    policy: Policy | None
    """None: there is no way, and `reason` tells why."""
    chose: str
    reason: str
    name: str = ""
    version: int = 0
    draw: float | None = None
    propensity: float | None = None


@record
class Place:
    """Where in the nest of policies a policy stands: the name and version it goes by, and how deep."""

    name: str = ""
    version: int = 0
    depth: int = 1

    def within(self, choice: Choice) -> Place:
        return Place(choice.name or self.name, choice.version or self.version, self.depth + 1)
