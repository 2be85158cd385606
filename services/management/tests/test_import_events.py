"""Imported calls have an id by what they are, a price of their time, and a trace that a replay reads."""

from __future__ import annotations

import json
from collections.abc import Mapping

import pytest

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_ingest.rows import flaw
from modelux_management.imports.columns import parse_map
from modelux_management.imports.entries import Entry, Reader
from modelux_management.imports.events import Importer
from modelux_management.imports.presets import column_map
from modelux_management.imports.records import Record
from modelux_providers.catalog import Catalog, PriceOverride
from routing_core import trace
from routing_core.pricing import cost

NOW_US = 1_775_779_200_000_000
CATALOG = Catalog.load()
ROW: Mapping[str, object] = {
    "row_id": "1",
    "model": "gpt-4o",
    "input_tokens": 1000,
    "output_tokens": 200,
    "latency_s": 1.5,
    "started_at": "2026-04-01T12:00:00Z",
}


def importer(**fields: object) -> Importer:
    usual: dict[str, object] = {"source": "mine", "full": True, "catalog": CATALOG}
    return Importer("org_1", "proj_1", **{**usual, **fields})  # type: ignore[arg-type]  # fields by name


def made(values: Mapping[str, object], **fields: object) -> RequestCompleted:
    reader = Reader(column_map("modelux", parse_map("")), NOW_US)
    entry = reader.read(Record(1, {**ROW, **values}), 0)
    assert isinstance(entry, Entry), entry
    return importer(**fields).event(entry)


def test_the_same_row_has_the_same_id_and_any_other_another() -> None:
    ids = [
        made({}).request_id,
        made({}, source="other").request_id,
        made({"row_id": "2"}).request_id,
        made({"started_at": "2026-04-01T12:00:01Z"}).request_id,
    ]
    assert len(set(ids)) == 4
    assert made({"latency_s": 9, "cost_usd": 1}).request_id == ids[0]
    assert all(len(each) == 30 and each.startswith("req_") for each in ids)
    reader = Reader(column_map("modelux", {}), NOW_US)
    entry = reader.read(Record(1, ROW), 0)
    assert isinstance(entry, Entry)
    other = Importer("org_1", "proj_2", "mine", True, CATALOG).event(entry)
    assert other.request_id != ids[0]


def test_an_event_can_be_a_row_and_says_where_it_comes_from() -> None:
    event = made({})
    assert flaw(event) is None
    assert (event.source, event.policy_type, event.config_slug, event.overhead_us) == ("mine", "single", "", 0)
    (attempt,) = event.attempts
    assert (attempt.number, attempt.model, attempt.provider, attempt.kind) == (1, "gpt-4o", "openai", "ok")
    assert (attempt.latency_us, attempt.usage, attempt.cost_nano) == (1_500_000, event.usage, event.cost_nano)


@pytest.mark.parametrize(
    ("values", "provider"),
    [
        ({}, "openai"),
        ({"model": "claude-3-haiku-20240307"}, "anthropic"),
        ({"model": "gemini-2.5-flash"}, "google"),
        ({"model": "meta-llama/llama-3.1-8b-instruct"}, "openrouter"),
        ({"model": "nobody-knows-1"}, "unknown"),
        ({"provider": "AZURE_OPENAI"}, "azure"),
        ({"provider": "vertex_ai", "model": "vertex_ai/gemini-2.5-flash"}, "google"),
        ({"provider": "Bedrock"}, "bedrock"),
    ],
)
def test_the_provider_is_the_one_told_or_the_one_whose_list_has_the_model(
    values: Mapping[str, object], provider: str
) -> None:
    event = made(values)
    assert event.provider == event.attempts[0].provider == provider
    assert not event.model.startswith("vertex_ai/")


def test_the_only_credential_of_a_provider_is_taken_for_the_one_used() -> None:
    assert made({}, credentials={"openai": "pc_1"}).credential_id == "pc_1"
    assert made({}, credentials={"anthropic": "pc_1"}).credential_id == ""
    assert made({"credential_id": "pc_9"}, credentials={"openai": "pc_1"}).attempts[0].credential_id == "pc_9"


def test_a_cost_that_is_not_told_is_the_price_of_that_time() -> None:
    event = made({})
    price = CATALOG.price("openai", "gpt-4o", event.started_at_us // 1000)
    assert price is not None
    entry = Reader(column_map("modelux", {}), NOW_US).read(Record(1, ROW), 0)
    assert isinstance(entry, Entry)
    assert (event.cost_nano, event.price_version) == (cost(price, entry.usage), price.version)
    day_ms = event.started_at_us // 1000
    overrides = [
        PriceOverride("a", "openai", "gpt-4o", 1_000_000_000, 0, effective_from_ms=day_ms - 1),
        PriceOverride("b", "openai", "gpt-4o", 9_000_000_000, 0, effective_from_ms=day_ms + 1),
    ]
    own = made({}, overrides=overrides)
    assert (own.cost_nano, own.price_version, own.attempts[0].price_version) == (1_000_000, "override/a", "override/a")


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        pytest.param({"cost_usd": "0.0000000001"}, (1, "imported/mine", False), id="told, rounded up"),
        pytest.param({"model": "x", "cost_usd": "$0.5"}, (500_000_000, "imported/mine", False), id="told, no price"),
        pytest.param({"model": "x"}, (0, "", True), id="nobody knows"),
        pytest.param({"model": "x", "cost_usd": 0}, (0, "", True), id="0 for tokens used is not told"),
        pytest.param(
            {"model": "x", "input_tokens": 0, "output_tokens": 0, "status": 500}, (0, "", False), id="used nothing"
        ),
    ],
)
def test_an_unknown_price_is_never_a_silent_zero(values: Mapping[str, object], expected: tuple[int, str, bool]) -> None:
    event = made(values)
    assert (event.cost_nano, event.price_version, event.price_unknown) == expected
    assert event.attempts[0].price_unknown == event.price_unknown


@pytest.mark.parametrize(("values", "selected"), [({}, "gpt-4o:openai"), ({"status": 500}, None)])
def test_a_replay_can_read_the_trace(values: Mapping[str, object], selected: str | None) -> None:
    event = made(values)
    read = trace.from_json(event.trace_json)
    assert (read.request_id, read.policy_type, read.selected) == (event.request_id, "single", selected)
    assert read.selection_reason == "imported from mine"
    assert [each.model for each in read.candidates] == [each.model for each in read.attempts] == ["gpt-4o:openai"]
    assert read.attempts[0].usage.input == event.usage.input
    assert read.measured.latency_ms == 1500.0
    assert read.saw.at_ms * 1000 == event.started_at_us


def test_bodies_are_made_of_texts_and_kept_only_where_the_project_wants_them() -> None:
    told = {"request": 'Say "hi" 😀', "response": "hi"}
    event = made(told)
    assert json.loads(event.request_body) == {
        "model": "gpt-4o",
        "messages": [{"role": "user", "content": told["request"]}],
    }
    assert json.loads(event.response_body)["choices"][0]["message"] == {"role": "assistant", "content": "hi"}
    assert event.logging_mode == "full"
    bare = made(told, full=False)
    assert (bare.request_body, bare.response_body, bare.logging_mode) == (b"", b"", "metadata_only")
    assert (bare.body_shed, made({}).request_body) == (False, b"")
    large = made({"request": "x" * 400_000})
    assert (large.request_body, large.body_shed) == (b"", True)


def test_half_a_surrogate_pair_in_a_prompt_is_kept_as_json_writes_it() -> None:
    assert json.loads(made({"request": "a\ud800b"}).request_body)["messages"][0]["content"] == "a\ud800b"


def test_what_the_model_had_to_do_is_read_off_the_request() -> None:
    picture = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:,"}}]}]
    body = {"messages": picture, "tools": [{}], "response_format": {"type": "json_schema"}, "logprobs": True}
    assert list(made({"request": body}).needs) == ["json_schema", "logprobs", "tools", "vision"]
    assert list(made({"request": json.dumps(body), "endpoint": "embeddings"}).needs) == ["embeddings"]
