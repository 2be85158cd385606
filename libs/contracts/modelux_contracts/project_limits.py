"""What a project allows experiments and judge runs: its own settings, or the defaults where it has none (0)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

DEFAULTS: Mapping[str, int] = {
    "experiment_spend_cap_nano": 50 * 10**9,
    "judge_spend_cap_nano": 20 * 10**9,
    "experiment_sample_min": 1_000,
    "experiment_sample_max": 50_000,
}


class Limited(Protocol):
    """A project as the admin service or the snapshot tells it."""

    @property
    def experiment_spend_cap_nano(self) -> int: ...
    @property
    def judge_spend_cap_nano(self) -> int: ...
    @property
    def experiment_sample_min(self) -> int: ...
    @property
    def experiment_sample_max(self) -> int: ...


def experiment_spend_cap_nano(project: Limited) -> int:
    """Nano-USD: the most that one experiment may spend."""
    return project.experiment_spend_cap_nano or DEFAULTS["experiment_spend_cap_nano"]


def judge_spend_cap_nano(project: Limited) -> int:
    """Nano-USD: the most that one judge run may spend."""
    return project.judge_spend_cap_nano or DEFAULTS["judge_spend_cap_nano"]


def experiment_sample(project: Limited) -> tuple[int, int]:
    """The smallest and the largest `sample.size` of an experiment."""
    return (
        project.experiment_sample_min or DEFAULTS["experiment_sample_min"],
        project.experiment_sample_max or DEFAULTS["experiment_sample_max"],
    )
