"""Read the rows of experiments: pages in the order asked for, and how alike the answers are."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.resources import files
from typing import Literal, cast, get_args

from modelux_store.analytics import Analytics
from modelux_store.logs import InvalidCursor

Sort = Literal[
    "similarity_asc", "similarity_desc", "cost_delta_asc", "cost_delta_desc", "timestamp_asc", "timestamp_desc"
]
SORTS: tuple[Sort, ...] = get_args(Sort)
BUCKETS = 10
MAX_LIMIT = 1000
_LAST = 2**63 - 1
_TAG_BYTES = 16
_SIMILARITY = "reinterpretAsInt64(assumeNotNull(similarity))"
_COST_DELTA = "(assumeNotNull(candidate_cost_nano) - baseline_cost_nano)"
_KEYS: Mapping[Sort, str] = {
    # similarities are not below 0, so that their bits are in order
    "similarity_asc": f"if(isNull(similarity), {_LAST}, {_SIMILARITY})",
    "similarity_desc": f"if(isNull(similarity), {_LAST}, -{_SIMILARITY})",
    "cost_delta_asc": f"if(isNull(candidate_cost_nano), {_LAST}, {_COST_DELTA})",
    "cost_delta_desc": f"if(isNull(candidate_cost_nano), {_LAST}, -{_COST_DELTA})",
    "timestamp_asc": "toInt64(row)",
    "timestamp_desc": "-toInt64(row)",
}
"""What each order goes by, ascending; what has no value comes last."""


@dataclass(frozen=True, slots=True)
class RowFilter:
    """Which rows. None means any. Any bound of similarity leaves out rows without a score."""

    organization_id: str
    experiment_id: str
    candidate_status: str | None = None
    evidence: str | None = None
    candidate_model: str | None = None
    min_similarity: float | None = None
    max_similarity: float | None = None
    run: str | None = None

    def conditions(self) -> tuple[str, dict[str, object]]:
        """SQL of our own making with `{name:Type}` places, and the values for all places."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        values = {name: value for name, value in named.items() if value is not None}
        return "".join(f" AND {sql}" for name, sql in _CLAUSES.items() if name in values), values


_CLAUSES: Mapping[str, str] = {
    "candidate_status": "candidate_status = {candidate_status:String}",
    "evidence": "evidence = {evidence:String}",
    "candidate_model": "candidate_model = {candidate_model:String}",
    "min_similarity": "isNotNull(similarity) AND similarity >= {min_similarity:Float64}",
    "max_similarity": "isNotNull(similarity) AND similarity <= {max_similarity:Float64}",
    "run": "cluster = {run:String}",
}


@dataclass(frozen=True, slots=True)
class ReplayedSide:
    """One side of a row. Nano-USD and microseconds; None where it is not known."""

    model: str
    provider: str
    cost_nano: int | None
    latency_us: int | None
    ttft_us: int | None
    status: str
    error_code: str
    input_tokens: int
    output_tokens: int
    attempts: int


@dataclass(frozen=True, slots=True)
class ReplayedRow:
    """A replayed request. `row` is its place in the window; `trace` the candidate's, JSON."""

    row: int
    request_id: str
    started_at_us: int
    evidence: str
    baseline: ReplayedSide
    candidate: ReplayedSide
    candidate_cost_low_nano: int | None
    candidate_cost_high_nano: int | None
    similarity: float | None
    weight: float
    stratum: str
    cluster: str
    reproduced: bool | None
    trace: bytes
    candidate_request_id: str = ""
    """Of the candidate's call in the log; empty where it was not called."""
    repeat_request_id: str = ""
    """Of the logged model's second call."""
    repeat_status: str = ""
    repeat_similarity: float | None = None
    embedder: str = ""
    """What made the similarities."""


@dataclass(frozen=True, slots=True)
class RowPage:
    """Some rows, and the cursor for those after them; None where there are no more."""

    rows: tuple[ReplayedRow, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class LoggedAnswer:
    """What the log keeps of a request. Bodies and trace are empty where they were not kept."""

    request_id: str
    outcome: str
    trace: bytes = field(repr=False)
    request_body: bytes = field(repr=False)
    response_body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Scores:
    """Of all rows of an experiment. `mean` is None where none is scored."""

    rows: int
    scored: int
    agreeing: int
    mean: float | None
    buckets: tuple[int, ...]


class ExperimentRows:
    """The rows of experiments in one ClickHouse database. `cursor_key`: as for `Logs`."""

    def __init__(self, analytics: Analytics, cursor_key: bytes) -> None:
        self._analytics = analytics
        self._key = hashlib.sha256(b"modelux experiment cursor" + cursor_key).digest()

    async def page(self, wanted: RowFilter, sort: Sort, *, limit: int = 50, cursor: str | None = None) -> RowPage:
        """At most `limit` (1 to 1,000) rows, after those of the page that gave `cursor`.

        Raises:
            InvalidCursor: made up, changed, or of a list with another filter or order.
            Unavailable: ClickHouse cannot be read now.
        """
        limit = max(1, min(limit, MAX_LIMIT))
        conditions, values = wanted.conditions()
        if cursor:
            conditions += " AND (key, row) > ({after_key:Int64}, {after_row:UInt32})"
            values["after_key"], values["after_row"] = self._open(cursor, wanted, sort)
        query = _sql("experiment_rows").replace("/* key */", _KEYS[sort]).replace("/* conditions */", conditions)
        found = await self._analytics.rows(query, values | {"limit": limit + 1}, raw=("trace",))
        last = found[limit - 1] if len(found) > limit else None
        rows = tuple(_row(each) for each in found[:limit])
        return RowPage(rows, self._seal(last, wanted, sort) if last else None)

    async def answers(self, organization_id: str, request_ids: Sequence[str]) -> Mapping[str, LoggedAnswer]:
        """What was asked and answered, by request id; without what the log does not have. Raises `Unavailable`."""
        values = {"organization_id": organization_id, "request_ids": list(request_ids)}
        raw = ("trace", "request_body", "response_body")
        rows = await self._analytics.rows(_sql("logged_answers"), values, raw=raw)
        found = (LoggedAnswer(**row) for row in rows)  # type: ignore[arg-type]  # the query names exactly these columns
        return {each.request_id: each for each in found}

    async def scores(self, organization_id: str, experiment_id: str, threshold: float) -> Scores:
        """Raises `Unavailable`."""
        values = {"organization_id": organization_id, "experiment_id": experiment_id, "threshold": threshold}
        (row,) = await self._analytics.rows(_sql("experiment_scores"), values)
        scored = cast(int, row["scored"])
        mean = cast(float, row["total"]) / scored if scored else None
        counts = cast("Mapping[int, int]", row["buckets"])
        buckets = tuple(counts.get(bucket, 0) for bucket in range(BUCKETS))
        return Scores(cast(int, row["rows"]), scored, cast(int, row["agreeing"]), mean, buckets)

    def _seal(self, last: Mapping[str, object], wanted: RowFilter, sort: Sort) -> str:
        place = struct.pack(">qI", last["key"], last["row"])
        return base64.urlsafe_b64encode(self._tag(place, wanted, sort) + place).decode().rstrip("=")

    def _open(self, cursor: str, wanted: RowFilter, sort: Sort) -> tuple[int, int]:
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        tag, place = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if len(place) != 12 or not hmac.compare_digest(tag, self._tag(place, wanted, sort)):
            raise InvalidCursor
        key, row = struct.unpack(">qI", place)
        return key, row

    def _tag(self, place: bytes, wanted: RowFilter, sort: Sort) -> bytes:
        return hmac.digest(self._key, place + repr((wanted, sort)).encode(), "sha256")[:_TAG_BYTES]


def _row(values: Mapping[str, object]) -> ReplayedRow:
    own = {each.name: values[each.name] for each in fields(ReplayedRow) if each.name in values}
    sides = {name: _side(values, name) for name in ("baseline", "candidate")}
    return ReplayedRow(**own, **sides)  # type: ignore[arg-type]  # the query names exactly these columns


def _side(values: Mapping[str, object], side: str) -> ReplayedSide:
    return ReplayedSide(**{each.name: values[f"{side}_{each.name}"] for each in fields(ReplayedSide)})  # type: ignore[arg-type]  # as above


@cache
def _sql(name: str) -> str:
    return files("modelux_store").joinpath("sql", f"{name}.sql").read_text()
