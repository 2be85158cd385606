"""Read of the log which requests can be asked again, the rows that were drawn of them, and their prompts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import cast

import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.called.drawing import POPULATION
from modelux_replay.plan import ROWS
from modelux_replay.statements import sql
from modelux_replay.window import Window, share_for
from modelux_store.analytics import Analytics
from modelux_store.prompts import prompt

MOST_POPULATION = 1_000_000
"""Of a larger window so many are drawn evenly before the sample is."""
AT_ONCE = 400
"""Ids of one query."""


async def count_askable(analytics: Analytics, window: Window) -> int:
    """How many requests can be asked again: chats whose bodies were kept. Raises `Unavailable`."""
    (row,) = await analytics.rows(_sql("count_askable"), window.parameters())
    return cast(int, row["rows"])


async def read_population(
    analytics: Analytics, window: Window, askable: int, tag: str, most: int = MOST_POPULATION
) -> bytes:
    """An Arrow stream of a table of `POPULATION`: about `most` rows, drawn evenly, where more are `askable`. `tag`
    names the one that strata are told apart by. Raises `Unavailable`.
    """
    part = replace(window, share_ppm=share_for(askable, most))
    return await analytics.arrow(_sql("population"), part.parameters() | {"stratum_tag": tag})


def population_of(stream: bytes) -> pa.Table:
    """The table in a stream of `read_population`."""
    return _table(stream, POPULATION)


async def read_drawn(analytics: Analytics, window: Window, drawn: pa.Table) -> AsyncIterator[pa.Table]:
    """The logged rows of a table of `DRAWN`, in its order, as tables of `ROWS`: without those that the log has let go
    of. Raises `Unavailable`.
    """
    query = sql("window", "rows").replace("/* conditions */", f"request_id IN {{ids:Array(String)}} AND {_CONDITIONS}")
    for part in _parts(drawn):
        rows = _table(await analytics.arrow(query, {**_bounds(window, part), "most_rows": 2 * len(part)}), ROWS)
        wanted = set(_places(part))
        # An id that was imported twice, with two moments, is two rows.
        yield rows.filter(pa.array([place in wanted for place in _places(rows)], pa.bool_()))


async def read_prompts(analytics: Analytics, window: Window, drawn: pa.Table) -> dict[str, str]:
    """The prompts of rows (columns `request_id` and `started_at`, in order of time) by request id; without those that
    have none. Raises `Unavailable`.
    """
    found: dict[str, str] = {}
    for part in _parts(drawn):
        found |= await analytics.fold(_sql("bodies"), _bounds(window, part), _prompts)
    return found


def _prompts(rows: Iterator[Sequence[object]]) -> dict[str, str]:
    """Bodies are let go of block by block."""
    told = ((cast(str, request_id), prompt(cast(str, body))) for request_id, body in rows)
    return {request_id: text for request_id, text in told if text}


def _places(rows: pa.Table) -> Iterator[tuple[str, int]]:
    moments = pc.cast(rows.column("started_at"), pa.int64())
    return zip(rows.column("request_id").to_pylist(), moments.to_pylist(), strict=True)


def _parts(rows: pa.Table) -> Iterator[pa.Table]:
    return (rows.slice(start, AT_ONCE) for start in range(0, len(rows), AT_ONCE))


def _bounds(window: Window, part: pa.Table) -> Mapping[str, object]:
    """The ids, and the stretch of time that they lie in: the log is stored by the hour."""
    moments = pc.cast(part.column("started_at"), pa.int64())
    bounds = {"start_us": moments[0].as_py(), "end_us": moments[-1].as_py() + 1, "share_ppm": 1_000_000}
    return window.parameters() | bounds | {"ids": part.column("request_id").to_pylist()}


_CONDITIONS = sql("window", "conditions")


def _sql(name: str) -> str:
    query = sql("population", name).replace("/* askable */", sql("population", "askable"))
    return query.replace("/* conditions */", _CONDITIONS)


def _table(stream: bytes, schema: pa.Schema) -> pa.Table:
    found = pa.ipc.open_stream(stream).read_all()
    columns = [pc.cast(found.column(each.name), each.type) for each in schema]
    return pa.Table.from_arrays(columns, schema=schema)
