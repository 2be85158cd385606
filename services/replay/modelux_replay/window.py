"""Read the logged requests of a window, in order of time and in slices that fit in memory, and the calls they made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from modelux.replay.v1 import replay_pb2 as pb
from modelux_replay.plan import CALLS, ROWS
from modelux_replay.statements import sql
from modelux_store.analytics import Analytics

SLICE_ROWS = 20_000
MOST_CALLS = 200_000
"""Of a longer history an even draw is taken."""
BEFORE_US = 24 * 3600 * 1_000_000
"""How far before the window calls are evidence."""
_DRAWS = 1_000_000


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
    """The window cut at full minutes into parts of about `SLICE_ROWS` rows. Raises `Unavailable`."""
    found = await analytics.rows(_sql("rows_by_minute"), window.parameters())
    return list(slices([(_int(row["minute"]), _int(row["rows"])) for row in found], window))


def slices(minutes: Sequence[tuple[int, int]], window: Window) -> Iterator[Slice]:
    """The parts, given the minutes (since the epoch) that hold rows. Minutes without rows belong to a neighbour."""
    start_us, rows = window.start_us, 0
    for minute, count in minutes:
        if rows and rows + count > SLICE_ROWS:
            yield Slice(start_us, minute * 60_000_000, rows)
            start_us, rows = minute * 60_000_000, 0
        rows += count
    if rows:
        yield Slice(start_us, window.end_us, rows)


async def read_rows(analytics: Analytics, window: Window, part: Slice) -> pa.Table:
    """A table of `ROWS`. Raises `Unavailable`."""
    bounds = {"start_us": part.start_us, "end_us": part.end_us}
    stream = await analytics.arrow(_sql("rows"), window.parameters() | bounds)
    return _table(stream, ROWS)


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
