"""Read one upload whole: the messages to publish and a report of what was found."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import chain

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_bus.base import Message
from modelux_contracts import codec
from modelux_contracts.topics import LOG_IMPORTED
from modelux_management.imports.columns import ColumnMap
from modelux_management.imports.entries import Reader, Spread
from modelux_management.imports.events import Importer
from modelux_management.imports.presets import Preset, column_map, preset_of
from modelux_management.imports.records import Flaw, Format, Record, Unreadable, format_of, records

FLAWS_TOLD = 10
MOST_ROWS = 50_000
"""In one upload: a short row becomes an event many times its size."""
_HEAD_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Plan:
    """How to read an upload. `preset`: None to tell it by the first row. `first_row`: the place of the first row in
    the whole file, from 0.
    """

    preset: Preset | None
    own: ColumnMap
    spread: Spread | None
    first_row: int
    now_us: int


@dataclass(slots=True)
class Group:
    """The calls of one model at one provider. `cost_nano` leaves out those without a known price."""

    rows: int = 0
    failed: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_nano: int = 0
    price_unknown: int = 0

    def add(self, event: RequestCompleted) -> None:
        self.rows += 1
        self.failed += event.outcome != "ok"
        self.input_tokens += event.usage.input
        self.output_tokens += event.usage.output
        self.cost_nano += event.cost_nano
        self.price_unknown += event.price_unknown


@dataclass(slots=True)
class Found:
    """What an upload holds. `left_out`: rows that tell of no call. Times are microseconds since the epoch."""

    format: Format
    preset: Preset
    source: str
    rows: int = 0
    left_out: int = 0
    refused: int = 0
    flaws: list[Flaw] = field(default_factory=list)
    """The first few of those refused."""
    without_latency: int = 0
    first_us: int = 0
    last_us: int = 0
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    """By provider and model."""
    empty: dict[str, None] = field(default_factory=dict)
    """Fields of the caller's map for which no row holds anything."""
    messages: list[Message] = field(default_factory=list)

    def refuse(self, flaw: Flaw) -> None:
        self.refused += 1
        if len(self.flaws) < FLAWS_TOLD:
            self.flaws.append(flaw)

    def add(self, event: RequestCompleted, without_latency: bool) -> None:
        self.without_latency += without_latency
        self.first_us = min(self.first_us or event.started_at_us, event.started_at_us)
        self.last_us = max(self.last_us, event.started_at_us)
        self.groups.setdefault((event.provider, event.model), Group()).add(event)
        self.messages.append(_message(event))


def read_upload(content: bytes, plan: Plan, importer: Importer) -> Found:
    """All that an upload holds, read whole before any of it is published. Raises Unreadable where it holds no rows
    or too many."""
    kind = format_of(content[:_HEAD_BYTES])
    stream = records(io.BytesIO(content), kind)
    ahead = list(_through_first_record(stream))
    first = next((each.values for each in ahead if isinstance(each, Record)), {})
    preset = plan.preset or preset_of(first)
    importer = importer if importer.source else replace(importer, source=preset)
    reader = Reader(column_map(preset, plan.own), plan.now_us, plan.spread)
    found = Found(kind, preset, importer.source, empty=dict.fromkeys(plan.own))
    for each in chain(ahead, stream):
        if found.rows >= MOST_ROWS:
            raise Unreadable(f"the file holds more than {MOST_ROWS:,} rows", "Send it in pieces, with first_row.")
        _take(each, plan, reader, importer, found)
    if not found.rows:
        raise Unreadable("the file holds no rows", "Give a file with a JSON object a line, or CSV with a header.")
    return found


def _through_first_record(stream: Iterator[Record | Flaw]) -> Iterator[Record | Flaw]:
    for each in stream:
        yield each
        if isinstance(each, Record):
            return


def _take(each: Record | Flaw, plan: Plan, reader: Reader, importer: Importer, found: Found) -> None:
    place = plan.first_row + found.rows
    found.rows += 1
    if isinstance(each, Flaw):
        found.refuse(each)
        return
    for name in [name for name in found.empty if plan.own[name].find(each.values) is not None]:
        del found.empty[name]
    entry = reader.read(each, place)
    if entry is None:
        found.left_out += 1
    elif isinstance(entry, Flaw):
        found.refuse(entry)
    else:
        found.add(importer.event(entry), entry.latency_us is None)


def _message(event: RequestCompleted) -> Message:
    topic = LOG_IMPORTED.name
    key, identity = event.project_id.encode(), f"{event.request_id}.imported"
    return Message(topic, key, codec.encode(event), identity, codec.headers(topic))
