"""Read the requests of a split's two arms from the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.promote import ARM, CURRENT
from modelux_replay.rollout.guards import WINDOWS, Arm, Arms
from modelux_replay.statements import sql
from modelux_store.analytics import Analytics

MOST = 50_000
"""Requests of an arm that are looked at; of more so many are drawn: all would decide nothing else."""
MOST_NEWEST = WINDOWS[-1]
SHORTEST_US, LONGEST_US = 5_000_000, 600_000_000
"""How far back the newest requests are looked for."""
CLOCKS_US = 5_000_000
"""The clocks of proxies differ from ours by less: which requests are a step's is told by its version."""


@dataclass(frozen=True, slots=True)
class Split:
    """A version that splits the traffic, since when."""

    organization_id: str
    project_id: str
    slug: str
    version: int
    since_us: int


async def read_sample(analytics: Analytics, split: Split) -> Arms:
    """Requests of each arm that proxies served. Raises `Unavailable`."""
    return await _read(analytics, "sample", split, split.since_us, MOST)


async def read_newest(analytics: Analytics, split: Split, since_us: int) -> Arms:
    """The newest of them, if they began by then. Raises `Unavailable`."""
    return await _read(analytics, "newest", split, max(since_us, split.since_us), MOST_NEWEST)


def next_span_us(arm: Arm, now_us: int) -> int:
    """How far back to look for the newest requests of an arm next time: no farther than it takes, as every request in
    between is read.
    """
    if arm.requests < MOST_NEWEST:
        return LONGEST_US
    return min(max(2 * (now_us - int(arm.started_us[0])), SHORTEST_US), LONGEST_US)


async def _read(analytics: Analytics, name: str, split: Split, since_us: int, most: int) -> Arms:
    values: dict[str, object] = {
        "organization_id": split.organization_id,
        "project_id": split.project_id,
        "slug": split.slug,
        "version": split.version,
        "since_us": since_us - CLOCKS_US,
        "arms": [CURRENT, ARM],
        "most": most,
    }
    statement = sql("arms", name).replace("/* columns */", sql("arms", "columns"))
    stream = await analytics.arrow(statement, values)
    found = pa.ipc.open_stream(stream).read_all().sort_by("started_us")
    return Arms(*(_arm(found.filter(pc.equal(found.column("arm"), name))) for name in (CURRENT, ARM)))


def _arm(rows: pa.Table) -> Arm:
    started, latency, cost = (
        rows.column(name).to_numpy().astype(np.int64) for name in ("started_us", "latency_us", "cost_nano")
    )
    ok = rows.column("ok").to_numpy(zero_copy_only=False).astype(np.bool_)
    return Arm(started, ok, latency, cost)
