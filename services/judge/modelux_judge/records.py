"""The records of judge runs and the states they go through, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, cast, get_args

from modelux.events.v1.judge_pb2 import JudgeCommand, JudgeCompleted
from modelux.judge.v1 import judge_pb2 as pb
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.refusals import not_found
from modelux_contracts.topics import JUDGE_COMMANDS, JUDGE_COMPLETED
from modelux_judge.statements import sql
from modelux_store import outbox
from modelux_store.database import Database

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
"""A new run that nobody took up by then is looked for: its command may be queued behind long runs."""
PREFIX = "jr_"

Row = Mapping[str, object]


class Changed(Exception):
    """Somebody else changed the run meanwhile: read it again."""


class TooManyAtWork(Exception):
    """The organization has as many runs that wait or run as it may."""


@dataclass(frozen=True, slots=True)
class JudgeRun:
    """One row. Times in microseconds since the epoch, 0 where there is none."""

    id: str
    organization_id: str
    project_id: str
    experiment_id: str
    spec: pb.JudgeSpec
    rubric_hash: str
    budget_id: str
    created_at_us: int
    created_by: str
    secret: bytes = field(repr=False)
    request_hash: bytes = field(repr=False)
    population: str = ""
    drawn: bool = False
    status: Status = "pending"
    status_reason: str = ""
    stop_reason: str = ""
    revision: int = 1
    epoch: int = 0
    pairs_total: int = 0
    pairs_done: int = 0
    started_at_us: int = 0
    finished_at_us: int = 0
    spent_nano: int = 0
    summary: str = field(default="", repr=False)

    @property
    def ended(self) -> bool:
        return not TRANSITIONS[self.status]

    def record(self, *, whole: bool = True) -> pb.JudgeRecord:
        """As the service answers; a list leaves the summary out."""
        return pb.JudgeRecord(
            id=self.id,
            organization_id=self.organization_id,
            project_id=self.project_id,
            spec=self.spec,
            rubric_hash=self.rubric_hash,
            status=self.status,
            status_reason=self.status_reason or self.stop_reason,
            pairs_total=self.pairs_total,
            pairs_done=self.pairs_done,
            created_at_us=self.created_at_us,
            started_at_us=self.started_at_us,
            finished_at_us=self.finished_at_us,
            created_by=self.created_by,
            budget_id=self.budget_id,
            spent_nano=self.spent_nano,
            summary_json=self.summary.encode() if whole else b"",
        )


@dataclass(frozen=True, slots=True)
class JudgeRuns:
    """All reads and writes of runs. Every method is one transaction; raises `Unavailable`."""

    database: Database

    async def create(self, one: JudgeRun, idempotency_key: str | None, most_at_work: int) -> JudgeRun:
        """Stores it together with the command to run it.

        Raises `AlreadyExists` for a used idempotency key, `TooManyAtWork` where `most_at_work` of the organization wait
        or run.
        """
        organization = {"organization_id": one.organization_id}
        async with self.database.transaction() as tx:
            await tx.fetch_one(sql("runs", "lock_organization"), organization)
            row = await tx.fetch_one(sql("runs", "at_work"), organization)
            if row is not None and cast(int, row["count"]) >= most_at_work:
                raise TooManyAtWork
            values = {name: getattr(one, name) for name in _STORED}
            values |= {"spec": one.spec.SerializeToString(), "idempotency_key": idempotency_key}
            await tx.execute(sql("runs", "insert"), values)
            command = JudgeCommand(judge_run_id=one.id, kind="run")
            await outbox.append(tx, _message(JUDGE_COMMANDS.name, one.id, command, f"{one.id}.run"))
        return one

    async def repeated(self, organization_id: str, created_by: str, key: str) -> JudgeRun | None:
        """What a request with this idempotency key created before."""
        wanted = {"organization_id": organization_id, "created_by": created_by, "idempotency_key": key}
        return await self._one("by_idempotency_key", wanted)

    async def get(self, organization_id: str, experiment_id: str, identifier: str) -> JudgeRun:
        """Raises a 404 problem where the experiment has none of that id."""
        wanted = {"organization_id": organization_id, "experiment_id": experiment_id, "id": identifier}
        found = await self._one("get", wanted)
        if found is None:
            raise not_found("judge run", identifier)
        return found

    async def page(self, organization_id: str, experiment_id: str, *, after: str, limit: int) -> list[JudgeRun]:
        """Newest first, those older than the id `after`."""
        wanted = {"organization_id": organization_id, "experiment_id": experiment_id, "after": after, "limit": limit}
        return await self._all("list", wanted)

    async def earlier(self, organization_id: str, experiment_id: str, before: str) -> list[JudgeRun]:
        """Completed runs of an experiment that are older than the id `before`, newest first."""
        wanted = {"organization_id": organization_id, "experiment_id": experiment_id, "before": before}
        return await self._all("earlier", wanted)

    async def claim(self, identifier: str, now_us: int) -> JudgeRun | None:
        """Makes this process the one that runs it; None where another does or it has ended."""
        return await self._one("claim", {"id": identifier, "now_us": now_us, "silent_before_us": now_us - SILENT_US})

    async def find(self, identifier: str) -> JudgeRun:
        """One that exists, for whoever runs it."""
        found = await self._one("find", {"id": identifier})
        assert found is not None, "runs are never deleted"
        return found

    async def release(self, one: JudgeRun) -> None:
        """Another process may run it at once."""
        async with self.database.transaction() as tx:
            await tx.execute(sql("runs", "release"), {"id": one.id, "epoch": one.epoch})

    async def progress(self, one: JudgeRun, *, pairs_done: int, spent_nano: int, now_us: int) -> str | None:
        """A sign of life. Why the run is to stop, "" where it is not; None where it is no longer this process's."""
        values = {"id": one.id, "epoch": one.epoch, "now_us": now_us}
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(
                sql("runs", "progress"), values | {"pairs_done": pairs_done, "spent_nano": spent_nano}
            )
        return cast(str, row["stop_reason"]) if row else None

    async def stop(self, identifier: str, reason: str) -> JudgeRun | None:
        """No further call may begin; None where it does not run, or was stopped before."""
        return await self._one("stop", {"id": identifier, "reason": reason})

    async def end(
        self,
        one: JudgeRun,
        status: Status,
        now_us: int,
        *,
        completed: JudgeCompleted,
        summary: str = "",
        pairs_done: int = 0,
    ) -> JudgeRun:
        """Ends it together with the event that says so, for the reason that the event names.

        Raises `Changed` where the record is no longer the one that was read. A status that does not lead there is a
        programming error.
        """
        assert status in TRANSITIONS[one.status], f"{one.status} does not lead to {status}"
        values: dict[str, object] = {"id": one.id, "revision": one.revision, "status": status, "summary": summary}
        values |= {"reason": completed.reason, "finished_at_us": now_us, "spent_nano": completed.spent_nano}
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("runs", "transition"), values | {"pairs_done": pairs_done})
            if row is None:
                raise Changed
            message = _message(JUDGE_COMPLETED.name, one.organization_id, completed, f"{one.id}.completed")
            await outbox.append(tx, message)
        return run_of(row)

    async def open_caps(self) -> list[JudgeRun]:
        """Some of those that have ended and whose cap is still open."""
        return await self._all("open_caps", {})

    async def cap_closed(self, identifier: str) -> None:
        async with self.database.transaction() as tx:
            await tx.execute(sql("runs", "cap_closed"), {"id": identifier})

    async def waiting(self, now_us: int) -> list[str]:
        """Ids of what nobody runs, oldest first."""
        values = {"pending_before_us": now_us - LOST_US, "silent_before_us": now_us - SILENT_US}
        async with self.database.transaction() as tx:
            return [cast(str, row["id"]) for row in await tx.fetch_all(sql("runs", "waiting"), values)]

    async def _one(self, name: str, values: Mapping[str, object]) -> JudgeRun | None:
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("runs", name), values)
        return run_of(row) if row else None

    async def _all(self, name: str, values: Mapping[str, object]) -> list[JudgeRun]:
        async with self.database.transaction() as tx:
            return [run_of(row) for row in await tx.fetch_all(sql("runs", name), values)]


def completed_event(one: JudgeRun, status: Status, reason: str, now_us: int) -> JudgeCompleted:
    """What is said of every end; the numbers of a judged sample come on top."""
    return JudgeCompleted(
        judge_run_id=one.id,
        experiment_id=one.experiment_id,
        organization_id=one.organization_id,
        project_id=one.project_id,
        status=status,
        reason=reason,
        at_us=now_us,
    )


_STORED = (
    "id",
    "organization_id",
    "project_id",
    "experiment_id",
    "rubric_hash",
    "pairs_total",
    "created_at_us",
    "created_by",
    "budget_id",
    "secret",
    "request_hash",
)


def run_of(row: Row) -> JudgeRun:
    values = {name: row[name] for name in JudgeRun.__dataclass_fields__}
    spec = pb.JudgeSpec.FromString(cast(bytes, row["spec"]))
    return JudgeRun(**{**values, "spec": spec})  # type: ignore[arg-type]  # columns carry the names of the fields


def _message(topic: str, key: str, event: JudgeCommand | JudgeCompleted, identity: str) -> Message:
    return Message(topic, key.encode(), codec.encode(event), identity, codec.headers(topic))
