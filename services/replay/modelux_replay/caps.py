"""The spend caps of experiments: opened in the name of a caller or a schedule, closed however they end."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_replay.experiments import Experiments
from modelux_runtime.spend_caps import SpendCaps

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Caps(SpendCaps):
    """Caps of scope `experiment`."""

    async def open_for(self, actor: pb.Actor, identifier: str, spec: pb.ExperimentSpec) -> str:
        """Opens the cap of a new experiment in the name of a caller, who needs the role editor, or of a schedule; the
        id of its budget.
        """
        known = config.Actor(
            key_hash=actor.key_hash,
            request_id=actor.request_id,
            schedule_id=actor.schedule_id,
            organization_id=actor.organization_id,
        )
        return await self.open(known, spec.project_id, identifier, spec.spend_cap_nano)

    async def close_left(self, experiments: Experiments) -> None:
        """Closes the caps of what has ended, however it did. One that cannot be closed now is met again the next time.

        Raises `Unavailable` alone.
        """
        for one in await experiments.open_caps():
            try:
                spent_nano = await self.close(one.organization_id, one.budget_id)
            except ProblemError as error:
                if error.problem.status != 404:
                    log.warning("the cap of %s stays open for now: %s", one.id, error.problem.detail)
                    continue
                spent_nano = 0
            await experiments.cap_closed(one.id, spent_nano)
