"""What became of the calls of experiments, in PostgreSQL: each row and side once, the first that was told."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa

from modelux.events.v1.experiment_pb2 import ExperimentScore
from modelux_replay.pool import stream_of
from modelux_replay.statements import sql
from modelux_store.database import Database

SIDES = ("candidate", "baseline")
Place = tuple[int, str]
"""A row and its side."""


@dataclass(frozen=True, slots=True)
class Tally:
    """How far the calls of an experiment are. `answered`: candidates, those that failed too. `refused`: not made, as a
    cap forbade them.
    """

    known: int
    answered: int
    refused: int
    charged_nano: int


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every method is one transaction; raises `Unavailable`."""

    database: Database

    async def keep_draw(self, identifier: str, drawn: pa.Table) -> pa.Table:
        """Keeps a table of `DRAWN`, unless one was kept before; the one that is kept."""
        stream = stream_of(drawn, packed=True)
        async with self.database.transaction() as tx:
            await tx.execute(sql("pairs", "keep_draw"), {"id": identifier, "drawn": stream})
        found = await self.draw(identifier)
        return drawn if found is None else found

    async def draw(self, identifier: str) -> pa.Table | None:
        """The rows that were drawn; None where none are yet."""
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("pairs", "draw"), {"id": identifier})
        return pa.ipc.open_stream(cast(bytes, row["drawn"])).read_all() if row else None

    async def add(self, scores: Sequence[ExperimentScore]) -> None:
        """Keeps what came of some rows. What is known already stays as it is; what comes after its experiment's end is
        let go of.
        """
        pairs = [each.pair for each in scores]
        values = {
            "ids": [each.experiment_id for each in pairs],
            "rows": [each.row for each in pairs],
            "sides": [each.side for each in pairs],
            "outcomes": [each.outcome for each in pairs],
            "codes": [each.error_code for each in pairs],
            "charges": [each.charged_nano for each in pairs],
            "embedders": [each.embedder if each.HasField("similarity") else "" for each in scores],
            "scores": [each.SerializeToString() for each in scores],
        }
        async with self.database.transaction() as tx:
            await tx.execute(sql("pairs", "add"), values)

    async def tally(self, identifier: str) -> Tally:
        async with self.database.transaction() as tx:
            row = await tx.fetch_one(sql("pairs", "tally"), {"id": identifier})
        assert row is not None
        return Tally(**{name: cast(int, row[name]) for name in Tally.__dataclass_fields__})

    async def known(self, identifier: str) -> frozenset[Place]:
        """The rows and sides of which it is known what came of them."""
        async with self.database.transaction() as tx:
            rows: Iterable[dict[str, object]] = await tx.fetch_all(sql("pairs", "known"), {"id": identifier})
        return frozenset((cast(int, row["row"]), cast(str, row["side"])) for row in rows)

    async def scores(self, identifier: str, first_row: int, last_row: int) -> tuple[bytes, ...]:
        """What came of some rows, both ends included, as serialised `ExperimentScore`s."""
        values = {"id": identifier, "first_row": first_row, "last_row": last_row}
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("pairs", "scores"), values)
        return tuple(cast(bytes, row["score"]) for row in rows)

    async def embedders(self, identifier: str) -> tuple[str, ...]:
        """What made the similarities, most of them first."""
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("pairs", "embedders"), {"id": identifier})
        return tuple(cast(str, row["embedder"]) for row in rows)
