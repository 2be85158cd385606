"""Measure what became of promoted candidates, keep it beside what was projected, and report how well that did."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import pyarrow as pa

from experiment_core.intervals import Estimate, Interval
from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.learned.scorecard import FEWEST_REQUESTS, Card, Score, cards, checked, measured, projected, scores
from modelux_replay.promote import ARM
from modelux_replay.runs import Runs
from modelux_replay.statements import sql
from modelux_store.analytics import Analytics
from modelux_store.database import Database, Transaction

MOST_MEASURED = 50
"""Promotions that are looked at by one call."""
MOST_REQUESTS = 50_000
"""Of a version."""
MOST_SHOWN = 200

Row = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Measuring:
    """Answers for scorecards. A score is written once: the first measurement with enough requests counts."""

    database: Database
    analytics: Analytics
    now_us: Callable[[], int]

    @classmethod
    def of(cls, runs: Runs) -> Measuring:
        """By the stores and the clock that experiments run with."""
        return cls(runs.experiments.database, runs.analytics, runs.now_us)

    async def scorecard(self, request: pb.ScorecardRequest) -> pb.ScorecardResponse:
        """Of one project. Raises `Unavailable`."""
        wanted = {"organization_id": request.actor.organization_id, "project_id": request.project_id}
        async with self.database.transaction() as tx:
            due = await tx.fetch_all(sql("scorecard", "unmeasured"), wanted | {"most": MOST_MEASURED})
            for row in await tx.fetch_all(sql("scorecard", "unchecked"), wanted | {"most": MOST_MEASURED}):
                await self._check(tx, row)
        waiting = 0
        for row in due:
            waiting += not await self._measure(row, wanted)
        async with self.database.transaction() as tx:
            rows = await tx.fetch_all(sql("scorecard", "all"), wanted)
        found = [(_score(row), row) for row in rows]
        return pb.ScorecardResponse(
            metrics=[_card(each) for each in cards(score for score, _ in found)],
            entries=[_entry(score, row) for score, row in found[:MOST_SHOWN]],
            waiting=waiting,
        )

    async def _measure(self, row: Row, wanted: Mapping[str, str]) -> bool:
        """Whether there were requests enough."""
        values: dict[str, object] = {
            **wanted,
            "slug": row["slug"],
            "version": row["version"],
            "at_us": row["at_us"],
            "arm": ARM if row["mode"] == "ab_test" else "",
            "most": MOST_REQUESTS,
        }
        stream = await self.analytics.arrow(sql("scorecard", "requests"), values)
        requests = pa.ipc.open_stream(stream).read_all()
        if len(requests) < FEWEST_REQUESTS:
            return False
        said = projected(json.loads(cast(str, row["summary"])))
        names = ("experiment_id", "routing_config_id", "slug", "version")
        common = {name: row[name] for name in names} | {"source": "promotion", "requests": len(requests)}
        async with self.database.transaction() as tx:
            await self._add(tx, common, scores(said, measured(requests)))
        return True

    async def _check(self, tx: Transaction, row: Row) -> None:
        """An experiment's own calls of rows that it had projected."""
        rows, found = checked(json.loads(cast(str, row["summary"])))
        nothing = {"routing_config_id": "", "slug": "", "version": 0}
        common = nothing | {"experiment_id": row["id"], "source": "with_responses", "requests": rows}
        await self._add(tx, common, found)

    async def _add(self, tx: Transaction, common: Row, found: Sequence[Score]) -> None:
        for score in found:
            await tx.execute(sql("scorecard", "add"), {**common, **_values(score), "now_us": self.now_us()})


def _values(score: Score) -> dict[str, object]:
    found: dict[str, object] = {"metric": score.metric}
    for name in ("projected", "measured"):
        each: Estimate = getattr(score, name)
        found |= {name: each.value, f"{name}_lower": each.interval.lower, f"{name}_upper": each.interval.upper}
    return found


def _score(row: Row) -> Score:
    sides = {
        name: Estimate(
            cast(float, row[name]),
            Interval(cast("float | None", row[f"{name}_lower"]), cast("float | None", row[f"{name}_upper"])),
        )
        for name in ("projected", "measured")
    }
    return Score(cast(str, row["metric"]), **sides)


def _card(card: Card) -> pb.ScorecardMetric:
    return pb.ScorecardMetric(
        metric=card.metric,
        entries=card.entries,
        coverage=_told(card.coverage),
        median_error=card.median_error,
        too_high=_told(card.too_high),
        widen_by=card.widen_by,
    )


def _entry(score: Score, row: Row) -> pb.ScorecardEntry:
    names = ("experiment_id", "source", "slug", "version", "metric", "requests", "measured_at_us")
    return pb.ScorecardEntry(
        **{name: row[name] for name in names},  # type: ignore[arg-type]  # columns carry the names of the fields
        projected=_told(score.projected),
        measured=_told(score.measured),
        held=score.held,
    )


def _told(found: Estimate) -> pb.Estimate:
    return pb.Estimate(value=found.value, lower=found.interval.lower, upper=found.interval.upper)
