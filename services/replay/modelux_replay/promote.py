"""Promote a completed experiment: its candidate becomes a new, active version of a routing config."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

import grpc.aio

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found
from modelux_replay.candidates import parse_slug
from modelux_replay.experiments import Experiment, Experiments
from modelux_runtime.calls import call

MODES = ("replace", "ab_test")
DEFAULT_SLUG = "production"
ARM, CURRENT = "candidate", "current"
"""Names of the arms of a split."""
_SERVICE = "modelux.config.v1.AdminService"


@dataclass(frozen=True, slots=True)
class Promoter:
    """Writes versions in the caller's name: the config service checks the role, audits and announces them."""

    experiments: Experiments
    channel: grpc.aio.Channel
    now_us: Callable[[], int]

    async def promote(self, request: pb.PromoteRequest) -> pb.PromoteResponse:
        """Promoting again into the same config in the same way answers what was done before.

        Raises problems: 404, 409 for an experiment that is not completed and for a config that changed meanwhile, 422
        for fields, and what the config service refuses.
        """
        actor = request.actor
        one = await self.experiments.get(actor.organization_id, request.id)
        mode, weight = _way(request)
        if one.status != "completed":
            raise _incomplete(one)
        target = await self._target(one, request)
        wanted = pb.Promotion(routing_config_id=target.id, slug=target.slug, mode=mode, weight=weight)
        found = await self.experiments.promotion(one.id, wanted)
        if found is None:
            found = wanted
            found.version = await self._version(one, target, request, mode, weight)
            found.at_us, found.actor = self.now_us(), actor.key_id
        promotions = await self.experiments.promoted(one.id, found)
        return pb.PromoteResponse(experiment=one.record(promotions), promotion=found)

    async def _target(self, one: Experiment, request: pb.PromoteRequest) -> config.RoutingConfigRecord:
        if request.routing_config_id:
            asked = config.GetRoutingConfigRequest(actor=_actor(request), id=request.routing_config_id)
            found = (await call(self.channel, _SERVICE, asked, config.GetRoutingConfigResponse)).routing_config
            if found.project_id != one.project_id:
                raise not_found("routing config", request.routing_config_id)
            return found
        slug = parse_slug(request.slug or DEFAULT_SLUG)
        listed = config.ListRoutingConfigsRequest(actor=_actor(request), project_id=one.project_id, slug=slug)
        rows = (await call(self.channel, _SERVICE, listed, config.ListRoutingConfigsResponse)).routing_configs
        if not rows:
            hint = "Name another with routingConfigId or slug, or create it first."
            raise invalid(FieldError("slug", f"the project has no routing config @{slug}", hint), code="unknown_slug")
        return rows[0]

    async def _version(
        self, one: Experiment, target: config.RoutingConfigRecord, request: pb.PromoteRequest, mode: str, weight: float
    ) -> int:
        """The number of the new version, or of the active one where an earlier call made it and was cut off."""
        policy: object = json.loads(one.policy)
        note = f"Promoted from experiment {one.id} ({mode})"
        if await self._note(target, request) == note:
            return target.active_version
        if mode == "ab_test":
            current = {"ref": f"@{target.slug}:{target.active_version}"}
            split = [
                {"name": CURRENT, "weight": 1 - weight, "policy": current},
                {"name": ARM, "weight": weight, "policy": policy},
            ]
            policy = {"strategy": "ab_test", "split": split}
        asked = config.CreateRoutingConfigVersionRequest(
            actor=_actor(request),
            id=target.id,
            policy_json=json.dumps(policy).encode(),
            note=f"{note}: {request.note}" if request.note else note,
            activate=True,
            if_revision=target.revision,
        )
        try:
            made = await call(self.channel, _SERVICE, asked, config.CreateRoutingConfigVersionResponse)
        except ProblemError as error:
            if error.problem.status == 412:
                detail = f"@{target.slug} was changed at the same moment."
                raise conflict("promote_conflict", detail, "Look at the change, and promote again.") from error
            raise
        return made.version.version

    async def _note(self, target: config.RoutingConfigRecord, request: pb.PromoteRequest) -> str:
        """What the active version says of its origin."""
        asked = config.GetRoutingConfigVersionRequest(
            actor=_actor(request), id=target.id, version=target.active_version
        )
        found = await call(self.channel, _SERVICE, asked, config.GetRoutingConfigVersionResponse)
        return found.version.note.partition(":")[0]


def _way(request: pb.PromoteRequest) -> tuple[str, float]:
    mode = request.mode or "replace"
    if mode not in MODES:
        raise invalid(FieldError("mode", f"{mode[:40]!r} is not one of them", f"There are: {', '.join(MODES)}."))
    if mode == "replace":
        if request.HasField("weight") and request.weight != 1.0:
            hint = "Remove it, or choose mode 'ab_test'."
            raise invalid(FieldError("weight", "is of mode 'ab_test' alone", hint))
        return mode, 1.0
    if not request.HasField("weight") or not 0 < request.weight < 1:
        hint = "Give the share of the traffic that the candidate gets, such as 0.1."
        raise invalid(FieldError("weight", "is not above 0 and below 1", hint))
    return mode, request.weight


def _incomplete(one: Experiment) -> ProblemError:
    detail = f"The experiment is {one.status}; only a completed one can be promoted."
    waits = one.status in ("pending", "running")
    hint = "Wait until its status is 'completed'." if waits else "Run it again, and promote the new one."
    return conflict("experiment_incomplete", detail, hint)


def _actor(request: pb.PromoteRequest) -> config.Actor:
    return config.Actor(key_hash=request.actor.key_hash, request_id=request.actor.request_id)
