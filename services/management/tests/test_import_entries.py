"""Cells become what their fields mean, or a flaw that names the field, what is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_management.imports.columns import FIELDS, parse_map
from modelux_management.imports.entries import Entry, Reader, Spread
from modelux_management.imports.presets import PRESETS, column_map
from modelux_management.imports.records import Flaw, Record
from routing_core.errors import ModeluxError
from routing_core.types import Usage

NOW_US = 1_775_779_200_000_000  # 2026-04-10
DAY_US = 86_400_000_000
ROW: Mapping[str, object] = {
    "model": "gpt-4o",
    "input_tokens": 100,
    "output_tokens": 20,
    "started_at": "2026-04-01T12:00:00Z",
}


def read(values: Mapping[str, object], written: str = "", spread: Spread | None = None) -> Entry | Flaw | None:
    return Reader(column_map("modelux", parse_map(written)), NOW_US, spread).read(Record(7, values), 3)


def entry(values: Mapping[str, object], written: str = "", spread: Spread | None = None) -> Entry:
    found = read(ROW | dict(values), written, spread)
    assert isinstance(found, Entry), found
    return found


@pytest.mark.parametrize(
    ("values", "field", "message"),
    [
        ({"input_tokens": -1}, "input_tokens", "negative"),
        ({"input_tokens": "many"}, "input_tokens", "not a number"),
        ({"input_tokens": 1.5}, "input_tokens", "whole number"),
        ({"input_tokens": True}, "input_tokens", "true or false"),
        ({"input_tokens": [1]}, "input_tokens", "a list"),
        ({"input_tokens": 10**12}, "input_tokens", "more than"),
        ({"input_tokens": 10**400}, "input_tokens", "not a number"),
        ({"input_tokens": None}, "input_tokens", "missing"),
        ({"output_tokens": ""}, "output_tokens", "missing"),
        ({"latency_s": "NaN"}, "latency_s", "finite"),
        ({"latency_s": float("nan")}, "latency_s", "finite"),
        ({"latency_ms": float("inf")}, "latency_ms", "finite"),
        ({"latency_s": -0.1}, "latency_s", "negative time"),
        ({"latency_s": 1e7}, "latency_s", "a week"),
        ({"cost_usd": "NaN"}, "cost_usd", "not between"),
        ({"cost_usd": -1}, "cost_usd", "not between"),
        ({"cost_usd": "a lot"}, "cost_usd", "dollars"),
        ({"started_at": "2026-04-11T00:00:00Z"}, "started_at", "future"),
        ({"started_at": "2020-01-01"}, "started_at", "five years"),
        ({"started_at": "yesterday"}, "started_at", "not a time"),
        ({"started_at": -5}, "started_at", "no time"),
        ({"started_at": ""}, "started_at", "missing"),
        ({"ended_at": "2026-04-01T11:59:59Z"}, "ended_at", "before started_at"),
        ({"model": ""}, "model", "missing"),
        ({"model": {"name": "x"}}, "model", "an object"),
        ({"model": "x" * 300}, "model", "300 characters"),
        ({"model": "\ud800"}, "model", "surrogate"),
        ({"status": 42}, "status", "HTTP status"),
        ({"status": "weird"}, "status", "neither"),
        ({"tags": "{"}, "tags", "begins like JSON"),
        ({"tags": 7}, "tags", "a number"),
        ({"error": "\ud800"}, "error", "surrogate"),
    ],
)
def test_a_wrong_cell_is_told(values: Mapping[str, object], field: str, message: str) -> None:
    found = read(ROW | dict(values))
    assert isinstance(found, Flaw)
    assert (found.line, found.field) == (7, field)
    assert message in found.message


@pytest.mark.parametrize(
    "value",
    ["2026-04-01T12:00:00Z", "2026-04-01 14:00:00.000+02:00", "2026-04-01 12:00:00.000000", 1775044800,
     1775044800.0, "1775044800", 1775044800000, 1775044800000000, 1775044800000000000],
)  # fmt: skip
def test_times_are_read_in_any_usual_form(value: object) -> None:
    assert entry({"started_at": value}).started_at_us == 1_775_044_800_000_000


def test_durations_come_in_any_unit_or_from_two_times() -> None:
    assert entry({"latency_s": "1.714", "ttft_s": 0.5}).latency_us == 1_714_000
    assert entry({"latency_ms": 1.5, "ttft_ms": 1}).ttft_us == 1000
    both = entry({"ended_at": "2026-04-01T12:00:02Z", "first_token_at": "2026-04-01T12:00:00.25Z"})
    assert (both.latency_us, both.ttft_us) == (2_000_000, 250_000)
    ended = entry({"started_at": "", "ended_at": "2026-04-01T12:00:02Z", "latency_s": 2})
    assert ended.started_at_us == both.started_at_us
    assert entry({}).latency_us is None


@pytest.mark.parametrize(
    ("values", "usage"),
    [
        ({"cache_read_tokens": 60}, Usage(100, 20, 60)),
        ({"uncached_input_tokens": 10, "cache_read_tokens": 60, "cache_write_tokens": 5}, Usage(75, 20, 60, 5)),
        ({"visible_output_tokens": 20, "reasoning_tokens": 30}, Usage(100, 50, reasoning=30)),
        ({"input_tokens": 10, "cache_read_tokens": 60}, Usage(70, 20, 60)),
        ({"input_tokens": "100.0"}, Usage(100, 20)),
    ],
)
def test_input_includes_caches_and_output_reasoning(values: Mapping[str, object], usage: Usage) -> None:
    assert entry(values).usage == usage


@pytest.mark.parametrize(
    ("values", "outcome"),
    [
        ({}, (False, 200, "")),
        ({"status": 200}, (False, 200, "")),
        ({"status": "429", "error": "slow  down\n"}, (True, 429, "slow down")),
        ({"status": "failure"}, (True, 0, "")),
        ({"status": -3}, (True, 0, "")),
        ({"error": {"message": "no"}}, (True, 0, '{"message": "no"}')),
        ({"failed": "DEFAULT", "error": "a note"}, (False, 200, "")),
        ({"failed": "ERROR", "error": "a fault"}, (True, 0, "a fault")),
    ],
)
def test_how_a_call_ended(values: Mapping[str, object], outcome: tuple[bool, int, str]) -> None:
    found = entry(values)
    assert (found.failed, found.status, found.error) == outcome


def test_a_failed_call_needs_no_tokens_and_an_embedding_no_output() -> None:
    assert entry({"status": 500, "input_tokens": None, "output_tokens": None}).usage == Usage()
    assert entry({"endpoint": "/v1/embeddings", "output_tokens": None}).endpoint == "embeddings"


@pytest.mark.parametrize("values", [{"kind": "SPAN"}, {"cached": "True"}, {"endpoint": "aimage_generation"}])
def test_rows_that_are_no_calls_are_left_out(values: Mapping[str, object]) -> None:
    assert read(ROW | values) is None


def test_tags_come_as_objects_lists_words_and_columns() -> None:
    assert entry({"tags": {"a": 1, "b": {"c": 1}}}).tags == {"a": "1"}
    assert entry({"tags": '["team:search", "prod"]'}).tags == {"team": "search", "prod": "true"}
    assert entry({"category": "x"}, "tag.kind=category,tag.none=absent").tags == {"kind": "x"}


def test_times_are_given_by_a_hash_of_the_row_and_stay() -> None:
    spread = Spread(NOW_US - 7 * DAY_US, 7 * DAY_US)
    rows = [entry({"started_at": "", "row_id": f"row-{n}"}, spread=spread).started_at_us for n in range(500)]
    assert rows == [entry({"started_at": "", "row_id": f"row-{n}"}, spread=spread).started_at_us for n in range(500)]
    assert all(spread.start_us <= each < NOW_US for each in rows)
    days = [sum(day == (each - spread.start_us) // DAY_US for each in rows) for day in range(7)]
    assert min(days) > 40


def test_a_row_is_known_by_its_id_or_by_what_it_holds() -> None:
    reader = Reader(column_map("modelux", {}), NOW_US, Spread(NOW_US - DAY_US, DAY_US))
    timed = [reader.read(Record(1, ROW), place) for place in (0, 1)]
    without = [reader.read(Record(1, {**ROW, "started_at": ""}), place) for place in (0, 1, 0)]
    assert [each.identity for each in timed if isinstance(each, Entry)] == [entry({}).identity] * 2
    first, second, again = (each.identity for each in without if isinstance(each, Entry))
    assert first == again != second
    assert entry({"m": "a", "n": 7}, "row_id=m+n").identity == "id:a+7"


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("model", "not field=column"),
        ("=model", "not field=column"),
        ("modle=model", "'modle' is not a field"),
        ("tag.=x", "'tag.' is not a field"),
        ("model=a,model=b", "twice"),
    ],
)
def test_a_wrong_map_is_quoted(written: str, message: str) -> None:
    with pytest.raises(ModeluxError, match=message):
        parse_map(written)


def test_columns_are_paths_alternatives_joins_and_constants() -> None:
    columns = parse_map("model=a.b.c|name,provider==groq,row_id=x+y,error=say.what")
    found = {name: column.find({"a": {"b": '{"c": 1}'}, "x": 1, "say.what": "?"}) for name, column in columns.items()}
    assert found == {"model": 1, "provider": "groq", "row_id": None, "error": "?"}
    assert columns["model"].find({"a": "text", "name": "n"}) == "n"


def test_the_guide_tells_every_field() -> None:
    guide = (Path(__file__).parents[3] / "docs" / "import.md").read_text()
    assert [name for name, meaning in FIELDS.items() if f"| `{name}` | {meaning} |" not in guide] == []


_cells = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(sorted(FIELDS)), _cells), st.sampled_from(PRESETS), st.booleans())
def test_no_cells_break_a_reader(values: dict[str, object], preset: str, usual: bool) -> None:
    columns = column_map(preset, {})  # type: ignore[arg-type]  # one of PRESETS
    found = Reader(columns, NOW_US).read(Record(1, {**ROW, **values} if usual else values), 0)
    assert found is None or isinstance(found, (Entry, Flaw))
