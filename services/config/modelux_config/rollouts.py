"""Steps of guarded rollouts: a version of a routing config, or an earlier one again, in the name of the rollout."""

from __future__ import annotations

from modelux.config.v1 import admin_pb2 as pb
from modelux_config import routing_configs, versions
from modelux_config.identity import Identity
from modelux_config.scope import Change, Ports, Scope, finish, lock
from modelux_store.database import Database


async def step_rollout(database: Database, ports: Ports, request: pb.StepRolloutRequest) -> pb.StepRolloutResponse:
    """Does what is asked while the expected version is active, once: asked again it finds what it did.

    Of two audit rows one is the routing config's, with the version, and one the rollout's, with the note. Raises
    problems: 404 for a config that the organization does not have, and as the operations of versions do.
    """
    async with database.transaction() as tx:
        asks = bool(request.policy_json or request.rollback_to)
        if asks:
            await lock(tx, request.organization_id)
        who = Identity(request.rollout_id, "rollout", request.organization_id, "", "editor")
        scope = Scope(tx, ports, who, who.key_id, ports.now_ms() * 1000)
        config = await routing_configs.find(scope, request.routing_config_id)
        if asks and config.active_version == request.expected_active_version:
            config = await _step(scope, request)
            scope.record(_change(request, config))
            await finish(scope)
            done = True
        else:
            done = asks and await _was_done(scope, request, config)
        return pb.StepRolloutResponse(done=done, active_version=config.active_version)


async def _step(scope: Scope, request: pb.StepRolloutRequest) -> pb.RoutingConfigRecord:
    identifier = request.routing_config_id
    if request.rollback_to:
        back = pb.RollbackRoutingConfigRequest(id=identifier, version=request.rollback_to)
        return (await versions.rollback_routing_config(scope, back)).routing_config
    new = pb.CreateRoutingConfigVersionRequest(
        id=identifier, policy_json=request.policy_json, note=request.note, activate=True
    )
    return (await versions.create_routing_config_version(scope, new)).routing_config


async def _was_done(scope: Scope, request: pb.StepRolloutRequest, config: pb.RoutingConfigRecord) -> bool:
    """Whether the active version is the one that an earlier call made active."""
    if request.rollback_to:
        return config.active_version == request.rollback_to
    wanted = pb.GetRoutingConfigVersionRequest(id=config.id, version=config.active_version)
    active = (await versions.get_routing_config_version(scope, wanted)).version
    return (active.created_by, active.note) == (request.rollout_id, request.note)


def _change(request: pb.StepRolloutRequest, config: pb.RoutingConfigRecord) -> Change:
    action = "rolled_back" if request.rollback_to else "stepped"
    return Change(
        "rollout",
        request.rollout_id,
        action,
        after=pb.VersionRecord(routing_config_id=config.id, version=config.active_version, note=request.note),
        project_id=config.project_id,
        slug=config.slug,
        version=config.active_version,
        previous_version=request.expected_active_version,
    )
