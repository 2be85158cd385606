"""Events become columns without loss, and events that cannot be rows are named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from modelux.events.v1.request_pb2 import AttemptRecord, RequestCompleted, Usage
from modelux_ingest.rows import attempt_columns, flaw, request_columns

EventMaker = Callable[..., RequestCompleted]


def test_every_column_has_one_value_per_row(make_event: EventMaker) -> None:
    events = [make_event(n) for n in range(3)]
    assert {len(column) for column in request_columns(events).values()} == {3}
    assert {len(column) for column in attempt_columns(events).values()} == {6}
    assert {len(column) for column in attempt_columns([]).values()} == {0}


def test_what_was_not_measured_is_null_and_the_unknown_gives_way(make_event: EventMaker) -> None:
    columns = request_columns([make_event(1, ttft_us=-1, outcome="unknown"), make_event(1, ttft_us=0)])
    assert columns["ttft_us"] == [None, 0]
    assert columns["version"] == [0, 1]


def test_every_field_of_the_event_has_a_column(make_event: EventMaker) -> None:
    renamed = {"started_at_us": "started_at", "usage": "input_tokens", "trace_json": "trace"}
    columns = request_columns([make_event(1)])
    fields = {field.name for field in RequestCompleted.DESCRIPTOR.fields}
    assert {renamed.get(name, name) for name in fields} <= columns.keys()


def test_every_part_of_a_usage_has_its_place(make_event: EventMaker) -> None:
    names = [field.name for field in Usage.DESCRIPTOR.fields]
    usage = Usage(**{name: place for place, name in enumerate(names, 2)})  # type: ignore[arg-type]  # fields by name
    attempt = AttemptRecord(number=1, usage=usage, price_version="override/price_1", price_unknown=True)
    columns = attempt_columns([make_event(1, attempts=[attempt])])
    plain = {f"{name}_tokens": name for name in names} | {"usage_estimated": "estimated"}
    stored = {plain[column]: value for column, (value,) in columns.items() if column in plain}
    (extras,) = columns["usage_extras"]
    assert stored | extras == {name: getattr(usage, name) for name in names}  # type: ignore[operator]  # a dict
    assert (columns["price_version"], columns["price_unknown"]) == (["override/price_1"], [True])
    assert request_columns([make_event(1)])["usage_extras"] == [{}]


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        pytest.param({"request_id": ""}, "request_id is empty", id="no id"),
        pytest.param({"project_id": ""}, "project_id of 'req_000001' is empty", id="no project"),
        pytest.param({"started_at_us": 0}, "microseconds", id="no time"),
        pytest.param({"started_at_us": 1_770_000_000}, "microseconds", id="seconds"),
        pytest.param({"started_at_us": -1}, "microseconds", id="negative"),
    ],
)
def test_an_event_that_cannot_be_a_row_is_named(make_event: EventMaker, fields: dict[str, object], reason: str) -> None:
    assert reason in (flaw(make_event(1, **fields)) or "")
    assert flaw(make_event(1)) is None
