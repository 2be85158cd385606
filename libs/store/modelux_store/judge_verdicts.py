"""Read what judges said of pairs: pages of a run, each pair with the replies of both orders."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cache
from importlib.resources import files
from typing import Literal, cast, get_args

from modelux_store.analytics import Analytics
from modelux_store.logs import InvalidCursor

PairVerdict = Literal["better", "equivalent", "worse", "parse_error", "steered", "failed", "interrupted"]
PAIR_VERDICTS: tuple[PairVerdict, ...] = get_args(PairVerdict)
MAX_LIMIT = 1000
_TAG_BYTES = 16


@dataclass(frozen=True, slots=True)
class VerdictFilter:
    """Which pairs. None means any. `replies`: of each pair, 1 or 2, as many orders as the run asks in: a pair that an
    early end left with fewer says nothing. `consistent`: whether both orders said the same.
    """

    organization_id: str
    experiment_id: str
    judge_run_id: str
    replies: int
    verdict: str | None = None
    bucket: str | None = None
    consistent: bool | None = None

    def conditions(self) -> tuple[str, dict[str, object]]:
        """SQL of our own making with `{name:Type}` places, and the values for all places."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        values = {name: value for name, value in named.items() if value is not None}
        return "".join(f" AND {sql}" for name, sql in _CLAUSES.items() if name in values), values


_CLAUSES: Mapping[str, str] = {
    "verdict": "pair_verdict = {verdict:String}",
    "bucket": "bucket = {bucket:String}",
    "consistent": "consistent = {consistent:Bool}",
}


@dataclass(frozen=True, slots=True)
class OrderReply:
    """What the judge said in one order."""

    presented: str
    verdict: str
    reason: str
    call_id: str
    cost_nano: int
    error: str


@dataclass(frozen=True, slots=True)
class VerdictRow:
    """A judged pair. `consistent` is None where it was not judged in both orders."""

    row: int
    request_id: str
    candidate_request_id: str
    bucket: str
    similarity: float
    pair_verdict: PairVerdict
    consistent: bool | None
    at_us: int
    replies: tuple[OrderReply, ...]


@dataclass(frozen=True, slots=True)
class VerdictPage:
    """Some pairs, and the cursor for those after them; None where there are no more."""

    rows: tuple[VerdictRow, ...]
    next_cursor: str | None


class JudgeVerdicts:
    """The verdicts in one ClickHouse database. `cursor_key`: as for `Logs`."""

    def __init__(self, analytics: Analytics, cursor_key: bytes) -> None:
        self._analytics = analytics
        self._key = hashlib.sha256(b"modelux verdict cursor" + cursor_key).digest()

    async def page(self, wanted: VerdictFilter, *, limit: int = 50, cursor: str | None = None) -> VerdictPage:
        """At most `limit` (1 to 1,000) pairs in order of their rows, after those of the page that gave `cursor`.

        Raises:
            InvalidCursor: made up, changed, or of a list with another filter.
            Unavailable: ClickHouse cannot be read now.
        """
        limit = max(1, min(limit, MAX_LIMIT))
        conditions, values = wanted.conditions()
        if cursor:
            conditions += " AND row > {after_row:UInt32}"
            values["after_row"] = self._open(cursor, wanted)
        query = _sql("judge_verdicts").replace("/* conditions */", conditions)
        found = await self._analytics.rows(query, values | {"limit": limit + 1})
        rows = tuple(_row(each) for each in found[:limit])
        return VerdictPage(rows, self._seal(rows[-1].row, wanted) if len(found) > limit else None)

    def _seal(self, row: int, wanted: VerdictFilter) -> str:
        place = struct.pack(">I", row)
        return base64.urlsafe_b64encode(self._tag(place, wanted) + place).decode().rstrip("=")

    def _open(self, cursor: str, wanted: VerdictFilter) -> int:
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        tag, place = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if len(place) != 4 or not hmac.compare_digest(tag, self._tag(place, wanted)):
            raise InvalidCursor
        (row,) = struct.unpack(">I", place)
        return cast(int, row)

    def _tag(self, place: bytes, wanted: VerdictFilter) -> bytes:
        return hmac.digest(self._key, place + repr(wanted).encode(), "sha256")[:_TAG_BYTES]


def _row(values: Mapping[str, object]) -> VerdictRow:
    replies = tuple(_reply(json.loads(each)) for each in cast("list[str]", values["replies"]))
    own = {each.name: values[each.name] for each in fields(VerdictRow) if each.name != "replies"}
    return VerdictRow(**own, replies=replies)  # type: ignore[arg-type]  # the query names exactly these columns


def _reply(values: Mapping[str, str]) -> OrderReply:
    return OrderReply(**{**values, "cost_nano": int(values["cost_nano"])})  # type: ignore[arg-type]  # as above


@cache
def _sql(name: str) -> str:
    return files("modelux_store").joinpath("sql", f"{name}.sql").read_text()
