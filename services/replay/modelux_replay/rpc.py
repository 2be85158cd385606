"""The gRPC edge: which function answers which operation."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import grpc.aio

from modelux.replay.v1 import replay_pb2 as pb
from modelux.replay.v1 import rollout_pb2, schedule_pb2
from modelux_replay.desk import Desk
from modelux_replay.learned.measuring import Measuring
from modelux_replay.promote import Promoter
from modelux_replay.rollout.desk import RolloutDesk
from modelux_replay.scheduling.desk import ScheduleDesk
from modelux_runtime.operations import Method, Operations

SERVICE = pb.DESCRIPTOR.services_by_name["ReplayService"]
SCHEDULES = schedule_pb2.DESCRIPTOR.services_by_name["ScheduleService"]
ROLLOUTS = rollout_pb2.DESCRIPTOR.services_by_name["RolloutService"]


@dataclass(frozen=True, slots=True)
class Edge:
    """The services of experiments, schedules and rollouts. Calls that come before `started` is set wait for it."""

    desk: Desk
    promoter: Promoter
    started: asyncio.Event
    schedules: ScheduleDesk
    rollouts: RolloutDesk

    def register(self, server: grpc.aio.Server) -> None:
        methods: dict[str, Method] = {
            "Preflight": self.desk.preflight,
            "Create": self.desk.create,
            "Get": self.desk.get,
            "List": self.desk.list,
            "Cancel": self.desk.cancel,
            "Promote": self.promoter.promote,
            "MayCall": self.desk.may_call,
            "Scorecard": Measuring.of(self.desk.runs).scorecard,
        }
        scheduling: dict[str, Method] = {
            "CreateSchedule": self.schedules.create,
            "GetSchedule": self.schedules.get,
            "ListSchedules": self.schedules.list,
            "UpdateSchedule": self.schedules.update,
            "DeleteSchedule": self.schedules.delete,
            "FireSchedule": self.schedules.fire,
        }
        rolling: dict[str, Method] = {
            "StartRollout": self.rollouts.start,
            "GetRollout": self.rollouts.get,
            "ListRollouts": self.rollouts.list,
            "CancelRollout": self.rollouts.cancel,
        }
        for service, found in ((SERVICE, methods), (SCHEDULES, scheduling), (ROLLOUTS, rolling)):
            Operations(service, found, self.started).register(server)
