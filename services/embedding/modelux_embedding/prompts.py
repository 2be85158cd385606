"""Read the newest prompts of a project out of the request log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

from modelux_store.analytics import Analytics
from modelux_store.prompts import prompt


@dataclass(frozen=True, slots=True)
class Prompt:
    """What one logged request asked."""

    request_id: str
    text: str
    ingested_ms: int


async def newest(
    analytics: Analytics, organization_id: str, project_id: str, since_ms: int, most: int
) -> Sequence[Prompt]:
    """The newest `most` prompts of a project that came into the log at or after `since_ms`, oldest first.

    Requests without a stored body, or without text in it, have none. Raises `Unavailable`.
    """
    sql = files("modelux_embedding").joinpath("sql", "prompts.sql").read_text()
    values = {"organization_id": organization_id, "project_id": project_id, "since_ms": since_ms, "most": most}
    return (await analytics.fold(sql, values, _prompts))[::-1]


def _prompts(rows: Iterator[Sequence[object]]) -> list[Prompt]:
    """Bodies are let go of block by block."""
    found = []
    for request_id, body, ingested_ms in rows:
        text = prompt(cast("str", body))
        if text:
            found.append(Prompt(cast("str", request_id), text, cast("int", ingested_ms)))
    return found
