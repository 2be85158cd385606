"""What callers may do with schedules: create, look, change, fire, delete."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from google.protobuf.json_format import MessageToJson
from google.protobuf.message import Message

from modelux.config.v1 import admin_pb2 as config
from modelux.replay.v1 import replay_pb2 as replay
from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.ids import new_id
from modelux_contracts.pages import check_cursor, limit_of
from modelux_contracts.refusals import FieldError, conflict, invalid
from modelux_replay.desk import Desk
from modelux_replay.experiments import Changed, Experiment
from modelux_replay.scheduling.firing import Firer
from modelux_replay.scheduling.schedules import Schedule, Schedules, TooManySchedules
from modelux_replay.scheduling.spec import check_schedule, cron_of, experiment_of, named_within
from modelux_replay.spec import check
from modelux_runtime.calls import call
from modelux_store.errors import AlreadyExists

MOST_SCHEDULES = 100
"""Of one organization."""
_SERVICE = "modelux.config.v1.AdminService"
_TRIES = 5


@dataclass(frozen=True, slots=True)
class ScheduleDesk:
    """Writes are noted in the config service's audit log first, which checks the caller's role.

    From then on a schedule acts as an editor of its organization, whatever becomes of the key that set it up: it ends
    by being paused or deleted.
    """

    schedules: Schedules
    desk: Desk
    firer: Firer

    async def create(self, request: pb.CreateScheduleRequest) -> pb.CreateScheduleResponse:
        """Stores one that fires at its next due moment. The same idempotency key and request answer alike.

        Raises problems: 422 for fields, 404 for the project, 409 for a key used otherwise, 403 for the role, 429 for
        too many.
        """
        actor, fingerprint = request.actor, _fingerprint(request)
        if actor.idempotency_key:
            earlier = await self._repeated(actor, fingerprint)
            if earlier is not None:
                return pb.CreateScheduleResponse(schedule=await self._record(earlier))
        now_us = self.desk.runs.now_us()
        spec = await self._checked(actor, request.spec, now_us)
        new = Schedule(
            id=new_id("sch_", now_us // 1000),
            organization_id=actor.organization_id,
            project_id=spec.project_id,
            spec=spec,
            revision=1,
            created_at_us=now_us,
            updated_at_us=now_us,
            created_by=actor.key_id,
            next_at_us=_next(spec, now_us),
            last_at_us=0,
            last_error="",
            runs=0,
            deleted_at_us=0,
            request_hash=fingerprint,
        )
        await self._note(actor, new, "created", after=spec)
        try:
            await self.schedules.create(new, actor.idempotency_key, MOST_SCHEDULES)
        except AlreadyExists:
            again = await self._repeated(actor, fingerprint)
            assert again is not None, "a unique key is taken, yet nobody has it"
            return pb.CreateScheduleResponse(schedule=await self._record(again))
        except TooManySchedules as error:
            detail = f"The organization has {MOST_SCHEDULES} schedules already."
            raise conflict("too_many_schedules", detail, "Delete one first.") from error
        return pb.CreateScheduleResponse(schedule=new.record())

    async def get(self, request: pb.GetScheduleRequest) -> pb.GetScheduleResponse:
        one = await self.schedules.get(request.actor.organization_id, request.id)
        return pb.GetScheduleResponse(schedule=await self._record(one))

    async def list(self, request: pb.ListSchedulesRequest) -> pb.ListSchedulesResponse:
        """Newest first. The cursor is the id of the last row: ids of other organizations find nothing of theirs."""
        limit = limit_of(request.limit)
        check_cursor(request.cursor, "sch_")
        rows = await self.schedules.page(
            request.actor.organization_id, request.project_id, after=request.cursor, limit=limit + 1
        )
        cursor, shown = rows[limit - 1].id if len(rows) > limit else "", rows[:limit]
        last = await self.schedules.last_runs([each.id for each in shown])
        records = [each.record(last.get(each.id, ("", ""))) for each in shown]
        return pb.ListSchedulesResponse(schedules=records, next_cursor=cursor)

    async def update(self, request: pb.UpdateScheduleRequest) -> pb.UpdateScheduleResponse:
        """Takes another spec; its runs, and their share of the error budget, go on counting. Raises as `create`."""
        actor, now_us = request.actor, self.desk.runs.now_us()
        one = await self.schedules.get(actor.organization_id, request.id)
        if request.spec.project_id != one.project_id:
            hint = "Create another schedule there."
            raise invalid(FieldError("projectId", "is another one: a schedule stays in its project", hint))
        # What cannot run any more can still be paused.
        spec = request.spec if _pauses(request.spec, one.spec) else await self._checked(actor, request.spec, now_us)
        await self._note(actor, one, "updated", before=one.spec, after=spec)
        for _ in range(_TRIES):
            try:
                changed = await self.schedules.update(one, spec, _next(spec, now_us), now_us)
            except Changed:
                one = await self.schedules.get(actor.organization_id, request.id)
                continue
            return pb.UpdateScheduleResponse(schedule=await self._record(changed))
        raise _busy()

    async def delete(self, request: pb.DeleteScheduleRequest) -> pb.DeleteScheduleResponse:
        """It fires no more. Its experiments stay, also one that runs."""
        one = await self.schedules.get(request.actor.organization_id, request.id)
        await self._note(request.actor, one, "deleted", before=one.spec)
        await self.schedules.delete(one, self.desk.runs.now_us())
        return pb.DeleteScheduleResponse()

    async def fire(self, request: pb.FireScheduleRequest) -> pb.FireScheduleResponse:
        """Runs it now, paused or not, over the window that ends now. Raises problems as `Desk.create`."""
        actor, fingerprint = request.actor, _fingerprint(request)
        one = await self.schedules.get(actor.organization_id, request.id)
        if actor.idempotency_key:
            earlier = await self.desk.repeated(actor, fingerprint)
            if earlier is not None:
                return pb.FireScheduleResponse(experiment=earlier.record())
        await self._note(actor, one, "fired")
        made = await self._fired(actor, one, fingerprint)
        return pb.FireScheduleResponse(experiment=made.record())

    async def _fired(self, actor: replay.Actor, one: Schedule, fingerprint: bytes) -> Experiment:
        for _ in range(_TRIES):
            try:
                return await self.firer.fire_now(actor, one, fingerprint)
            except Changed:
                one = await self.schedules.get(actor.organization_id, one.id)
            except AlreadyExists:
                again = await self.desk.repeated(actor, fingerprint)
                assert again is not None, "a unique key is taken, yet nobody has it"
                return again
            except ProblemError as error:
                raise named_within(error) from error
        raise _busy()

    async def _checked(self, actor: replay.Actor, asked: pb.ScheduleSpec, now_us: int) -> pb.ScheduleSpec:
        """As it would run now."""
        days = self.desk.limits.window_days
        spec = check_schedule(asked, days)
        try:
            checked = check(experiment_of(spec, now_us), now_us, days)
            await self.desk.candidate(actor, checked)
        except ProblemError as error:
            raise named_within(error) from error
        return spec

    async def _note(
        self,
        actor: replay.Actor,
        one: Schedule,
        action: str,
        before: pb.ScheduleSpec | None = None,
        after: pb.ScheduleSpec | None = None,
    ) -> None:
        asked = config.RecordAuditRequest(
            actor=config.Actor(key_hash=actor.key_hash, request_id=actor.request_id),
            entity="experiment_schedule",
            entity_id=one.id,
            action=action,
            project_id=one.project_id,
            before_json=_json(before),
            after_json=_json(after),
        )
        await call(self.desk.channel, _SERVICE, asked, config.RecordAuditResponse)

    async def _record(self, one: Schedule) -> pb.ScheduleRecord:
        return one.record((await self.schedules.last_runs([one.id])).get(one.id, ("", "")))

    async def _repeated(self, actor: replay.Actor, fingerprint: bytes) -> Schedule | None:
        earlier = await self.schedules.repeated(actor.organization_id, actor.key_id, actor.idempotency_key)
        if earlier is not None and earlier.request_hash != fingerprint:
            detail = "The Idempotency-Key was used for another request."
            raise conflict("idempotency_key_reused", detail, "Send a new key.")
        return earlier


def _pauses(asked: pb.ScheduleSpec, stored: pb.ScheduleSpec) -> bool:
    """Whether that is all that is asked for."""
    found = pb.ScheduleSpec()
    found.CopyFrom(stored)
    found.paused = True
    return asked == found


def _next(spec: pb.ScheduleSpec, now_us: int) -> int:
    return 0 if spec.paused else cron_of(spec).following(now_us) or 0


def _json(spec: pb.ScheduleSpec | None) -> str:
    return "" if spec is None else MessageToJson(spec, indent=None, preserving_proto_field_name=True)


def _fingerprint(request: Message) -> bytes:
    bare = type(request)()
    bare.CopyFrom(request)
    bare.ClearField("actor")
    name = request.DESCRIPTOR.full_name.encode()
    return sha256(name + bare.SerializeToString(deterministic=True)).digest()


def _busy() -> ProblemError:
    return conflict("schedule_changed", "The schedule was changed at the same moment, again and again.", "Try again.")
