"""What the replay service counts."""

from __future__ import annotations

from collections.abc import Mapping

from modelux_telemetry.meters import Meter, Meters

TABLE: Mapping[str, Meter] = {
    "schedules_fired": Meter(
        "counter", "Due moments of schedules, by what they led to: experiment or none", ("outcome",)
    ),
    "rollout_steps": Meter("counter", "Steps of rollouts, by where they went: on or back", ("direction",)),
    "schedule_late_seconds": Meter("gauge", "How long after its due moment the last schedule was fired"),
}


def meters() -> Meters:
    """A new set of them, all at zero."""
    return Meters("replay", TABLE)
