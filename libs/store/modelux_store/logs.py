"""Read the request log: pages of requests, newest first, and one request with all that is known of it."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TypeVar, cast

from modelux_store.analytics import Analytics
from modelux_store.log_filter import LogFilter
from modelux_store.log_rows import LogAttempt, LogPage, LogRecord, LogRow
from modelux_store.logged_usage import LogRange, Used, attempt_count, logged_usage
from modelux_store.spending import Logged, Spending, logged_spend
from routing_core.errors import ModeluxError

T = TypeVar("T")

MAX_LIMIT = 1000
_WIDTHS_US = (3_600_000_000, 86_400_000_000, 14 * 86_400_000_000)
"""How far back a page is looked for before the whole log is: the newest rows are nearly always near."""
_AFTER = "(started_at, request_id) < (fromUnixTimestamp64Micro({after_us:Int64}, 'UTC'), {after_id:String})"
_SINCE = "started_at >= fromUnixTimestamp64Micro({since_us:Int64}, 'UTC')"
_TAG_BYTES = 16


class InvalidCursor(ModeluxError):
    """The cursor is not one that we gave out for this very list."""

    def __init__(self) -> None:
        super().__init__(
            "cursor_invalid", "the cursor does not belong to this list", hint="Start again without a cursor."
        )


class Logs:
    """The log of one ClickHouse database.

    Args:
        cursor_key: Secret that signs cursors; the same in every process that serves them.
        now_us: Wall clock, microseconds since the epoch.
    """

    def __init__(
        self, analytics: Analytics, cursor_key: bytes, now_us: Callable[[], int] = lambda: time.time_ns() // 1000
    ) -> None:
        self._analytics = analytics
        self._key = hashlib.sha256(b"modelux log cursor" + cursor_key).digest()
        self._now_us = now_us

    async def page(self, wanted: LogFilter, *, limit: int = 50, cursor: str | None = None) -> LogPage:
        """At most `limit` (1 to 1,000) rows, after those of the page that gave `cursor`.

        Raises:
            InvalidCursor: made up, changed, or of a list with another filter.
            Unavailable: ClickHouse cannot be read now.
        """
        limit = max(1, min(limit, MAX_LIMIT))
        after = self._open(cursor, wanted) if cursor else None
        found: list[dict[str, object]] = []
        for since_us in self._starts(wanted, after):
            found = await self._find(wanted, after, since_us, limit + 1)
            if len(found) > limit:
                break
        rows = tuple(_row(each) for each in found[:limit])
        return LogPage(rows, self._seal(rows[-1], wanted) if len(found) > limit else None)

    async def get(self, organization_id: str, request_id: str) -> LogRecord | None:
        """One request of an organization, or None. Raises `Unavailable`."""
        key = {"organization_id": organization_id, "request_id": request_id}
        raw = ("trace", "request_body", "response_body")
        rows = await self._analytics.rows(_sql("log_record"), key, raw=raw)
        if not rows:
            return None
        trace, request_body, response_body = (cast(bytes, rows[0].pop(name)) for name in raw)
        row = _row(rows[0])
        place = {"project_id": row.project_id, "request_id": request_id, "started_at_us": row.started_at_us}
        attempts = await self._analytics.rows(_sql("log_attempts"), place)
        return LogRecord(row, trace, request_body, response_body, tuple(_attempt(each) for each in attempts))

    async def spent(self, wanted: Spending) -> Mapping[str, Logged]:
        """What one window of a budget cost by the log, per value. Raises `Unavailable`."""
        return await logged_spend(self._analytics, wanted)

    async def attempt_count(self, wanted: LogRange) -> int:
        """See `logged_usage.attempt_count`."""
        return await attempt_count(self._analytics, wanted)

    async def used(self, wanted: LogRange, moments_ms: Sequence[int], work: Callable[[Iterator[Used]], T]) -> T:
        """See `logged_usage.logged_usage`."""
        return await logged_usage(self._analytics, wanted, moments_ms, work)

    def _starts(self, wanted: LogFilter, after: tuple[int, str] | None) -> Iterator[int | None]:
        """Ever earlier moments to look from, and at last none but the filter's own."""
        latest_us = min(each for each in (after and after[0], wanted.end_us, self._now_us()) if each is not None)
        for width_us in _WIDTHS_US:
            if wanted.start_us is None or latest_us - width_us > wanted.start_us:
                yield latest_us - width_us
        yield None

    async def _find(
        self, wanted: LogFilter, after: tuple[int, str] | None, since_us: int | None, limit: int
    ) -> list[dict[str, object]]:
        conditions, values = wanted.conditions()
        values["limit"] = limit
        if after is not None:
            conditions += f" AND {_AFTER}"
            values |= {"after_us": after[0], "after_id": after[1]}
        if since_us is not None:
            conditions += f" AND {_SINCE}"
            values["since_us"] = since_us
        return await self._analytics.rows(_sql("log_page").replace("/* conditions */", conditions), values)

    def _seal(self, last: LogRow, wanted: LogFilter) -> str:
        place = struct.pack(">q", last.started_at_us) + last.request_id.encode()
        return base64.urlsafe_b64encode(self._tag(place, wanted) + place).decode().rstrip("=")

    def _open(self, cursor: str, wanted: LogFilter) -> tuple[int, str]:
        try:
            sealed = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        except (binascii.Error, ValueError) as error:
            raise InvalidCursor from error
        tag, place = sealed[:_TAG_BYTES], sealed[_TAG_BYTES:]
        if len(place) < 8 or not hmac.compare_digest(tag, self._tag(place, wanted)):
            raise InvalidCursor
        (started_at_us,) = struct.unpack_from(">q", place)
        return started_at_us, place[8:].decode()

    def _tag(self, place: bytes, wanted: LogFilter) -> bytes:
        return hmac.digest(self._key, place + wanted.identity(), "sha256")[:_TAG_BYTES]


def _row(values: Mapping[str, object]) -> LogRow:
    return LogRow(**values)  # type: ignore[arg-type]  # the query names exactly these columns


def _attempt(values: Mapping[str, object]) -> LogAttempt:
    return LogAttempt(**values)  # type: ignore[arg-type]  # the query names exactly these columns


@cache
def _sql(name: str) -> str:
    return files("modelux_store").joinpath("sql", f"{name}.sql").read_text()
