"""The spend caps of runs, which the config service keeps: open one in a caller's name, close it at the run's end."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import grpc.aio

from modelux.config.v1 import admin_pb2 as pb
from modelux_runtime.calls import call

_SERVICE = "modelux.config.v1.AdminService"


@dataclass(frozen=True, slots=True)
class SpendCaps:
    """Every method raises `ProblemError`: what config refuses, 503 while it cannot be reached."""

    channel: grpc.aio.Channel
    scope: Literal["experiment", "judge_run"]

    async def open(self, actor: pb.Actor, project_id: str, identifier: str, cap_nano: int) -> str:
        """The id of the budget that a new run spends under. The caller needs the role editor."""
        asked = pb.OpenSpendCapRequest(
            actor=actor,
            project_id=project_id,
            scope=self.scope,
            scope_key=identifier,
            name=identifier,
            cap_nano=cap_nano,
        )
        return (await call(self.channel, _SERVICE, asked, pb.OpenSpendCapResponse)).budget.id

    async def spent_nano(self, organization_id: str, budget_id: str) -> int:
        """What was spent so far."""
        asked = pb.GetSpendCapRequest(organization_id=organization_id, budget_id=budget_id)
        return (await call(self.channel, _SERVICE, asked, pb.GetSpendCapResponse)).settled_nano

    async def close(self, organization_id: str, budget_id: str) -> int:
        """Nothing more is granted; nano-USD that were spent."""
        asked = pb.CloseSpendCapRequest(organization_id=organization_id, budget_id=budget_id)
        return (await call(self.channel, _SERVICE, asked, pb.CloseSpendCapResponse)).settled_nano
