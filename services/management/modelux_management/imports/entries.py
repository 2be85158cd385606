"""Turn a record into a call, by a column map: an entry, a flaw, or nothing where the row is no call."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from modelux_management.imports import values as read
from modelux_management.imports.columns import TAG, ColumnMap
from modelux_management.imports.records import Flaw, Record, Values
from modelux_management.imports.values import NotThat
from routing_core.types import Endpoint, Usage

T = TypeVar("T")

_AHEAD_US = 300_000_000
"""How far the clocks of others may go before ours."""
_OLDEST_US = 5 * 366 * 86_400_000_000
_CALLS = {"GENERATION": "chat", "EMBEDDING": "embeddings"}
_ERROR_CHARS = 200


@dataclass(frozen=True, slots=True)
class Spread:
    """Times to give to rows that have none: each somewhere in the span, by a hash of the row."""

    start_us: int
    span_us: int


@dataclass(frozen=True, slots=True)
class Entry:
    """One call as its file tells it. Times are microseconds since the epoch, durations microseconds.

    Empty texts and None: not told.
    """

    line: int
    identity: str
    """Equal for the same row of the same history."""
    started_at_us: int
    endpoint: Endpoint
    model: str
    provider: str
    credential_id: str
    requested_model: str
    failed: bool
    status: int
    error: str
    usage: Usage
    latency_us: int | None
    ttft_us: int | None
    cost_nano: int | None
    stream: bool
    max_tokens: int
    end_user_id: str
    tags: Mapping[str, str]
    request: object
    response: object


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the records of one history. `now_us`: nothing is taken from beyond it."""

    columns: ColumnMap
    now_us: int
    spread: Spread | None = None

    def read(self, record: Record, place: int) -> Entry | Flaw | None:
        """The call, what is wrong with it, or None where the row tells of none. `place`: its number in its file."""
        cells = _Cells(record.values, self.columns)
        try:
            return self._entry(cells, record, place)
        except _Refused as refused:
            return Flaw(record.line, refused.field, str(refused), refused.hint)

    def _entry(self, cells: _Cells, record: Record, place: int) -> Entry | None:
        endpoint = _endpoint(cells)
        if endpoint is None:
            return None
        failed, status, error = _outcome(cells)
        began = cells.get("started_at", read.moment_us)
        ended = cells.get("ended_at", read.moment_us)
        latency = _latency(cells, began, ended)
        identity = _identity(cells, record.values, began or ended, place)
        started = self._started(began, ended, latency, identity)
        provider, model = _provider(cells)
        return Entry(
            line=record.line,
            identity=identity,
            started_at_us=started,
            endpoint=endpoint,
            model=model,
            provider=provider,
            credential_id=cells.get("credential_id", read.text) or "",
            requested_model=cells.get("requested_model", read.text) or model,
            failed=failed,
            status=status,
            error=error,
            usage=_usage(cells, failed, endpoint),
            latency_us=latency,
            ttft_us=_ttft(cells, began, latency),
            cost_nano=cells.get("cost_usd", read.cost_nano),
            stream=cells.get("stream", read.flag) or False,
            max_tokens=cells.get("max_tokens", read.count) or 0,
            end_user_id=cells.get("end_user_id", read.text) or "",
            tags=_tags(cells),
            request=cells.find("request"),
            response=cells.find("response"),
        )

    def _started(self, began: int | None, ended: int | None, latency: int | None, identity: str) -> int:
        if began is None and ended is not None and latency is not None:
            began = ended - latency
        if began is None and self.spread is not None:
            offset = int.from_bytes(hashlib.blake2b(identity.encode(), digest_size=8).digest(), "big")
            began = self.spread.start_us + offset % self.spread.span_us
        if began is None:
            hint = "Map a column to started_at, or give times to a file without any: start and spread."
            raise _Refused("started_at", "is missing", hint)
        if began > self.now_us + _AHEAD_US:
            raise _Refused("started_at", "is in the future", "Is it in another time zone? Times without one are UTC.")
        if began < self.now_us - _OLDEST_US:
            raise _Refused("started_at", "is more than five years ago", "Leave older calls out.")
        return began


class _Refused(Exception):
    def __init__(self, field: str, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.field = field
        self.hint = hint


@dataclass(frozen=True, slots=True)
class _Cells:
    """A record by the fields of a map."""

    values: Values
    columns: ColumnMap

    def find(self, field: str) -> object:
        column = self.columns.get(field)
        return None if column is None else column.find(self.values)

    def get(self, field: str, parse: Callable[[object], T]) -> T | None:
        value = self.find(field)
        if value is None:
            return None
        try:
            return parse(value)
        except NotThat as error:
            raise _Refused(field, str(error), error.hint) from error


def _endpoint(cells: _Cells) -> Endpoint | None:
    kind = cells.get("kind", read.text)
    if (kind is not None and kind.upper() not in _CALLS) or cells.get("cached", read.flag):
        return None
    told = cells.get("endpoint", read.endpoint) or _CALLS.get((kind or "").upper(), "chat")
    return None if told == "other" else "embeddings" if told == "embeddings" else "chat"


def _outcome(cells: _Cells) -> tuple[bool, int, str]:
    """Whether the call failed, its status (0: not told), and the words of its error."""
    status, bad = cells.get("status", read.status) or (0, False)
    error = cells.find("error")
    marked = cells.get("failed", read.flag)
    words = "" if error is None else error if isinstance(error, str) else json.dumps(error)
    failed = bad or (bool(words) if marked is None else marked)
    if not failed:
        return False, status or 200, ""
    try:
        return True, status, read.storable(" ".join(words.split())[:_ERROR_CHARS])
    except NotThat as refused:
        raise _Refused("error", str(refused), refused.hint) from refused


def _provider(cells: _Cells) -> tuple[str, str]:
    """Provider and model by our names; LiteLLM writes `openai/gpt-4o` for a model of openai."""
    model = cells.get("model", read.text)
    if not model:
        raise _Refused("model", "is missing", "Map a column to model.")
    told = (cells.get("provider", read.text) or "").lower()
    return PROVIDERS.get(told, told), model.removeprefix(f"{told}/") if told else model


def _usage(cells: _Cells, failed: bool, endpoint: Endpoint) -> Usage:
    """The tokens. Counts of all input that could not hold their caches are taken to leave them out."""
    read_, written = cells.get("cache_read_tokens", read.count) or 0, cells.get("cache_write_tokens", read.count) or 0
    reasoning = cells.get("reasoning_tokens", read.count) or 0
    plain, visible = cells.get("uncached_input_tokens", read.count), cells.get("visible_output_tokens", read.count)
    whole = cells.get("input_tokens", read.count) if plain is None else plain + read_ + written
    output = cells.get("output_tokens", read.count) if visible is None else visible + reasoning
    if output is None and endpoint == "embeddings":
        output = 0
    for field, value in (("input_tokens", whole), ("output_tokens", output)):
        if value is None and not failed:
            raise _Refused(field, "is missing", f"Map a column to {field}; only failed calls may go without.")
    whole = whole or 0
    if read_ + written > whole:
        whole += read_ + written
    return Usage(whole, max(output or 0, reasoning), read_, written, reasoning)


def _latency(cells: _Cells, began: int | None, ended: int | None) -> int | None:
    told = _duration(cells, "latency")
    if told is None and began is not None and ended is not None:
        told = ended - began
        if told < 0:
            raise _Refused("ended_at", "is before started_at", "Exchange the columns, or map neither.")
    return told


def _ttft(cells: _Cells, began: int | None, latency: int | None) -> int | None:
    told = _duration(cells, "ttft")
    first = cells.get("first_token_at", read.moment_us)
    if told is None and began is not None and first is not None:
        told = first - began
    if told is None or told < 0 or (latency is not None and told > latency):
        return None
    return told


def _duration(cells: _Cells, name: str) -> int | None:
    seconds = cells.get(f"{name}_s", lambda value: read.duration_us(value, 1))
    return cells.get(f"{name}_ms", lambda value: read.duration_us(value, 1000)) if seconds is None else seconds


def _tags(cells: _Cells) -> dict[str, str]:
    found = cells.get("tags", read.tags) or {}
    for field in cells.columns:
        if field.startswith(TAG) and (value := cells.get(field, lambda each: read.text(each, 256))):
            found[field.removeprefix(TAG)] = value
    return found


def _identity(cells: _Cells, values: Values, at_us: int | None, place: int) -> str:
    """A row without an id is known by all that it holds, and where it has no time either, by its place too."""
    told = cells.get("row_id", lambda value: read.text(value, 1000))
    if told:
        return f"id:{told}"
    content = json.dumps(values, sort_keys=True, default=str)
    return f"row:{content}" if at_us is not None else f"row:{place}:{content}"


PROVIDERS: Mapping[str, str] = {
    "azure_openai": "azure",
    "azure_ai": "azure",
    "vertex_ai": "google",
    "gemini": "google",
    "google_ai_studio": "google",
    "together_ai": "together",
    "togetherai": "together",
    "fireworks_ai": "fireworks",
    "mistralai": "mistral",
    "x-ai": "xai",
    "x": "xai",
}
"""What others call our providers."""
