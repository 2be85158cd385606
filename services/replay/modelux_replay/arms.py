"""Read the requests of a split's two arms from the log."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from modelux_replay.guards import WINDOWS, Arm, Arms
from modelux_replay.promote import ARM, CURRENT
from modelux_replay.statements import sql
from modelux_store.analytics import Analytics

MOST = 50_000
"""Requests of an arm that are looked at, the newest: more would decide nothing else."""
MOST_QUICKLY = WINDOWS[-1]
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


async def read_arms(analytics: Analytics, split: Split, most: int) -> Arms:
    """The newest requests of each arm that proxies served. Raises `Unavailable`."""
    values: dict[str, object] = {
        "organization_id": split.organization_id,
        "project_id": split.project_id,
        "slug": split.slug,
        "version": split.version,
        "since_us": split.since_us - CLOCKS_US,
        "arms": [CURRENT, ARM],
        "most": most,
    }
    stream = await analytics.arrow(sql("arms", "newest"), values)
    found = pa.ipc.open_stream(stream).read_all()
    return Arms(*(_arm(found.filter(pc.equal(found.column("arm"), name))) for name in (CURRENT, ARM)))


def _arm(rows: pa.Table) -> Arm:
    oldest_first = rows.take(np.arange(len(rows) - 1, -1, -1))
    started, latency, cost = (
        oldest_first.column(name).to_numpy().astype(np.int64) for name in ("started_us", "latency_us", "cost_nano")
    )
    ok = oldest_first.column("ok").to_numpy(zero_copy_only=False).astype(np.bool_)
    return Arm(started, ok, latency, cost)
