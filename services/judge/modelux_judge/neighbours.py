"""Ask the replay service for experiments and the config service for projects, in the name of a caller."""

from __future__ import annotations

from dataclasses import dataclass

import grpc.aio

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import replay_pb2 as replay
from modelux_runtime.calls import call


def config_actor(actor: replay.Actor) -> config.Actor:
    """As the config service takes whoever asks: a caller by the key, or a schedule by its id."""
    return config.Actor(
        key_hash=actor.key_hash,
        request_id=actor.request_id,
        schedule_id=actor.schedule_id,
        organization_id=actor.organization_id,
    )


@dataclass(frozen=True, slots=True)
class Channels:
    """See `desk.Neighbours`."""

    to_replay: grpc.aio.Channel
    to_config: grpc.aio.Channel

    async def experiment(self, actor: replay.Actor, identifier: str) -> replay.ExperimentRecord:
        asked = replay.GetRequest(actor=actor, id=identifier)
        return (await call(self.to_replay, "modelux.replay.v1.ReplayService", asked, replay.GetResponse)).experiment

    async def project(self, actor: replay.Actor, identifier: str) -> config.ProjectRecord:
        asked = config.GetProjectRequest(actor=config_actor(actor), id=identifier)
        return (await call(self.to_config, "modelux.config.v1.AdminService", asked, config.GetProjectResponse)).project
