"""Read the logged requests of a window, in order of time and in slices that fit in memory, and the calls they made."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.plan import CALLS, ROWS
from modelux_replay.statements import sql
from modelux_store.analytics import Analytics

SLICE_ROWS = 5_000
"""Fewer would have ClickHouse unpack the same granules again and again: one holds about so many rows, in order of hour
and request id.
"""
LARGE_SLICE_ROWS = 10_000
_SLICES = 16
"""A long window is cut into so many slices at least, so that workers end at about the same time."""
MOST_CALLS = 200_000
"""Of a longer history an even draw is taken."""
BEFORE_US = 24 * 3600 * 1_000_000
"""How far before the window calls are evidence."""
_DRAWS = 1_000_000
_HOUR_US, _MINUTE_US, _SHORTEST_US = 3_600_000_000, 60_000_000, 1_000


@dataclass(frozen=True, slots=True)
class Window:
    """Which requests are replayed. `share_ppm`: of how many in a million, drawn by their ids."""

    organization_id: str
    project_id: str
    start_us: int
    end_us: int
    filter: pb.Filter = field(default_factory=pb.Filter)
    share_ppm: int = _DRAWS

    def parameters(self) -> dict[str, object]:
        """For the places of this module's statements."""
        wanted = self.filter
        tags = sorted(wanted.tags.items())
        return {
            "organization_id": self.organization_id,
            "project_id": self.project_id,
            "start_us": self.start_us,
            "end_us": self.end_us,
            "model": wanted.model,
            "provider": wanted.provider,
            "end_user_id": wanted.end_user_id,
            "status": wanted.status,
            "config": wanted.config.removeprefix("@"),
            "tag_names": [name for name, _ in tags],
            "tag_values": [value for _, value in tags],
            "share_ppm": self.share_ppm,
        }


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of a window, from `start_us` to before `end_us`, with as many rows as were there when it was counted."""

    start_us: int
    end_us: int
    rows: int


@dataclass(frozen=True, slots=True)
class Count:
    """How many requests a window holds. `excluded`: more that cannot be compared, as the caller left or nobody knows
    how they ended.
    """

    rows: int
    excluded: int


async def count_rows(analytics: Analytics, window: Window) -> Count:
    """Raises `Unavailable`."""
    (row,) = await analytics.rows(_sql("count_rows"), window.parameters())
    return Count(_int(row["rows"]), _int(row["excluded"]))


async def read_slices(analytics: Analytics, window: Window) -> list[Slice]:
    """The window cut into parts of about `SLICE_ROWS` rows, larger ones where it has many, at full hours or minutes and
    finer where many came in one. Raises `Unavailable`.
    """
    buckets = await _buckets(analytics, window, _MINUTE_US)
    rows = sum(count for _, count in buckets)
    return list(slices(buckets, window, min(max(rows // _SLICES, SLICE_ROWS), LARGE_SLICE_ROWS)))


async def _buckets(analytics: Analytics, window: Window, bucket_us: int) -> list[tuple[int, int]]:
    """When each bucket of time that holds rows starts, and how many."""
    found = await analytics.rows(_sql("rows_by_bucket"), window.parameters() | {"bucket_us": bucket_us})
    buckets: list[tuple[int, int]] = []
    for row in found:
        start_us, rows = _int(row["bucket"]) * bucket_us, _int(row["rows"])
        if rows > SLICE_ROWS and bucket_us > _SHORTEST_US:
            inside = replace(
                window, start_us=max(start_us, window.start_us), end_us=min(start_us + bucket_us, window.end_us)
            )
            buckets += await _buckets(analytics, inside, max(bucket_us // 100, _SHORTEST_US))
        else:
            buckets.append((start_us, rows))
    return buckets


def slices(buckets: Sequence[tuple[int, int]], window: Window, most_rows: int = SLICE_ROWS) -> Iterator[Slice]:
    """The parts, given the rows of all buckets that hold some, by their start in microseconds since the epoch. Buckets
    without rows belong to a neighbour. A part ends at the last full hour that leaves it half full, since ClickHouse
    keeps the rows of an hour together.
    """
    start_us, rows = window.start_us, 0
    hour_us, before = start_us, 0
    for bucket_us, count in buckets:
        if bucket_us // _HOUR_US > hour_us // _HOUR_US:
            hour_us, before = bucket_us - bucket_us % _HOUR_US, rows
        while rows and rows + count > most_rows:
            end_us, inside = (hour_us, before) if 2 * before >= most_rows else (bucket_us, rows)
            yield Slice(start_us, end_us, inside)
            start_us, rows, before = end_us, rows - inside, 0
        rows += count
    if rows:
        yield Slice(start_us, window.end_us, rows)


async def read_rows(analytics: Analytics, window: Window, part: Slice) -> pa.Table:
    """A table of `ROWS`: no more than were counted, so that the rows of the next slice keep their places. Raises
    `Unavailable`.
    """
    bounds = {"start_us": part.start_us, "end_us": part.end_us, "most_rows": part.rows}
    stream = await analytics.arrow(_sql("rows"), window.parameters() | bounds)
    return _table(stream, ROWS)


_clients: dict[str, Analytics] = {}
"""Of a worker process, by URL."""


def rows_here(url: str, window: Window, part: Slice) -> pa.Table:
    """`read_rows` for a process of its own, without an event loop. Raises `Unavailable`."""
    client = _clients.get(url)
    if client is None:
        client = _clients[url] = Analytics(url)
    return asyncio.run(read_rows(client, window, part))


async def read_calls(analytics: Analytics, window: Window) -> pa.Table:
    """A table of `CALLS`: past attempts of the project, in the window and a day before. Raises `Unavailable`."""
    bounds: Mapping[str, object] = {
        "project_id": window.project_id,
        "start_us": window.start_us - BEFORE_US,
        "end_us": window.end_us,
    }
    (row,) = await analytics.rows(sql("window", "count_calls"), bounds)
    share = min(1.0, MOST_CALLS / max(_int(row["calls"]), 1))
    stream = await analytics.arrow(sql("window", "calls"), {**bounds, "share_ppm": round(share * _DRAWS)})
    return _table(stream, CALLS)


def share_for(rows: int, most: int) -> int:
    """Of how many rows in a million a window of `rows` is drawn, so that about `most` are."""
    return _DRAWS if rows <= most else max(1, most * _DRAWS // rows)


def _sql(name: str) -> str:
    return sql("window", name).replace("/* conditions */", sql("window", "conditions"))


def _table(stream: bytes, schema: pa.Schema) -> pa.Table:
    found = pa.ipc.open_stream(stream).read_all()
    columns = [pc.cast(found.column(each.name), each.type) for each in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def _int(value: object) -> int:
    assert isinstance(value, int)
    return value
