"""What callers may do with experiments: estimate, create, look, cancel."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, replace
from hashlib import sha256

import grpc.aio

from modelux.config.v1 import snapshot_pb2 as config
from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.errors import ProblemError
from modelux_contracts.ids import new_id
from modelux_contracts.pages import check_cursor, limit_of
from modelux_contracts.project_limits import experiment_spend_cap_nano
from modelux_contracts.refusals import FieldError, conflict, invalid, too_many
from modelux_providers.catalog import Catalog
from modelux_replay.candidates import Candidate, read_candidate
from modelux_replay.configuration import read_configuration
from modelux_replay.experiments import (
    STATUSES,
    TRANSITIONS,
    Changed,
    Experiment,
    Experiments,
    New,
    TooManyAtWork,
    completed_event,
)
from modelux_replay.preflight import estimate
from modelux_replay.runs import Runs
from modelux_replay.spec import Checked, calls, check, check_project
from modelux_store.errors import AlreadyExists, Unavailable

log = logging.getLogger(__name__)

REASON = "Cancelled by a caller"
_LOOK_S = 0.1
_ENDING_S = 5.0
"""How long a cancelling caller waits for the calls that are under way."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What settings bound. `at_work`: experiments of an organization that wait or run."""

    window_days: int
    at_work: int = 20


@dataclass(frozen=True, slots=True)
class Desk:
    """Refuses what cannot run, and keeps what can."""

    runs: Runs
    channel: grpc.aio.Channel
    """To the config service."""
    catalog: Catalog
    limits: Limits

    @property
    def experiments(self) -> Experiments:
        return self.runs.experiments

    async def preflight(self, request: pb.PreflightRequest) -> pb.PreflightResponse:
        """What an experiment would replay, call and cost. Changes nothing. Raises problems as `create`."""
        checked = check(request.spec, self.runs.now_us(), self.limits.window_days, preflight=True)
        configuration, candidate = await self.candidate(request.actor, checked)
        one = _experiment(request.actor, checked, configuration, candidate, self.runs.now_us())
        cap_nano = experiment_spend_cap_nano(configuration.projects[0])
        return await estimate(self.runs, self.catalog, one, cap_nano)

    async def create(self, request: pb.CreateRequest) -> pb.CreateResponse:
        """Stores an experiment that will run at once. The same idempotency key and request answer alike.

        Raises problems: 422 for fields, 404 for the project, 409 for a key used otherwise and a project that keeps no
        answers, 429 while too many experiments are at work, and what config refuses of its spend cap.
        """
        actor = request.actor
        bare = pb.CreateRequest(spec=request.spec)
        fingerprint = sha256(bare.SerializeToString(deterministic=True)).digest()
        if actor.idempotency_key:
            earlier = await self.repeated(actor, fingerprint)
            if earlier is not None:
                return pb.CreateResponse(experiment=earlier.record())
        one = await self.prepare(actor, request.spec, fingerprint)
        return pb.CreateResponse(experiment=(await self._stored(actor, one, fingerprint)).record())

    async def prepare(
        self, actor: pb.Actor, spec: pb.ExperimentSpec, fingerprint: bytes | None = None, identifier: str = ""
    ) -> Experiment:
        """What `create` stores, its cap open: who does not store it has to `abandon` it. Raises as `create`."""
        now_us = self.runs.now_us()
        checked = check(spec, now_us, self.limits.window_days)
        configuration, candidate = await self.candidate(actor, checked)
        if await self.experiments.at_work(actor.organization_id) >= self.limits.at_work:
            raise self.too_many()
        one = _experiment(actor, checked, configuration, candidate, now_us, fingerprint)
        one = replace(one, id=identifier or one.id)
        if calls(checked.spec):
            one = replace(one, budget_id=await self.runs.caps.open_for(actor, one.id, one.spec))
        return one

    async def _stored(self, actor: pb.Actor, one: Experiment, fingerprint: bytes) -> Experiment:
        """Its cap is closed where it could not be stored."""
        kept = False
        try:
            made = await self.experiments.create(New(one, actor.idempotency_key or None), self.limits.at_work)
            kept = True
            return made
        except (AlreadyExists, TooManyAtWork) as error:
            again = await self.repeated(actor, fingerprint) if actor.idempotency_key else None
            if again is None:
                raise self.too_many() from error
            return again
        finally:
            if not kept:
                await self.abandon(one)

    async def abandon(self, one: Experiment) -> None:
        """Closes the cap of one that was prepared, unless it was stored after all: where a store broke off, nobody
        knows.
        """
        try:
            if one.budget_id and await self.experiments.find(one.id) is None:
                await self.runs.caps.close(one.organization_id, one.budget_id)
        except (ProblemError, Unavailable) as error:
            log.warning("the cap of %s, which was not created, could not be closed: %s", one.id, error)

    def too_many(self) -> ProblemError:
        detail = f"{self.limits.at_work} experiments of the organization wait or run already."
        return too_many("experiments", detail, "Wait until one has ended, or cancel one.")

    async def may_call(self, request: pb.MayCallRequest) -> pb.MayCallResponse:
        """Whether further calls in an experiment's name may begin."""
        reason = await self.experiments.stop_reason(request.experiment_id, request.organization_id)
        return pb.MayCallResponse(may_call=reason == "")

    async def get(self, request: pb.GetRequest) -> pb.GetResponse:
        one = await self.experiments.get(request.actor.organization_id, request.id)
        return pb.GetResponse(experiment=one.record(await self.experiments.promotions(one.id)))

    async def list(self, request: pb.ListRequest) -> pb.ListResponse:
        """The cursor is the id of the last row: ids of other organizations find nothing of theirs."""
        limit = limit_of(request.limit)
        check_cursor(request.cursor, "sim_")
        if request.status and request.status not in STATUSES:
            hint = f"There are: {', '.join(STATUSES)}."
            raise invalid(FieldError("status", f"{request.status[:40]!r} is not one of them", hint))
        rows = await self.experiments.page(
            request.actor.organization_id,
            request.project_id,
            request.status,
            after=request.cursor,
            limit=limit + 1,
            schedule_id=request.schedule_id,
        )
        cursor = rows[limit - 1].id if len(rows) > limit else ""
        return pb.ListResponse(experiments=[row.record(whole=False) for row in rows[:limit]], next_cursor=cursor)

    async def cancel(self, request: pb.CancelRequest) -> pb.CancelResponse:
        """Ends it; a run stops between two batches. What has ended stays as it is.

        One with responses that runs begins no further call, and ends with what came once the calls under way have: in
        most cases before this returns.
        """
        while True:
            one = await self.experiments.get(request.actor.organization_id, request.id)
            if "cancelled" not in TRANSITIONS[one.status]:
                return pb.CancelResponse(experiment=one.record(await self.experiments.promotions(one.id)))
            if one.status == "running" and one.spec.mode == "with_responses":
                await self.experiments.stop(one.id, REASON)
                return pb.CancelResponse(experiment=(await self._ending(one)).record())
            now_us = self.runs.now_us()
            event = completed_event(one, "cancelled", f"{REASON}.", now_us)
            try:
                ended = await self.experiments.end(one, "cancelled", now_us, completed=event)
            except Changed:
                continue
            return pb.CancelResponse(experiment=ended.record())

    async def _ending(self, one: Experiment) -> Experiment:
        """As it stands when it has ended, or after a while."""
        try:
            async with asyncio.timeout(_ENDING_S):
                while one.status == "running":
                    await asyncio.sleep(_LOOK_S)
                    one = await self.experiments.get(one.organization_id, one.id)
        except TimeoutError:
            log.info("experiment %s has not ended yet", one.id)
        return one

    async def candidate(self, actor: pb.Actor, checked: Checked) -> tuple[config.Snapshot, Candidate]:
        """What is replayed, and what of the configuration it needs. Raises problems as `create`."""
        spec = checked.spec
        configuration = await read_configuration(self.channel, actor.organization_id, spec.project_id)
        check_project(spec, configuration.projects[0])
        candidate = read_candidate(spec, configuration, self.catalog, self.runs.now_us() // 1000)
        if spec.sample.method == "semantic":
            await self.runs.embeddings.check_semantic()
        return configuration, candidate

    async def repeated(self, actor: pb.Actor, fingerprint: bytes) -> Experiment | None:
        """What the same request made before. Raises a 409 problem where the key was used for another one."""
        key = actor.idempotency_key
        earlier = await self.experiments.repeated(actor.organization_id, actor.key_id, key)
        if earlier is not None and earlier.request_hash != fingerprint:
            detail = "The Idempotency-Key was used for another request."
            raise conflict("idempotency_key_reused", detail, "Send a new key.")
        return earlier


def _experiment(
    actor: pb.Actor,
    checked: Checked,
    configuration: config.Snapshot,
    candidate: Candidate,
    now_us: int,
    fingerprint: bytes | None = None,
) -> Experiment:
    """One that was not stored yet."""
    return Experiment(
        id=new_id("sim_", now_us // 1000),
        organization_id=actor.organization_id,
        project_id=checked.spec.project_id,
        spec=checked.spec,
        candidate_reference=candidate.reference,
        policy=candidate.document.policy_json.decode(),
        configuration=configuration.SerializeToString(deterministic=True),
        window_start_us=checked.start_us,
        window_end_us=checked.end_us,
        seed=_seed(checked, candidate),
        status="pending",
        status_reason="",
        revision=1,
        epoch=0,
        rows_total=0,
        rows_done=0,
        created_at_us=now_us,
        started_at_us=0,
        finished_at_us=0,
        created_by=actor.key_id,
        summary="",
        request_hash=fingerprint,
    )


def _seed(checked: Checked, candidate: Candidate) -> int:
    """Equal experiments draw equal chances."""
    parts = (checked.spec.project_id, str(checked.start_us), str(checked.end_us))
    text = "\n".join(parts).encode() + candidate.document.policy_json
    return int.from_bytes(sha256(text).digest()[:7], "big")
