"""What callers may do with rollouts: start, look, cancel."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from hashlib import sha256

from google.protobuf.json_format import MessageToJson

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import rollout_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.ids import new_id
from modelux_contracts.pages import check_cursor, limit_of
from modelux_contracts.refusals import FieldError, conflict, invalid
from modelux_replay.experiments import Experiment, Experiments
from modelux_replay.rollout.rollouts import Lost, Rollout, Rollouts
from modelux_replay.rollout.spec import check_rollout, read_split
from modelux_replay.rollout.stepper import Stepper
from modelux_replay.rollout.stepping import Standing
from modelux_runtime.calls import call
from modelux_store.errors import AlreadyExists

_SERVICE = "modelux.config.v1.AdminService"
_TRIES, _PAUSE_S = 50, 0.1


@dataclass(frozen=True, slots=True)
class RolloutDesk:
    """Starts and ends are noted in the config service's audit log first, which checks the caller's role.

    From then on a rollout acts in its own name, whatever becomes of the key that started it.
    """

    experiments: Experiments
    stepper: Stepper

    @property
    def rollouts(self) -> Rollouts:
        return self.stepper.rollouts

    async def start(self, request: pb.StartRolloutRequest) -> pb.StartRolloutResponse:
        """Stores one whose first step is made at once. The same idempotency key and request answer alike.

        Raises problems: 422 for fields, 404 for the experiment and the config, 409 where the active version does not
        split with its candidate or a rollout runs there, 403 for the role.
        """
        actor, fingerprint = request.actor, _fingerprint(request.spec)
        earlier = await self._repeated(actor, fingerprint)
        if earlier is not None:
            return pb.StartRolloutResponse(rollout=await self._record(earlier))
        new = await self._new(actor, check_rollout(request.spec), fingerprint)
        await self._refuse_second(new)
        await self._note(actor, new, "started", MessageToJson(new.spec, indent=None, preserving_proto_field_name=True))
        try:
            made = await self.rollouts.create(new, actor.idempotency_key)
        except AlreadyExists:
            made = await self._repeated(actor, fingerprint)
            assert made is not None, "a unique key is taken, yet nobody has it"
        if made is None:
            await self._refuse_second(new)
            raise conflict("rollout_changed", "Another rollout of the routing config just ended.", "Try again.")
        return pb.StartRolloutResponse(rollout=await self._record(made))

    async def get(self, request: pb.GetRolloutRequest) -> pb.GetRolloutResponse:
        one = await self.rollouts.get(request.actor.organization_id, request.id)
        return pb.GetRolloutResponse(rollout=await self._record(one))

    async def list(self, request: pb.ListRolloutsRequest) -> pb.ListRolloutsResponse:
        """Newest first. The cursor is the id of the last row: ids of other organizations find nothing of theirs."""
        limit = limit_of(request.limit)
        check_cursor(request.cursor, "ro_")
        rows = await self.rollouts.page(
            request.actor.organization_id, request.project_id, after=request.cursor, limit=limit + 1
        )
        cursor, shown = rows[limit - 1].id if len(rows) > limit else "", rows[:limit]
        steps = await self.rollouts.steps([each.id for each in shown])
        records = [each.record(steps[each.id]) for each in shown]
        return pb.ListRolloutsResponse(rollouts=records, next_cursor=cursor)

    async def cancel(self, request: pb.CancelRolloutRequest) -> pb.CancelRolloutResponse:
        """The config stays as it is. Cancelled again it answers alike; raises a 409 problem for other ends, 403 for the
        role.
        """
        actor = request.actor
        one = await self.rollouts.get(actor.organization_id, request.id)
        if one.status == "running":
            await self._note(actor, one, "cancelled", "")
            one = await self._cancelled(one)
        if one.status != "cancelled":
            detail = f"The rollout is {one.status.replace('_', ' ')} already."
            raise conflict("rollout_ended", detail, "Change the routing config itself.")
        return pb.CancelRolloutResponse(rollout=await self._record(one))

    async def _cancelled(self, one: Rollout) -> Rollout:
        """Once nobody is at it. What a process began that died is finished first, so that its history is whole."""
        now_us = self.stepper.now_us
        for _ in range(_TRIES):
            claimed = await self.rollouts.claim(one.id, now_us())
            if claimed is None:
                one = await self.rollouts.get(one.organization_id, one.id)
                if one.status != "running":
                    return one
                await asyncio.sleep(_PAUSE_S)
                continue
            try:
                if claimed.wanted and await self.stepper.unsettled(claimed):
                    await self.stepper.settle(claimed)
                    continue
                text = f"Cancelled at {claimed.percent} % of the traffic; the routing config stays as it is."
                ended = replace(claimed, status="cancelled", status_reason=text, wanted="")
                return await self.rollouts.keep(ended, now_us(), tells=True)
            except Lost:
                continue
        raise conflict("rollout_busy", "The rollout is being stepped.", "Try again in a few seconds.")

    async def _new(self, actor: replay.Actor, spec: pb.RolloutSpec, fingerprint: bytes) -> Rollout:
        one = await self.experiments.get(actor.organization_id, spec.experiment_id)
        spec.routing_config_id = spec.routing_config_id or await self._only_config(one)
        asked = config.GetRoutingConfigRequest(actor=_actor(actor), id=spec.routing_config_id)
        target = (await call(self.stepper.channel, _SERVICE, asked, config.GetRoutingConfigResponse)).routing_config
        if target.project_id != one.project_id or not await self.rollouts.made(
            one.id, target.id, target.active_version
        ):
            detail = (
                f"Version {target.active_version} of @{target.slug}, the active one, is no split of this experiment."
            )
            raise conflict("not_promoted", detail, "Promote the experiment there with mode ab_test, and start then.")
        split = read_split(target.policy_json, target.slug)
        now_us = self.stepper.now_us()
        return Rollout(
            id=new_id("ro_", now_us // 1000),
            organization_id=actor.organization_id,
            project_id=one.project_id,
            experiment_id=one.id,
            routing_config_id=target.id,
            slug=target.slug,
            spec=spec,
            policy=target.policy_json.decode(),
            base_version=split.base_version,
            status="running",
            status_reason="",
            version=target.active_version,
            percent=split.percent,
            position=0,
            standing=Standing.new(now_us),
            wanted="step",
            wanted_reason="the rollout was started",
            wanted_requests=0,
            epoch=0,
            created_at_us=now_us,
            updated_at_us=now_us,
            created_by=actor.key_id,
            request_hash=fingerprint,
        )

    async def _only_config(self, one: Experiment) -> str:
        promotions = await self.experiments.promotions(one.id)
        found = {each.routing_config_id for each in promotions if each.mode == "ab_test"}
        if len(found) == 1:
            return found.pop()
        text = "is missing, and the experiment was promoted with mode ab_test to "
        text += f"{len(found)} routing configs" if found else "none"
        hint = "Name one of them." if found else "Promote it with mode ab_test first."
        raise invalid(FieldError("routingConfigId", text, hint))

    async def _refuse_second(self, new: Rollout) -> None:
        running = await self.rollouts.running_on(new.routing_config_id)
        if running is not None:
            detail = f"The rollout {running.id} runs on @{new.slug} already."
            raise conflict("rollout_running", detail, "Wait for its end, or cancel it.")

    async def _note(self, actor: replay.Actor, one: Rollout, action: str, after_json: str) -> None:
        asked = config.RecordAuditRequest(
            actor=_actor(actor),
            entity="rollout",
            entity_id=one.id,
            action=action,
            project_id=one.project_id,
            after_json=after_json,
        )
        await call(self.stepper.channel, _SERVICE, asked, config.RecordAuditResponse)

    async def _record(self, one: Rollout) -> pb.RolloutRecord:
        return one.record((await self.rollouts.steps([one.id]))[one.id])

    async def _repeated(self, actor: replay.Actor, fingerprint: bytes) -> Rollout | None:
        if not actor.idempotency_key:
            return None
        earlier = await self.rollouts.repeated(actor.organization_id, actor.key_id, actor.idempotency_key)
        if earlier is not None and earlier.request_hash != fingerprint:
            raise _reused()
        return earlier


def _reused() -> ProblemError:
    return conflict("idempotency_key_reused", "The Idempotency-Key was used for another request.", "Send a new key.")


def _fingerprint(spec: pb.RolloutSpec) -> bytes:
    return sha256(b"StartRollout" + spec.SerializeToString(deterministic=True)).digest()


def _actor(actor: replay.Actor) -> config.Actor:
    return config.Actor(key_hash=actor.key_hash, request_id=actor.request_id)
