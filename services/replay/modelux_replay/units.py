"""The units of work of shared runs, in PostgreSQL: whoever claims one does it, and keeps what came of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from typing import cast

from modelux_replay.experiments import SILENT_US, Experiment
from modelux_replay.pool import Done
from modelux_replay.statements import sql
from modelux_replay.window import Slice
from modelux_store.database import Database

Row = dict[str, object]


@dataclass(frozen=True, slots=True)
class Shared:
    """A run that others may take part in, and what all its units know: see `pool.Unit`."""

    id: str
    epoch: int
    share_ppm: int
    weight: float
    ordered: bool

    @property
    def key(self) -> dict[str, object]:
        """For the places of statements."""
        return {"id": self.id, "epoch": self.epoch}


@dataclass(frozen=True, slots=True)
class Claimed:
    """A unit: its number in the window's order, its slice, and the place of its first row."""

    unit: int
    part: Slice
    first_row: int


@dataclass(frozen=True, slots=True)
class Finished:
    """What is kept of a unit: see `pool.Done`."""

    claimed: Claimed
    rows: int
    summary: bytes = field(repr=False)
    left: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Units:
    """Every method is one transaction; raises `Unavailable`."""

    database: Database

    async def put(self, shared: Shared, parts: Sequence[Slice]) -> bool:
        """Keeps the units of a run, in place of earlier runs of its experiment. False where it was taken over."""
        known = {"share_ppm": shared.share_ppm, "weight": shared.weight, "ordered": shared.ordered}
        units = {
            "units": list(range(len(parts))),
            "starts": [part.start_us for part in parts],
            "ends": [part.end_us for part in parts],
            "rows": [part.rows for part in parts],
            "first_rows": list(accumulate((part.rows for part in parts[:-1]), initial=0)),
        }
        async with self.database.transaction() as tx:
            if await tx.fetch_one(sql("units", "put"), shared.key | known) is None:
                return False
            await tx.execute(sql("units", "put_units"), shared.key | units)
            await tx.execute(sql("units", "clear_earlier"), shared.key)
        return True

    async def invite(self, shared: Shared, plan: bytes) -> None:
        """Lets others take part in a run, with its plan as `pool.packed` makes it."""
        async with self.database.transaction() as tx:
            await tx.execute(sql("units", "put_plan"), shared.key | {"plan": plan})

    async def waiting(self, now_us: int) -> str | None:
        """The oldest experiment whose run has units for somebody, and a process that runs it."""
        row = await self._one("waiting", {"silent_before_us": now_us - SILENT_US})
        return cast(str, row["experiment_id"]) if row else None

    async def shared(self, one: Experiment) -> tuple[Shared, bytes] | None:
        """The run of an experiment, as it was read, and its plan; None where others are not invited, or it is over."""
        row = await self._one("shared", {"id": one.id, "epoch": one.epoch})
        if row is None:
            return None
        plan = cast(bytes, row.pop("plan"))
        return Shared(one.id, one.epoch, **row), plan  # type: ignore[arg-type]  # columns are the fields

    async def claim(self, shared: Shared, owner: str, now_us: int) -> Claimed | None:
        """The first unit that nobody does, or whose owner fell silent; None: there is none, or the run is over."""
        moment = {"owner": owner, "now_us": now_us, "silent_before_us": now_us - SILENT_US}
        row = await self._one("claim", shared.key | moment)
        return _claimed(row) if row else None

    async def alive(self, shared: Shared, owner: str, now_us: int) -> bool:
        """A sign of life for all that an owner has claimed. False where the run is over: stop."""
        async with self.database.transaction() as tx:
            await tx.execute(sql("units", "alive"), shared.key | {"owner": owner, "now_us": now_us})
            return await tx.fetch_one(sql("units", "goes_on"), shared.key) is not None

    async def finish(self, shared: Shared, owner: str, unit: int, done: Done) -> bool:
        """Keeps what came of a unit. False where somebody else has claimed it since, or the run is over."""
        kept = {"rows_done": done.rows, "summary": done.summary, "left_rows": done.left}
        return await self._one("finish", shared.key | kept | {"owner": owner, "unit": unit}) is not None

    async def finished(self, shared: Shared, unit: int) -> Finished | None:
        """What came of a unit; None before it is done."""
        row = await self._one("finished", shared.key | {"unit": unit})
        if row is None:
            return None
        rows, summary, left = row["rows_done"], row["summary"], row["left_rows"]
        return Finished(_claimed(row), cast(int, rows), cast(bytes, summary), cast(bytes, left))

    async def _one(self, name: str, values: dict[str, object]) -> Row | None:
        async with self.database.transaction() as tx:
            return await tx.fetch_one(sql("units", name), values)


def _claimed(row: Row) -> Claimed:
    unit, start_us, end_us, rows, first_row = (cast(int, row[name]) for name in _PLACE)
    return Claimed(unit, Slice(start_us, end_us, rows), first_row)


_PLACE = ("unit", "start_us", "end_us", "rows", "first_row")
