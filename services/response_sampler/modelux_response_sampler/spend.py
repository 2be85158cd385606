"""What an experiment's calls may spend, and whom they are made by."""

from __future__ import annotations

import json

from modelux.events.v1.experiment_pb2 import ExperimentSamples, SampledRow
from routing_core.budgets import BudgetRule
from routing_core.config import NamedPolicy, Single, parse_policy
from routing_core.errors import ModeluxError

SIDES = ("candidate", "baseline")


class Unusable(ValueError):
    """Samples that can never be called, with the reason."""


def checked(samples: ExperimentSamples) -> None:
    """Raises `Unusable` for a unit that names no cap, no candidate that is one, or a side that is not known."""
    if not samples.experiment_id or not samples.budget_id or samples.cap_nano <= 0:
        raise Unusable(f"unit {samples.unit} of experiment {samples.experiment_id!r} names no spend cap")
    if not samples.rows:
        raise Unusable(f"unit {samples.unit} of experiment {samples.experiment_id!r} has no rows")
    for row in samples.rows:
        if row.side not in SIDES:
            raise Unusable(f"row {row.row} of experiment {samples.experiment_id!r} has the side {row.side!r}")
    candidate(samples)


def cap(samples: ExperimentSamples) -> BudgetRule:
    """The experiment's own cap; no configuration holds it."""
    return BudgetRule(
        samples.budget_id,
        "experiment",
        samples.organization_id,
        samples.project_id,
        name="spendCapUsd",
        scope_key=samples.experiment_id,
        cap_nano=samples.cap_nano,
    )


def candidate(samples: ExperimentSamples) -> NamedPolicy:
    """Raises `Unusable`."""
    try:
        policy = parse_policy(json.loads(samples.candidate_json))
    except (ModeluxError, ValueError, RecursionError) as error:
        raise Unusable(f"the candidate of experiment {samples.experiment_id!r} is no policy: {error}") from error
    return NamedPolicy(samples.candidate_slug, samples.candidate_version, policy)


def logged_target(row: SampledRow) -> NamedPolicy:
    """The logged target once more, and nothing else."""
    return NamedPolicy("", 0, Single(f"{row.model}:{row.provider}", row.credential_id or None))
