"""Read which answers of an experiment differ most, and which of its rows replay given requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

from modelux_store.analytics import Analytics


@dataclass(frozen=True, slots=True)
class AnswerPair:
    """A replayed request with how alike its two answers are; None where they were not compared."""

    row: int
    request_id: str
    started_at_us: int
    similarity: float | None
    cost_delta_nano: int | None
    """Candidate less baseline; None where one is not known."""


@dataclass(frozen=True, slots=True)
class Divergent:
    """The pairs below a threshold: how many of how many scored ones, and the least alike of them."""

    scored: int
    below: int
    pairs: tuple[AnswerPair, ...]


class ExperimentPairs:
    """The pairs of answers in one ClickHouse database. Each method raises `Unavailable`."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def at(self, organization_id: str, experiment_id: str, row: int) -> AnswerPair | None:
        """The pair of one row."""
        found = await self._pairs(organization_id, experiment_id, "row = {row:UInt32}", {"row": row})
        return found[0] if found else None

    async def of(
        self, organization_id: str, experiment_id: str, request_ids: Sequence[str]
    ) -> Mapping[str, AnswerPair]:
        """The pairs of some requests, by request id, those that the experiment replayed."""
        values = {"request_ids": list(request_ids)}
        found = await self._pairs(organization_id, experiment_id, "request_id IN {request_ids:Array(String)}", values)
        return {each.request_id: each for each in found}

    async def below(self, organization_id: str, experiment_id: str, threshold: float, most: int) -> Divergent:
        """Pairs below a threshold, the `most` least alike ones."""
        where = {"organization_id": organization_id, "experiment_id": experiment_id, "threshold": threshold}
        (counts,) = await self._analytics.rows(_sql("divergent_count"), where)
        condition = "isNotNull(similarity) AND similarity < {threshold:Float64}"
        pairs = await self._pairs(organization_id, experiment_id, condition, {"threshold": threshold}, most)
        return Divergent(cast(int, counts["scored"]), cast(int, counts["below"]), tuple(pairs))

    async def _pairs(
        self, organization_id: str, experiment_id: str, condition: str, values: Mapping[str, object], most: int = 1000
    ) -> list[AnswerPair]:
        sql = _sql("experiment_pairs").replace("/* condition */", condition)
        own = {"organization_id": organization_id, "experiment_id": experiment_id, "most": most}
        rows = await self._analytics.rows(sql, {**own, **values})
        return [AnswerPair(**row) for row in rows]  # type: ignore[arg-type]  # the query names exactly these columns


@cache
def _sql(name: str) -> str:
    return files("modelux_store").joinpath("sql", f"{name}.sql").read_text()
