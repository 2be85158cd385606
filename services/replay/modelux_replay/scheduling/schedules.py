"""The records of schedules and of their due moments, in PostgreSQL."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import cast

from modelux.replay.v1 import schedule_pb2 as pb
from modelux_contracts.refusals import not_found
from modelux_replay.experiments import Changed, Experiments, New
from modelux_replay.statements import sql
from modelux_store.database import Database, Transaction

AHEAD_US = 300_000_000
"""Clocks of replicas differ by less; what was reckoned further ahead was reckoned before the clock was set back."""
MOST_AT_ONCE = 20

Row = Mapping[str, object]


class TooManySchedules(Exception):
    """The organization has as many as it may."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One row. Times in microseconds since the epoch, 0 where there is none."""

    id: str
    organization_id: str
    project_id: str
    spec: pb.ScheduleSpec
    revision: int
    created_at_us: int
    updated_at_us: int
    created_by: str
    next_at_us: int
    last_at_us: int
    last_error: str
    runs: int
    deleted_at_us: int
    request_hash: bytes | None = field(repr=False)

    def record(self, last: tuple[str, str] = ("", "")) -> pb.ScheduleRecord:
        """As the service answers; `last`: id and verdict of its last run that has ended."""
        return pb.ScheduleRecord(
            id=self.id,
            organization_id=self.organization_id,
            spec=self.spec,
            created_at_us=self.created_at_us,
            updated_at_us=self.updated_at_us,
            created_by=self.created_by,
            next_at_us=self.next_at_us,
            last_at_us=self.last_at_us,
            last_experiment_id=last[0],
            last_verdict=last[1],
            last_error=self.last_error,
            runs=self.runs,
        )


@dataclass(frozen=True, slots=True)
class Firing:
    """A due moment, and the experiment that it leads to; None where none can be made, then with the reason."""

    due_at_us: int
    new: New | None
    error: str = ""


@dataclass(frozen=True, slots=True)
class Schedules:
    """All reads and writes of schedules. Every method is one transaction; raises `Unavailable`."""

    database: Database

    async def create(self, new: Schedule, idempotency_key: str, most: int) -> None:
        """Raises `AlreadyExists` for a used idempotency key, `TooManySchedules` beyond `most` of the organization."""
        async with self.database.transaction() as tx:
            await tx.fetch_one(sql("schedules", "lock_organization"), {"organization_id": new.organization_id})
            row = await tx.fetch_one(sql("schedules", "count"), {"organization_id": new.organization_id})
            if cast(int, cast(Row, row)["count"]) >= most:
                raise TooManySchedules
            names = ("id", "organization_id", "project_id", "created_by", "next_at_us", "request_hash")
            values = {name: getattr(new, name) for name in names}
            values |= {"spec": new.spec.SerializeToString(), "now_us": new.created_at_us}
            await tx.execute(sql("schedules", "insert"), values | {"idempotency_key": idempotency_key or None})

    async def repeated(self, organization_id: str, created_by: str, key: str) -> Schedule | None:
        """What a request with this idempotency key created before."""
        wanted = {"organization_id": organization_id, "created_by": created_by, "idempotency_key": key}
        return await self._one("by_idempotency_key", wanted)

    async def get(self, organization_id: str, identifier: str) -> Schedule:
        """Raises a 404 problem where the organization has none of that id."""
        found = await self._one("get", {"organization_id": organization_id, "id": identifier})
        if found is None:
            raise not_found("schedule", identifier)
        return found

    async def page(self, organization_id: str, project_id: str, *, after: str, limit: int) -> list[Schedule]:
        """Newest first, those older than the id `after`."""
        wanted = {"organization_id": organization_id, "project_id": project_id, "after": after, "limit": limit}
        async with self.database.transaction() as tx:
            return [_schedule(row) for row in await tx.fetch_all(sql("schedules", "list"), wanted)]

    async def last_runs(self, identifiers: Sequence[str]) -> dict[str, tuple[str, str]]:
        """By schedule: id and verdict of its last run that has ended."""
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("schedules", "last_of"), {"ids": list(identifiers)})
        return {cast(str, row["schedule_id"]): (cast(str, row["id"]), cast(str, row["verdict"])) for row in rows}

    async def update(self, one: Schedule, spec: pb.ScheduleSpec, next_at_us: int, now_us: int) -> Schedule:
        """Raises `Changed` where it is no longer the one that was read."""
        values = {"id": one.id, "revision": one.revision, "next_at_us": next_at_us, "now_us": now_us}
        found = await self._one("update", values | {"spec": spec.SerializeToString()})
        if found is None:
            raise Changed
        return found

    async def delete(self, one: Schedule, now_us: int) -> None:
        async with self.database.transaction() as tx:
            await tx.execute(sql("schedules", "delete"), {"id": one.id, "now_us": now_us})

    async def due(self, now_us: int) -> list[Schedule]:
        """Some of those to be fired, or whose next moment is to be reckoned anew."""
        values = {"now_us": now_us, "ahead_us": AHEAD_US, "limit": MOST_AT_ONCE}
        async with self.database.transaction() as tx:
            return [_schedule(row) for row in await tx.fetch_all(sql("schedules", "due"), values)]

    async def reckon(self, one: Schedule, next_at_us: int, now_us: int) -> None:
        """Waits for another moment, unless somebody has changed it meanwhile."""
        async with self.database.transaction() as tx:
            await _reckon(tx, one, next_at_us, now_us)

    async def fire(
        self, one: Schedule, firing: Firing, next_at_us: int, now_us: int, experiments: Experiments, most_at_work: int
    ) -> bool:
        """Claims a due moment and creates its experiment with the command to run it, all or nothing.

        False where that moment was dealt with before; then only the next one is kept. Raises `Changed` where the
        schedule is no longer the one that was read, `AlreadyExists` and `TooManyAtWork` as `Experiments.create`.
        """
        new = firing.new
        made = {"experiment_id": new.experiment.id if new else "", "error": firing.error}
        values = {"id": one.id, "due_at_us": firing.due_at_us, "now_us": now_us, **made}
        async with self.database.transaction() as tx:
            claimed = await tx.fetch_one(sql("schedules", "claim"), values)
            await _reckon(tx, one, next_at_us, now_us)
            if claimed is None:
                return False
            values |= {"revision": one.revision, "made": 1 if new else 0}
            row = await tx.fetch_one(sql("schedules", "fired"), values)
            if row is None:
                raise Changed
            if new is not None:
                look = cast(int, row["runs"])
                owned = replace(new, experiment=replace(new.experiment, schedule_id=one.id, look=look))
                await experiments.put(tx, owned, most_at_work)
        return True

    async def _one(self, name: str, values: Mapping[str, object]) -> Schedule | None:
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("schedules", name), values)
        return _schedule(row) if row else None


async def _reckon(tx: Transaction, one: Schedule, next_at_us: int, now_us: int) -> None:
    values = {"id": one.id, "revision": one.revision, "was_at_us": one.next_at_us}
    await tx.fetch_one(sql("schedules", "reckon"), values | {"next_at_us": next_at_us, "now_us": now_us})


def _schedule(row: Row) -> Schedule:
    values = {name: row[name] for name in Schedule.__dataclass_fields__}
    spec = pb.ScheduleSpec.FromString(cast(bytes, row["spec"]))
    return Schedule(**{**values, "spec": spec})  # type: ignore[arg-type]  # columns carry the names of the fields
