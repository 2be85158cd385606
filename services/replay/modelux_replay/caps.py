"""The spend caps of experiments, which the config service keeps: open one, see what it spent, close it."""

from __future__ import annotations

import logging
from dataclasses import dataclass

import grpc.aio

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_replay.experiments import Experiments
from modelux_runtime.calls import call

log = logging.getLogger(__name__)

_SERVICE = "modelux.config.v1.AdminService"


@dataclass(frozen=True, slots=True)
class Caps:
    """Every method raises `ProblemError`: what config refuses, 503 while it cannot be reached."""

    channel: grpc.aio.Channel

    async def open(self, actor: pb.Actor, identifier: str, spec: pb.ExperimentSpec) -> str:
        """Opens the cap of a new experiment in the name of a caller, who needs the role editor, or of a schedule; the
        id of its budget.
        """
        asked = config.OpenSpendCapRequest(
            actor=config.Actor(
                key_hash=actor.key_hash,
                request_id=actor.request_id,
                schedule_id=actor.schedule_id,
                organization_id=actor.organization_id,
            ),
            project_id=spec.project_id,
            scope="experiment",
            scope_key=identifier,
            name=identifier,
            cap_nano=spec.spend_cap_nano,
        )
        return (await call(self.channel, _SERVICE, asked, config.OpenSpendCapResponse)).budget.id

    async def spent_nano(self, organization_id: str, budget_id: str) -> int:
        """What was spent so far."""
        asked = config.GetSpendCapRequest(organization_id=organization_id, budget_id=budget_id)
        return (await call(self.channel, _SERVICE, asked, config.GetSpendCapResponse)).settled_nano

    async def close(self, organization_id: str, budget_id: str) -> int:
        """Nothing more is granted; what was spent."""
        asked = config.CloseSpendCapRequest(organization_id=organization_id, budget_id=budget_id)
        return (await call(self.channel, _SERVICE, asked, config.CloseSpendCapResponse)).settled_nano

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
