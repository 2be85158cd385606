"""Exports of other tools are recognised by themselves and become calls, with nothing of them lost that we keep."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping

import pytest
from import_exports import BATCH, COMPLETION, EXPORTS, HELICONE, LANGFUSE, LANGFUSE_STORED, LITELLM, LOGGED, Row, jsonl

from modelux.events.v1.request_pb2 import RequestCompleted
from modelux_management.imports.columns import parse_map
from modelux_management.imports.events import Importer
from modelux_management.imports.presets import preset_of
from modelux_management.imports.work import Found, Plan, read_upload
from modelux_providers.catalog import Catalog

NOW_US = 1_775_779_200_000_000
AT_US = 1_775_044_800_000_000
CATALOG = Catalog.load()


def upload(content: bytes, written: str = "") -> Found:
    plan = Plan(None, parse_map(written), None, 0, NOW_US)
    return read_upload(content, plan, Importer("org_1", "proj_1", "", True, CATALOG))


def event(row: Row) -> RequestCompleted:
    found = upload(jsonl(row))
    assert found.flaws == []
    (message,) = found.messages
    return RequestCompleted.FromString(message.value)


@pytest.mark.parametrize("name", EXPORTS)
def test_each_export_is_recognised(name: str) -> None:
    preset, row = EXPORTS[name]
    assert preset_of(row) == preset
    made = event(row)
    assert (made.source, made.started_at_us, made.endpoint) == (preset, AT_US, "chat")
    assert (made.usage.input, made.usage.output) == (100, 20)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (BATCH, {"model": "gpt-4o-mini-2024-07-18", "provider": "openai", "status": 200, "latency_us": 0,
                 "ttft_us": -1, "tags": {"custom_id": "request-1"}, "price_unknown": False}),
        (LOGGED, {"end_user_id": "u-1", "requested_model": "gpt-4o-mini-2024-07-18"}),
        (LITELLM, {"model": "gpt-4o-mini", "provider": "openai", "requested_model": "small", "cost_nano": 24_000,
                   "price_version": "imported/litellm", "latency_us": 1_500_000, "ttft_us": 400_000,
                   "end_user_id": "u-1", "tags": {"team": "search"}}),
        (LANGFUSE, {"model": "claude-3-5-haiku-20241022", "provider": "anthropic", "cost_nano": 130_000,
                    "latency_us": 1_500_000, "ttft_us": 400_000, "max_tokens": 256, "outcome": "ok",
                    "end_user_id": "u-1", "tags": {"run_id": "trace-1", "name": "answer"}}),
        (LANGFUSE_STORED, {"outcome": "error", "status": 0, "error_code": "the provider hung up", "max_tokens": 256,
                           "cost_nano": 27_000, "provider": "openai"}),
        (HELICONE, {"provider": "openai", "requested_model": "gpt-4o-mini", "stream": True, "max_tokens": 256,
                    "cost_nano": 24_000, "latency_us": 1_500_000, "ttft_us": 400_000, "tags": {"team": "search"}}),
    ],
    ids=["batch", "logged", "litellm", "langfuse", "langfuse stored", "helicone"],
)  # fmt: skip
def test_what_an_export_tells_is_kept(row: Row, expected: Mapping[str, object]) -> None:
    made = event(row)
    found = {name: getattr(made, name) for name in expected}
    assert {name: dict(value) if name == "tags" else value for name, value in found.items()} == expected


@pytest.mark.parametrize("row", [BATCH, COMPLETION, LITELLM, LANGFUSE, HELICONE])
def test_cached_tokens_are_counted_within_the_input(row: Row) -> None:
    assert event(row).usage.cache_read == 40


@pytest.mark.parametrize("row", [LOGGED, LITELLM, LANGFUSE, LANGFUSE_STORED, HELICONE])
def test_bodies_become_those_of_a_chat_completion(row: Row) -> None:
    made = event(row)
    assert json.loads(made.request_body)["messages"] == [{"role": "user", "content": "Hello?"}]
    assert json.loads(made.response_body)["choices"][0]["message"]["content"] == "Hi."


@pytest.mark.parametrize("row", [LITELLM, LANGFUSE, LANGFUSE_STORED, HELICONE])
def test_the_same_export_as_csv_holds_the_same(row: Row) -> None:
    out = io.StringIO()
    writer = csv.DictWriter(out, row)
    writer.writeheader()
    writer.writerow({name: json.dumps(each) if isinstance(each, (dict, list)) else each for name, each in row.items()})
    found = upload(out.getvalue().encode())
    assert found.flaws == []
    (message,) = found.messages
    assert RequestCompleted.FromString(message.value) == event(row)


@pytest.mark.parametrize(
    "row",
    [
        LANGFUSE | {"type": "SPAN"},
        LITELLM | {"cache_hit": "True"},
        LITELLM | {"call_type": "aimage_generation"},
        HELICONE | {"request_path": "/v1/audio/speech"},
    ],
)
def test_what_is_no_call_is_left_out_and_counted(row: Row) -> None:
    found = upload(jsonl(row))
    assert (found.rows, found.left_out, found.refused, found.messages) == (1, 1, 0, [])


def test_a_failed_call_of_a_batch_is_kept_as_one() -> None:
    failed = {**BATCH, "response": {"status_code": 429, "body": {"error": {"message": "slow down"}}}}
    found = upload(jsonl(BATCH, failed), "model=response.body.model|=gpt-4o-mini,started_at==1775044800")
    made = RequestCompleted.FromString(found.messages[1].value)
    assert (made.outcome, made.status, made.error_code, made.attempts[0].kind) == ("error", 429, "slow down", "status")
    assert (made.cost_nano, made.price_unknown) == (0, False)


def test_a_map_goes_over_a_preset_and_what_it_finds_nowhere_is_told() -> None:
    found = upload(jsonl(HELICONE), "tag.path=request_path,latency_ms=latency,error=nowhere")
    made = RequestCompleted.FromString(found.messages[0].value)
    assert made.tags["path"] == HELICONE["request_path"]
    assert made.latency_us == 0
    assert list(found.empty) == ["latency_ms", "error"]
    assert found.without_latency == 1
