"""Read what was asked out of logged requests: the text that similarity and topics go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import cast

import msgspec

from modelux_store.analytics import Analytics

LONGEST_CHARS = 8_000
"""Of one prompt; the rest of a longer one is left out."""

_decode = msgspec.json.Decoder().decode


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


def prompt(body: str) -> str:
    """The last text that the user gave in a body of chat, completions or embeddings; "" where there is none."""
    try:
        request = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    if not isinstance(request, Mapping):
        return ""
    messages = request.get("messages")
    if isinstance(messages, list):
        asked = [each.get("content") for each in messages if isinstance(each, Mapping) and each.get("role") == "user"]
        texts = [text for text in map(_text, asked) if text]
        return texts[-1] if texts else ""
    return _text(request.get("prompt") or request.get("input"))


def _text(content: object) -> str:
    """Of a string, or of a list of strings and content parts."""
    parts = content if isinstance(content, list) else [content]
    told = [each.get("text") if isinstance(each, Mapping) else each for each in parts]
    return "\n".join(each for each in told if isinstance(each, str)).strip()[:LONGEST_CHARS]
