"""The records of experiments and the states they go through, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from modelux.events.v1.experiment_pb2 import ExperimentCommand, ExperimentCompleted
from modelux.replay.v1 import replay_pb2 as pb
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.refusals import not_found
from modelux_contracts.topics import EXPERIMENT_COMMANDS, EXPERIMENT_COMPLETED
from modelux_replay.scheduling.alarms import alarm, want_judge
from modelux_replay.statements import sql
from modelux_replay.summary.criteria import Ended, conclude
from modelux_store import outbox
from modelux_store.database import Database, Transaction

Status = Literal["pending", "running", "completed", "failed", "cancelled"]
STATUSES: tuple[Status, ...] = get_args(Status)
TRANSITIONS: Mapping[Status, tuple[Status, ...]] = {
    "pending": ("running", "failed", "cancelled"),
    "running": ("completed", "failed", "cancelled"),
    "completed": (),
    "failed": (),
    "cancelled": (),
}
"""Where each status may lead. What has ended stays as it is."""
SILENT_US = 15_000_000
"""A run without a sign of life for so long has lost its process."""
LOST_US = 3_000_000
"""A new experiment that nobody took up by then is looked for: its command may be queued behind a long run."""

Row = Mapping[str, object]


class Changed(Exception):
    """Somebody else changed the experiment meanwhile: read it again."""


class TooManyAtWork(Exception):
    """The organization has as many experiments that wait or run as it may."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One row. Times in microseconds since the epoch, 0 where there is none."""

    id: str
    organization_id: str
    project_id: str
    spec: pb.ExperimentSpec
    candidate_reference: str
    policy: str = field(repr=False)
    configuration: bytes = field(repr=False)
    window_start_us: int
    window_end_us: int
    seed: int
    status: Status
    status_reason: str
    revision: int
    epoch: int
    rows_total: int
    rows_done: int
    created_at_us: int
    started_at_us: int
    finished_at_us: int
    created_by: str
    summary: str = field(repr=False)
    request_hash: bytes | None = field(repr=False)
    budget_id: str = ""
    """Of its spend cap; empty where it spends nothing."""
    spent_nano: int = 0
    stop_reason: str = ""
    """Why no further call may begin, while it still runs."""
    schedule_id: str = ""
    look: int = 0
    """Its place among the runs of its schedule, from 1."""
    verdict: str = ""
    verdict_facts: str = field(default="", repr=False)

    def record(self, promotions: tuple[pb.Promotion, ...] = (), *, whole: bool = True) -> pb.ExperimentRecord:
        """As the service answers; a list leaves the summary out."""
        return pb.ExperimentRecord(
            id=self.id,
            organization_id=self.organization_id,
            spec=self.spec,
            candidate_reference=self.candidate_reference,
            window_start_us=self.window_start_us,
            window_end_us=self.window_end_us,
            status=self.status,
            status_reason=self.status_reason or (self.stop_reason if self.status == "running" else ""),
            rows_total=self.rows_total,
            rows_done=self.rows_done,
            created_at_us=self.created_at_us,
            started_at_us=self.started_at_us,
            finished_at_us=self.finished_at_us,
            created_by=self.created_by,
            seed=self.seed,
            summary_json=self.summary.encode() if whole else b"",
            promotions=promotions,
            budget_id=self.budget_id,
            spent_nano=self.spent_nano,
            verdict_json=self.verdict_facts.encode(),
            schedule_id=self.schedule_id,
        )


@dataclass(frozen=True, slots=True)
class New:
    """What is stored of an experiment when it is created. `request_hash` tells equal requests."""

    experiment: Experiment
    idempotency_key: str | None


@dataclass(frozen=True, slots=True)
class Experiments:
    """All reads and writes of the schema. Every method is one transaction; raises `Unavailable`."""

    database: Database

    async def create(self, new: New, most_at_work: int) -> Experiment:
        """Stores it together with the command to run it.

        Raises `AlreadyExists` for a used idempotency key, `TooManyAtWork` where `most_at_work` of the organization wait
        or run.
        """
        async with self.database.transaction() as tx:
            await self.put(tx, new, most_at_work)
        return new.experiment

    async def put(self, tx: Transaction, new: New, most_at_work: int) -> None:
        """`create` within a transaction of the caller's."""
        one = new.experiment
        await tx.fetch_one(sql("experiments", "lock_organization"), {"organization_id": one.organization_id})
        if await _at_work(tx, one.organization_id) >= most_at_work:
            raise TooManyAtWork
        values = {name: getattr(one, name) for name in _STORED}
        values |= {"spec": one.spec.SerializeToString(), "now_us": one.created_at_us}
        await tx.execute(sql("experiments", "insert"), values | {"idempotency_key": new.idempotency_key})
        command = ExperimentCommand(experiment_id=one.id, kind="run")
        await outbox.append(tx, _message(EXPERIMENT_COMMANDS.name, one.id, command, f"{one.id}.run"))

    async def at_work(self, organization_id: str) -> int:
        """How many experiments of an organization wait or run."""
        async with self.database.transaction() as tx:
            return await _at_work(tx, organization_id)

    async def repeated(self, organization_id: str, created_by: str, key: str) -> Experiment | None:
        """What a request with this idempotency key created before."""
        wanted = {"organization_id": organization_id, "created_by": created_by, "idempotency_key": key}
        return await self._one("by_idempotency_key", wanted)

    async def get(self, organization_id: str, identifier: str) -> Experiment:
        """Raises a 404 problem where the organization has none of that id."""
        found = await self._one("get", {"organization_id": organization_id, "id": identifier})
        if found is None:
            raise not_found("experiment", identifier)
        return found

    async def page(
        self, organization_id: str, project_id: str, status: str, *, after: str, limit: int, schedule_id: str = ""
    ) -> list[Experiment]:
        """Newest first, those older than the id `after`."""
        wanted = {"organization_id": organization_id, "project_id": project_id, "status": status}
        wanted["schedule_id"] = schedule_id
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("experiments", "list"), wanted | {"after": after, "limit": limit})
        return [experiment_of(row) for row in rows]

    async def claim(self, identifier: str, now_us: int) -> Experiment | None:
        """Makes this process the one that runs it; None where another does or it has ended."""
        return await self._one("claim", {"id": identifier, "now_us": now_us, "silent_before_us": now_us - SILENT_US})

    async def find(self, identifier: str) -> Experiment | None:
        """One by its id alone, for whoever runs it."""
        return await self._one("find", {"id": identifier})

    async def progress(
        self, one: Experiment, *, rows_total: int, rows_done: int, now_us: int, spent_nano: int = 0
    ) -> bool:
        """A sign of life. False where the run was cancelled or another process has taken it over: stop."""
        values = {"id": one.id, "epoch": one.epoch, "now_us": now_us, "rows_total": rows_total, "rows_done": rows_done}
        values["spent_nano"] = spent_nano
        async with self.database.transaction() as tx:
            return await tx.fetch_one(sql("experiments", "progress"), values) is not None

    async def end(
        self, one: Experiment, status: Status, now_us: int, *, completed: ExperimentCompleted, summary: str = ""
    ) -> Experiment:
        """Ends it together with the event that says so, for the reason that the event names, and the verdict of its
        success criteria. Where its schedule's alarm rule says so, a regression is told too.

        Raises `Changed` where the record is no longer the one that was read. A status that does not lead there is a
        programming error.
        """
        assert status in TRANSITIONS[one.status], f"{one.status} does not lead to {status}"
        values: dict[str, object] = {"id": one.id, "revision": one.revision, "status": status}
        values |= {"reason": completed.reason, "finished_at_us": now_us, "summary": summary}
        said = conclude(one.spec.criteria_json, one.look, Ended(status, completed.reason, summary))
        completed.verdict, completed.schedule_id = said.verdict, one.schedule_id
        values |= {"verdict": said.verdict, "verdict_facts": said.facts_json}
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("experiments", "transition"), values)
            if row is None:
                raise Changed
            await tx.execute(sql("units", "clear"), {"id": one.id})
            message = _message(EXPERIMENT_COMPLETED.name, one.organization_id, completed, f"{one.id}.completed")
            await outbox.append(tx, message)
            await alarm(tx, completed, one.look, said)
            await want_judge(tx, completed, one.spec.criteria_json, said)
        return experiment_of(row)

    async def stop(self, identifier: str, reason: str) -> Experiment | None:
        """No further call may begin; None where it does not run, or was stopped before."""
        return await self._one("stop", {"id": identifier, "reason": reason})

    async def stop_reason(self, identifier: str, organization_id: str = "") -> str | None:
        """Why no further call of a running experiment may begin, "" where one may; None where it does not run."""
        values = {"id": identifier, "organization_id": organization_id}
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("experiments", "stop_reason"), values)
        return cast(str, row["stop_reason"]) if row else None

    async def open_caps(self) -> list[Experiment]:
        """Some of those that have ended and whose cap is still open."""
        async with self.database.transaction() as tx:
            return [experiment_of(row) for row in await tx.fetch_all(sql("experiments", "open_caps"))]

    async def cap_closed(self, identifier: str, spent_nano: int) -> None:
        """Keeps that the cap was closed and what was spent, and lets go of what the run kept for itself."""
        async with self.database.transaction() as tx:
            await tx.execute(sql("experiments", "cap_closed"), {"id": identifier, "spent_nano": spent_nano})
            await tx.execute(sql("pairs", "clear_pairs"), {"id": identifier})
            await tx.execute(sql("pairs", "clear_draw"), {"id": identifier})

    async def waiting(self, now_us: int) -> list[str]:
        """Ids of what nobody runs, oldest first."""
        values = {"pending_before_us": now_us - LOST_US, "silent_before_us": now_us - SILENT_US}
        async with self.database.transaction() as tx:
            return [cast(str, row["id"]) for row in await tx.fetch_all(sql("experiments", "waiting"), values)]

    async def promotions(self, identifier: str) -> tuple[pb.Promotion, ...]:
        async with self.database.transaction() as tx:
            return await _promotions(tx, identifier)

    async def promotion(self, identifier: str, wanted: pb.Promotion) -> pb.Promotion | None:
        """The same promotion as `wanted`, where it was made before."""
        values: dict[str, object] = {"id": identifier, "routing_config_id": wanted.routing_config_id}
        values |= {"mode": wanted.mode, "weight": wanted.weight}
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("experiments", "promotion"), values)
        return _promotion(row) if row else None

    async def promoted(self, identifier: str, made: pb.Promotion) -> tuple[pb.Promotion, ...]:
        """Keeps that it was promoted; all promotions there are then."""
        values: dict[str, object] = {"id": identifier, "now_us": made.at_us, "actor": made.actor, "slug": made.slug}
        values |= {"routing_config_id": made.routing_config_id, "version": made.version}
        async with self.database.transaction() as tx:
            await tx.execute(sql("experiments", "promoted"), values | {"mode": made.mode, "weight": made.weight})
            return await _promotions(tx, identifier)

    async def _one(self, name: str, values: Mapping[str, object]) -> Experiment | None:
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("experiments", name), values)
        return experiment_of(row) if row else None


def completed_event(one: Experiment, status: Status, reason: str, now_us: int) -> ExperimentCompleted:
    """What is said of every end; the numbers of a comparison come on top."""
    return ExperimentCompleted(
        experiment_id=one.id,
        organization_id=one.organization_id,
        project_id=one.project_id,
        name=one.spec.name,
        status=status,
        reason=reason,
        rows=one.rows_done,
        at_us=now_us,
    )


_STORED = (
    "id",
    "organization_id",
    "project_id",
    "candidate_reference",
    "policy",
    "configuration",
    "window_start_us",
    "window_end_us",
    "seed",
    "created_by",
    "request_hash",
    "budget_id",
    "schedule_id",
    "look",
)


async def _at_work(tx: Transaction, organization_id: str) -> int:
    row = await tx.fetch_one(sql("experiments", "at_work"), {"organization_id": organization_id})
    assert row is not None
    return cast(int, row["count"])


async def _promotions(tx: Transaction, identifier: str) -> tuple[pb.Promotion, ...]:
    rows = await tx.fetch_all(sql("experiments", "promotions"), {"id": identifier})
    return tuple(_promotion(row) for row in rows)


def _promotion(row: Row) -> pb.Promotion:
    names = [each.name for each in pb.Promotion.DESCRIPTOR.fields]
    return pb.Promotion(**{name: row[name] for name in names})  # type: ignore[arg-type]  # as below


def experiment_of(row: Row) -> Experiment:
    """A row of `replay.experiments`."""
    values = {name: row[name] for name in Experiment.__dataclass_fields__}
    spec = pb.ExperimentSpec.FromString(cast(bytes, row["spec"]))
    return Experiment(**{**values, "spec": spec})  # type: ignore[arg-type]  # columns carry the names of the fields


def _message(topic: str, key: str, event: ExperimentCommand | ExperimentCompleted, identity: str) -> Message:
    return Message(topic, key.encode(), codec.encode(event), identity, codec.headers(topic))
