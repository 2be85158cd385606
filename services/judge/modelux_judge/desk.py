"""What callers may do with judge runs: estimate, create, look, cancel, compare."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Protocol

from experiment_core.verdicts import kappa
from modelux.config.v1 import admin_pb2 as config
from modelux.judge.v1 import judge_pb2 as pb
from modelux.replay.v1 import replay_pb2 as replay
from modelux_calling.tenants import Project, Tenants
from modelux_contracts.ids import new_id
from modelux_contracts.pages import check_cursor, limit_of
from modelux_contracts.project_limits import judge_spend_cap_nano
from modelux_contracts.refusals import FieldError, conflict, invalid, not_found, unavailable
from modelux_judge.calls import Calls
from modelux_judge.estimates import Estimated, estimate
from modelux_judge.judges import find_judge
from modelux_judge.neighbours import config_actor
from modelux_judge.population import read_population
from modelux_judge.records import PREFIX, TRANSITIONS, Changed, JudgeRun, JudgeRuns, TooManyAtWork, completed_event
from modelux_judge.runs import earlier_rates
from modelux_judge.spec import Checked, check
from modelux_judge.verdicts import answers
from modelux_runtime.spend_caps import SpendCaps
from modelux_store.analytics import Analytics
from modelux_store.errors import AlreadyExists
from routing_core.money import dollars

CANCELLED = "Cancelled by a caller."


class Neighbours(Protocol):
    """The services that are asked. Both raise `ProblemError`: 404 for what the organization does not have."""

    async def experiment(self, actor: replay.Actor, identifier: str) -> replay.ExperimentRecord: ...

    async def project(self, actor: replay.Actor, identifier: str) -> config.ProjectRecord: ...


@dataclass(frozen=True, slots=True)
class Desk:
    """`most_at_work`: runs of one organization that wait or run at a time."""

    records: JudgeRuns
    calls: Calls
    analytics: Analytics
    neighbours: Neighbours
    caps: SpendCaps
    tenants: Callable[[], Tenants | None]
    most_at_work: int
    now_us: Callable[[], int]

    async def preflight(self, request: pb.PreflightRequest) -> pb.PreflightResponse:
        """What a run would judge and cost. Raises problems as `create`."""
        found = await self._estimated(request.actor, check(request.spec))
        return found.response()

    async def create(self, request: pb.CreateRequest) -> pb.CreateResponse:
        """Stores a run that will start at once. The same idempotency key and request answer alike.

        Raises problems: 422 for fields, 404 for the experiment, 409 for one that cannot be judged or a key used
        otherwise, 403 for the role, 503 while config or the request log is away.
        """
        actor = request.actor
        fingerprint = sha256(pb.CreateRequest(spec=request.spec).SerializeToString(deterministic=True)).digest()
        if (earlier := await self._repeated(actor, fingerprint)) is not None:
            return pb.CreateResponse(run=earlier.record())
        checked = check(request.spec)
        found = await self._estimated(actor, checked)
        spec, now_us = found.spec, self.now_us()
        identifier = new_id(PREFIX, now_us // 1000)
        asked = config_actor(actor)
        budget_id = await self.caps.open(asked, found.project_id, identifier, spec.spend_cap_nano)
        one = JudgeRun(
            id=identifier,
            organization_id=actor.organization_id,
            project_id=found.project_id,
            experiment_id=spec.experiment_id,
            spec=spec,
            rubric_hash=found.rubric_hash,
            budget_id=budget_id,
            created_at_us=now_us,
            created_by=actor.key_id,
            secret=secrets.token_bytes(32),
            request_hash=fingerprint,
            pairs_total=sum(found.places.taken),
        )
        made: JudgeRun | None = None
        try:
            made = await self.records.create(one, actor.idempotency_key or None, self.most_at_work)
        except AlreadyExists:
            again = await self._repeated(actor, fingerprint)
            assert again is not None, "a unique key is taken, yet nobody has it"
            return pb.CreateResponse(run=again.record())
        except TooManyAtWork:
            detail = f"{self.most_at_work} judge runs of the organization wait or run already."
            raise conflict("too_many_runs", detail, "Wait for one to end, or cancel one.") from None
        finally:
            if made is None:
                await self.caps.close(actor.organization_id, budget_id)
        return pb.CreateResponse(run=made.record())

    async def get(self, request: pb.GetRequest) -> pb.GetResponse:
        return pb.GetResponse(run=(await self._one(request)).record())

    async def list(self, request: pb.ListRequest) -> pb.ListResponse:
        """The cursor is the id of the last row: ids of other experiments find nothing of theirs."""
        limit, cursor = limit_of(request.limit), request.cursor
        check_cursor(cursor, PREFIX)
        await self.neighbours.experiment(request.actor, request.experiment_id)
        organization = request.actor.organization_id
        rows = await self.records.page(organization, request.experiment_id, after=cursor, limit=limit + 1)
        further = rows[limit - 1].id if len(rows) > limit else ""
        return pb.ListResponse(runs=[row.record(whole=False) for row in rows[:limit]], next_cursor=further)

    async def cancel(self, request: pb.CancelRequest) -> pb.CancelResponse:
        """Ends it. One that runs begins no further call, and is cancelled once those under way have ended."""
        while True:
            one = await self._one(request)
            if "cancelled" not in TRANSITIONS[one.status]:
                return pb.CancelResponse(run=one.record())
            if one.status == "running":
                stopped = await self.records.stop(one.id, CANCELLED)
                if stopped is None and not one.stop_reason:
                    continue
                return pb.CancelResponse(run=(stopped or one).record())
            now_us = self.now_us()
            try:
                event = completed_event(one, "cancelled", CANCELLED, now_us)
                ended = await self.records.end(one, "cancelled", now_us, completed=event)
            except Changed:
                continue
            return pb.CancelResponse(run=ended.record())

    async def compare(self, request: pb.CompareRequest) -> pb.CompareResponse:
        """How far two runs of one experiment agree on the pairs that both asked about."""
        said = []
        for identifier in (request.id, request.other_id):
            wanted = pb.GetRequest(actor=request.actor, experiment_id=request.experiment_id, id=identifier)
            one = await self._one(wanted)
            found = answers(one.spec, one.secret, await self.calls.pairs(one.id), await self.calls.asked(one.id))
            said.append({each.pair.row: each.judged.merge().verdict for each in found if each.pair.kind == "pair"})
        rows = [row for row in said[0] if said[0][row] is not None and said[1].get(row) is not None]
        first, second = ([each[row] for row in rows] for each in said)
        told = kappa(first, second)
        answer = pb.CompareResponse(pairs=told.pairs, agreed=sum(a == b for a, b in zip(first, second, strict=True)))
        value, interval = told.kappa.value, told.kappa.interval
        if value is not None and interval.lower is not None and interval.upper is not None:
            answer.kappa, answer.kappa_lower, answer.kappa_upper = value, interval.lower, interval.upper
        return answer

    async def _estimated(self, actor: replay.Actor, checked: Checked) -> Estimated:
        record = await self.neighbours.experiment(actor, checked.spec.experiment_id)
        _refuse_unjudgeable(record)
        project_id = record.spec.project_id
        judge = find_judge(self._project(actor.organization_id, project_id), checked.spec.judge_model)
        most_nano = judge_spend_cap_nano(await self.neighbours.project(actor, project_id))
        if checked.spec.spend_cap_nano > most_nano:
            message = f"{dollars(checked.spec.spend_cap_nano)} is above {dollars(most_nano)}"
            hint = "That is the project's judgeSpendCapUsd: ask for less, or raise it."
            raise invalid(FieldError("spendCapUsd", message, hint))
        population = await read_population(self.analytics, actor.organization_id, record.id)
        rates = None
        if checked.cuts.allocation == "neyman":
            rates = await earlier_rates(
                self.records, self.calls, actor.organization_id, record.id, new_id(PREFIX), checked.cuts
            )
        found = estimate(checked, project_id, judge, population, rates, most_nano)
        if not sum(found.places.taken):
            detail = "No pair of this experiment is in the buckets that were asked for."
            raise conflict("no_pairs", detail, "See GET …/similarity-histogram for the scores that there are.")
        return found

    def _project(self, organization_id: str, project_id: str) -> Project:
        tenants = self.tenants()
        if tenants is None:
            raise unavailable("config_unavailable", "The config service has not been reached yet.")
        found = tenants.projects.get(project_id)
        if found is None or found.organization_id != organization_id:
            raise not_found("project", project_id)
        return found

    async def _one(self, request: pb.GetRequest | pb.CancelRequest) -> JudgeRun:
        return await self.records.get(request.actor.organization_id, request.experiment_id, request.id)

    async def _repeated(self, actor: replay.Actor, fingerprint: bytes) -> JudgeRun | None:
        if not actor.idempotency_key:
            return None
        earlier = await self.records.repeated(actor.organization_id, actor.key_id, actor.idempotency_key)
        if earlier is not None and earlier.request_hash != fingerprint:
            detail = "The Idempotency-Key was used for another request."
            raise conflict("idempotency_key_reused", detail, "Send a new key.")
        return earlier


def _refuse_unjudgeable(record: replay.ExperimentRecord) -> None:
    if record.spec.mode != "with_responses":
        detail = "The experiment replayed routing decisions only: there are no answers of its candidate to judge."
        raise conflict("no_responses", detail, "Create one with mode 'with_responses'.")
    if record.status != "completed":
        detail = f"The experiment is {record.status}: only the pairs of a completed one are judged."
        raise conflict("experiment_not_completed", detail, "Wait until its status is 'completed'.")
