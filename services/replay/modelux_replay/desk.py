"""What callers may do with experiments: estimate, create, look, cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

import grpc.aio

from modelux.replay.v1 import replay_pb2 as pb
from modelux_contracts.ids import new_id
from modelux_providers.catalog import Catalog
from modelux_replay import window
from modelux_replay.candidates import Candidate, read_candidate
from modelux_replay.configuration import read_configuration
from modelux_replay.experiments import (
    STATUSES,
    TRANSITIONS,
    Changed,
    Experiment,
    Experiments,
    New,
    completed_event,
)
from modelux_replay.problems import FieldError, conflict, invalid, not_built
from modelux_replay.spec import Checked, Limits, check
from modelux_replay.window import Window
from modelux_store.analytics import Analytics
from modelux_store.errors import AlreadyExists

DEFAULT_LIMIT, MOST = 50, 200
SUGGESTED_FLOOR_NANO = 50_000_000
AUTO_CANCEL_RATIO = 1.5
REASON = "Cancelled by a caller."


@dataclass(frozen=True, slots=True)
class Desk:
    """`most_rows`: of a larger window so many are drawn."""

    experiments: Experiments
    analytics: Analytics
    channel: grpc.aio.Channel
    catalog: Catalog
    limits: Limits
    most_rows: int
    now_us: Callable[[], int]

    async def preflight(self, request: pb.PreflightRequest) -> pb.PreflightResponse:
        """What a routing-only experiment would replay. Raises problems as `create`."""
        checked = check(request.spec, self.now_us(), self.limits, preflight=True)
        await self._candidate(request.actor, checked)
        _refuse_calls(checked)
        found = await window.count_rows(self.analytics, _window(request.actor, checked))
        rows = found.rows
        replayed = min(rows, self.most_rows)
        notes = ["Nothing is called, so nothing is spent: the decisions are replayed over what was logged."]
        if not rows:
            notes.append("No request of the log lies in this window and passes its filter.")
        if found.excluded:
            notes.append(f"{found.excluded:,} more are left out: the caller left, or nobody knows how they ended.")
        if rows > replayed:
            notes.append(f"The window holds {rows:,} requests; about {replayed:,} of them, drawn evenly, are replayed.")
        return pb.PreflightResponse(
            rows_in_window=rows,
            effective_sample_size=replayed,
            spend_cap_nano=self.limits.spend_cap_nano,
            suggested_spend_cap_nano=min(SUGGESTED_FLOOR_NANO, self.limits.spend_cap_nano),
            auto_cancel_ratio=AUTO_CANCEL_RATIO,
            notes=notes,
        )

    async def create(self, request: pb.CreateRequest) -> pb.CreateResponse:
        """Stores an experiment that will run at once. The same idempotency key and request answer alike.

        Raises problems: 422 for fields, 404 for the project, 409 for a key used otherwise, 501 for what is not built.
        """
        actor = request.actor
        bare = pb.CreateRequest(spec=request.spec)
        fingerprint = sha256(bare.SerializeToString(deterministic=True)).digest()
        if actor.idempotency_key:
            earlier = await self._repeated(actor, fingerprint)
            if earlier is not None:
                return pb.CreateResponse(experiment=earlier.record())
        now_us = self.now_us()
        checked = check(request.spec, now_us, self.limits)
        configuration, candidate = await self._candidate(actor, checked)
        _refuse_calls(checked)
        identifier = new_id("sim_", now_us // 1000)
        one = Experiment(
            id=identifier,
            organization_id=actor.organization_id,
            project_id=checked.spec.project_id,
            spec=checked.spec,
            candidate_reference=candidate.reference,
            policy=candidate.document.policy_json.decode(),
            configuration=configuration,
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
        try:
            made = await self.experiments.create(New(one, actor.idempotency_key or None))
        except AlreadyExists:
            again = await self._repeated(actor, fingerprint)
            assert again is not None, "a unique key is taken, yet nobody has it"
            made = again
        return pb.CreateResponse(experiment=made.record())

    async def get(self, request: pb.GetRequest) -> pb.GetResponse:
        one = await self.experiments.get(request.actor.organization_id, request.id)
        return pb.GetResponse(experiment=one.record(await self.experiments.promotions(one.id)))

    async def list(self, request: pb.ListRequest) -> pb.ListResponse:
        """The cursor is the id of the last row: ids of other organizations find nothing of theirs."""
        limit = request.limit or DEFAULT_LIMIT
        if not 1 <= limit <= MOST:
            hint = "Follow next_cursor for more."
            raise invalid([FieldError("limit", f"{limit} is not between 1 and {MOST}", hint)])
        if request.status and request.status not in STATUSES:
            hint = f"There are: {', '.join(STATUSES)}."
            raise invalid([FieldError("status", f"{request.status[:40]!r} is not one of them", hint)])
        if request.cursor and not (request.cursor.startswith("sim_") and len(request.cursor) == 30):
            hint = "Start again without a cursor, or pass next_cursor of the page before unchanged."
            fault = FieldError("cursor", "this cursor does not belong to this list", hint)
            raise invalid([fault], "invalid_cursor")
        rows = await self.experiments.page(
            request.actor.organization_id, request.project_id, request.status, after=request.cursor, limit=limit + 1
        )
        cursor = rows[limit - 1].id if len(rows) > limit else ""
        return pb.ListResponse(experiments=[row.record(whole=False) for row in rows[:limit]], next_cursor=cursor)

    async def cancel(self, request: pb.CancelRequest) -> pb.CancelResponse:
        """Ends it; a run stops between two batches. What has ended stays as it is."""
        while True:
            one = await self.experiments.get(request.actor.organization_id, request.id)
            if "cancelled" not in TRANSITIONS[one.status]:
                return pb.CancelResponse(experiment=one.record(await self.experiments.promotions(one.id)))
            now_us = self.now_us()
            event = completed_event(one, "cancelled", REASON, now_us)
            try:
                ended = await self.experiments.end(one, "cancelled", now_us, completed=event)
            except Changed:
                continue
            return pb.CancelResponse(experiment=ended.record())

    async def _candidate(self, actor: pb.Actor, checked: Checked) -> tuple[bytes, Candidate]:
        configuration = await read_configuration(self.channel, actor.organization_id, checked.spec.project_id)
        project = configuration.projects[0]
        if checked.spec.mode == "with_responses" and project.logging_mode == "metadata_only":
            detail = "The project logs metadata only, so there is no logged answer to compare with."
            raise conflict("metadata_only", detail, "Set its loggingMode to 'full', or use mode 'routing_only'.")
        candidate = read_candidate(checked.spec, configuration, self.catalog, self.now_us() // 1000)
        return configuration.SerializeToString(deterministic=True), candidate

    async def _repeated(self, actor: pb.Actor, fingerprint: bytes) -> Experiment | None:
        key = actor.idempotency_key
        earlier = await self.experiments.repeated(actor.organization_id, actor.key_id, key)
        if earlier is not None and earlier.request_hash != fingerprint:
            detail = "The Idempotency-Key was used for another request."
            raise conflict("idempotency_key_reused", detail, "Send a new key.")
        return earlier


def _refuse_calls(checked: Checked) -> None:
    if checked.spec.mode == "with_responses":
        detail = "This release cannot call the candidate yet: mode 'with_responses' is not built."
        raise not_built(detail, "Use mode 'routing_only', which replays decisions, costs and latencies.")


def _window(actor: pb.Actor, checked: Checked) -> Window:
    spec = checked.spec
    return Window(actor.organization_id, spec.project_id, checked.start_us, checked.end_us, spec.filter)


def _seed(checked: Checked, candidate: Candidate) -> int:
    """Equal experiments draw equal chances."""
    parts = (checked.spec.project_id, str(checked.start_us), str(checked.end_us))
    text = "\n".join(parts).encode() + candidate.document.policy_json
    return int.from_bytes(sha256(text).digest()[:7], "big")
