"""The language of column maps: which columns of a file hold which field of a call.

`field=column`, joined by commas. A column may be a path into an object (`usage.prompt_tokens`), have alternatives
(`a|b`: the first that holds something), be joined of several (`a+b`), or be a constant (`=openai`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from modelux_management.imports.records import Values
from routing_core.errors import ModeluxError

FIELDS: Mapping[str, str] = {
    "row_id": "What names the row in its file, so that it is taken once.",
    "started_at": "When the call began: ISO 8601 (UTC where no offset stands), or seconds, ms or µs since the epoch.",
    "ended_at": "When it ended: gives the latency, or with it the beginning, where these are not told.",
    "first_token_at": "When the first content came.",
    "model": "The model that was called.",
    "provider": "Who served it; left out, it is inferred from the price lists.",
    "credential_id": "The credential; left out, the only one that there is for the provider.",
    "requested_model": "The name that the caller asked for; left out, the model.",
    "endpoint": "chat or embeddings, or a path or call type that says so; left out, chat.",
    "status": "HTTP status, or success and failure.",
    "failed": "Whether it failed: true, or ERROR.",
    "error": "What went wrong; left empty, nothing did.",
    "cached": "Whether a cache answered, so that no provider was called; such rows are left out.",
    "kind": "GENERATION and EMBEDDING rows are calls; rows of any other kind are left out.",
    "input_tokens": "All input, cached too.",
    "uncached_input_tokens": "Input without cache reads and writes, in place of input_tokens.",
    "output_tokens": "All output, reasoning too.",
    "visible_output_tokens": "Output without reasoning, in place of output_tokens.",
    "cache_read_tokens": "Input that a cache held.",
    "cache_write_tokens": "Input that was written to a cache.",
    "reasoning_tokens": "Output that was reasoning.",
    "latency_s": "How long it took, seconds.",
    "latency_ms": "The same in milliseconds.",
    "ttft_s": "Time to the first content, seconds.",
    "ttft_ms": "The same in milliseconds.",
    "cost_usd": "What it cost, dollars; left out (or 0 for tokens used), the product's own price of that time.",
    "stream": "Whether the answer was streamed.",
    "max_tokens": "The limit of output tokens that the caller set.",
    "end_user_id": "Whose call it was.",
    "tags": "Tags, as an object or a list of words.",
    "request": "The prompt: a text, a list of messages, or the request's whole body.",
    "response": "The answer: a text, a message, or the response's whole body.",
}
"""Every field, and what it holds. `tag.NAME` sets one tag."""
TAG = "tag."
_WHOLE = "."


@dataclass(frozen=True, slots=True)
class Column:
    """Where one field stands: alternatives, each of paths that are joined."""

    alternatives: tuple[tuple[str, ...], ...]

    def find(self, values: Values) -> object:
        """What the first alternative holds that holds something; None where none does."""
        for paths in self.alternatives:
            if len(paths) > 1:
                parts = [_at(values, path) for path in paths]
                found: object = None if None in parts else "+".join(str(part) for part in parts)
            else:
                found = _at(values, paths[0])
            if found is not None:
                return found
        return None


ColumnMap = Mapping[str, Column]


def parse_map(text: str) -> ColumnMap:
    """A column map as it is written. Raises ModeluxError that quotes the part that is wrong."""
    found: dict[str, Column] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, equals, column = (each.strip() for each in part.partition("="))
        if not (name and equals and column):
            raise ModeluxError("invalid_map", f"{part[:80]!r} is not field=column", hint="Such as latency_s=seconds.")
        if name not in FIELDS and not (name.startswith(TAG) and len(name) > len(TAG)):
            raise ModeluxError("invalid_map", f"{name[:80]!r} is not a field", hint=f"There are: {', '.join(FIELDS)}.")
        if name in found:
            raise ModeluxError("invalid_map", f"{name!r} stands twice", hint="Write alternatives as field=a|b.")
        found[name] = Column(tuple(tuple(path.split("+")) for path in column.split("|")))
    return found


def _at(values: Values, path: str) -> object:
    """What stands at a path. A cell that holds JSON is read where the path leads into it."""
    if path.startswith("="):
        return path[1:]
    if path == _WHOLE:
        return values
    found = values.get(path)
    if found is not None or "." not in path:
        return found if found != "" else None
    at: object = values
    for name in path.split("."):
        if isinstance(at, str):
            at = _read(at)
        at = at.get(name) if isinstance(at, dict) else None
        if at is None:
            return None
    return at if at != "" else None


def _read(text: str) -> object:
    try:
        return json.loads(text) if text[:1] in "{[" else None
    except (ValueError, RecursionError):
        return None
