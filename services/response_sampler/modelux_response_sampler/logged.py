"""Read sampled requests out of the log: as their policies saw them, with what was asked and answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from modelux.events.v1.experiment_pb2 import ExperimentSamples
from modelux_calling.answers import text_of
from modelux_store.analytics import Analytics
from modelux_store.statements import statement
from routing_core.types import Capability, Request


@dataclass(frozen=True, slots=True)
class Logged:
    """One logged chat request. `body` is empty where the log keeps none."""

    request: Request
    body: bytes = field(repr=False)
    answer: str = field(repr=False)
    """As text; empty where there was none."""


async def read(analytics: Analytics, samples: ExperimentSamples) -> Mapping[str, Logged]:
    """The requests of a unit by their ids; what the log does not have is left out. Raises `Unavailable`."""
    moments = [row.started_at_us for row in samples.rows]
    values = {
        "organization_id": samples.organization_id,
        "project_id": samples.project_id,
        "ids": sorted({row.request_id for row in samples.rows}),
        "from_us": min(moments),
        "to_us": max(moments),
    }
    query = statement("modelux_response_sampler", "logged", "requests")
    rows = await analytics.rows(query, values, raw=("request_body", "response_body"))
    return {cast(str, row["request_id"]): _logged(row, samples.project_id) for row in rows}


def _logged(row: Mapping[str, Any], project_id: str) -> Logged:
    needs: Sequence[Capability] = row["needs"]
    request = Request(
        row["request_id"],
        project_id,
        "embeddings" if row["endpoint"] == "embeddings" else "chat",
        row["requested_model"],
        bool(row["stream"]),
        row["tokens"],
        row["max_tokens"] or None,
        frozenset(needs),
        dict(row["tags"]),
        row["end_user_id"] or None,
        row["key_id"],
        row["started_at_us"] // 1000,
    )
    answer = text_of(row["response_body"]) if row["outcome"] == "ok" else ""
    return Logged(request, row["request_body"], answer)
