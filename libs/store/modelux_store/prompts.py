"""What was asked in logged requests: the text that similarity and topics go by."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import cast

import msgspec

from modelux_store.analytics import Analytics

LONGEST_CHARS = 8_000
"""Of one prompt; the rest of a longer one is left out."""
_EVER_US = (0, 253_370_764_800_000_000)

_decode = msgspec.json.Decoder().decode


@dataclass(frozen=True, slots=True)
class Asked:
    """A logged request, and what it asked. `prompt` is empty where no body was kept, or none with text."""

    request_id: str
    project_id: str
    started_at_us: int
    requested_model: str
    model: str
    provider: str
    outcome: str
    cost_nano: int | None
    """None where a price is not known."""
    latency_us: int
    prompt: str


class Prompts:
    """The prompts of the log in one ClickHouse database."""

    def __init__(self, analytics: Analytics) -> None:
        self._analytics = analytics

    async def asked(
        self, organization_id: str, request_ids: Sequence[str], *, within_us: tuple[int, int] = _EVER_US
    ) -> Mapping[str, Asked]:
        """Requests of an organization by their id, those that are there. `within_us`: when they began, both ends
        within, in microseconds; the closer, the faster. Raises `Unavailable`.
        """
        values = {
            "organization_id": organization_id,
            "request_ids": list(request_ids),
            "start_us": within_us[0],
            "end_us": within_us[1],
        }
        return {each.request_id: each for each in await self._analytics.fold(_sql(), values, _asked)}


def prompt(body: str | bytes) -> str:
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


def _asked(rows: Iterator[Sequence[object]]) -> list[Asked]:
    """Bodies are let go of block by block."""
    return [Asked(*row[:-1], prompt(cast("str | bytes", row[-1]))) for row in rows]  # type: ignore[arg-type,call-arg]  # the query's columns


@cache
def _sql() -> str:
    return files("modelux_store").joinpath("sql", "prompts.sql").read_text()
