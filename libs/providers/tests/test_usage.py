"""A provider's counts become one usage vector, the same from a whole answer and from a stream, with its price."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import genai_prices
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from modelux_providers.catalog import VENDORS, Catalog
from modelux_providers.dialects import usage
from modelux_providers.dialects.base import ChatCall, Complete, UsageSeen, VendorFacts
from modelux_providers.dialects.table import DIALECTS
from modelux_providers.model_facts import facts_of
from modelux_runtime.settings import child_environment
from routing_core.pricing import cost
from routing_core.types import Usage, UsageExtras

CATALOG = Catalog.load()
Counts = dict[str, Any]


def call(dialect: Any) -> ChatCall:
    return ChatCall(b'{"model":"m","messages":[]}', "m", VendorFacts(dialect, dialect=dialect), request_id="req_1")


def whole(dialect: str, counts: Counts) -> Usage | None:
    """What the dialect reads of a whole answer with these counts."""
    doc: Counts
    match dialect:
        case "anthropic":
            content = [{"type": "text", "text": "hi"}]
            doc = {"type": "message", "id": "m", "content": content, "stop_reason": "end_turn", "usage": counts}
        case "google":
            candidate = {"content": {"parts": [{"text": "hi"}]}, "finishReason": "STOP"}
            doc = {"candidates": [candidate], "usageMetadata": counts}
        case _:
            choice = {"index": 0, "message": {"role": "assistant", "content": "hi"}, "finish_reason": "stop"}
            doc = {"id": "x", "object": "chat.completion", "choices": [choice], "usage": counts}
    complete = DIALECTS[dialect].response(call(dialect), json.dumps(doc).encode())  # type: ignore[index]  # a name
    assert isinstance(complete, Complete)
    return complete.usage


def streamed(dialect: str, counts: Counts, *, early: bool = False) -> Usage | None:
    """The last that the dialect reads of a stream. `early`: the counts stand on the chunk with the finish reason, or
    where the provider tells some of them at the start and all at the end.
    """
    reader = DIALECTS[dialect].stream(call(dialect))  # type: ignore[index]  # a name
    events = [event for doc in _events(dialect, counts, early) for event in reader.feed(b"data: %b\n\n" % doc)]
    events += reader.eof()
    seen = [event.usage for event in events if isinstance(event, UsageSeen)]
    return seen[-1] if seen else None


def _events(dialect: str, counts: Counts, early: bool) -> list[bytes]:
    docs: list[Counts]
    match dialect:
        case "anthropic":
            first = {**counts, "output_tokens": 1} if early else {}
            docs = [
                {"type": "message_start", "message": {"id": "m", "usage": first}},
                {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": "hi"}},
                {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": counts},
                {"type": "message_stop"},
            ]
        case "google":
            parts = {"content": {"parts": [{"text": "hi"}]}}
            first = {"promptTokenCount": counts.get("promptTokenCount", 1)} if early else {}
            last = {"candidates": [{"content": {"parts": []}, "finishReason": "STOP"}], "usageMetadata": counts}
            docs = [{"candidates": [parts], "usageMetadata": first}, last]
        case _:
            delta = {"index": 0, "delta": {"role": "assistant", "content": "hi"}, "finish_reason": None}
            finish = {"index": 0, "delta": {}, "finish_reason": "stop"}
            tail = [{"choices": [finish], "usage": counts}]
            docs = [
                {"choices": [delta]},
                *(tail if early else [{"choices": [finish]}, {"choices": [], "usage": counts}]),
            ]
    return [json.dumps(doc).encode() for doc in docs] + ([b"[DONE]"] if dialect == "openai" else [])


@pytest.mark.parametrize("early", [False, True])
@pytest.mark.parametrize(
    ("dialect", "counts", "expected"),
    [
        pytest.param(
            "openai",
            {
                "prompt_tokens": 100,
                "completion_tokens": 50,
                "prompt_tokens_details": {"cached_tokens": 30, "audio_tokens": 20},
                "completion_tokens_details": {"reasoning_tokens": 5, "audio_tokens": 40},
            },
            Usage(100, 50, 30, 0, 5, extras=UsageExtras(input_audio=20, output_audio=40)),
            id="openai: sound both ways",
        ),
        pytest.param(
            "openai",
            {
                "prompt_tokens": 100,
                "completion_tokens": 5,
                "prompt_tokens_details": {"cached_tokens": 90, "audio_tokens": 40},
            },
            Usage(100, 5, 90, extras=UsageExtras(input_audio=40, cache_audio_read=30)),
            id="openai: sound that must have been cached",
        ),
        pytest.param(
            "openai",
            {
                "prompt_tokens": 10,
                "completion_tokens": 9,
                "prompt_tokens_details": {"audio_tokens": 0},
                "completion_tokens_details": {"audio_tokens": 0},
            },
            Usage(10, 9),
            id="openai: plain text",
        ),
        pytest.param(
            "openai",
            {"prompt_tokens": 10, "completion_tokens": 9, "num_search_queries": 3},
            Usage(10, 9, extras=UsageExtras(web_searches=3)),
            id="perplexity: searches",
        ),
        pytest.param(
            "openai",
            {"prompt_tokens": 10.0, "completion_tokens": 9, "prompt_tokens_details": {"audio_tokens": 4}},
            Usage(10, 9, extras=UsageExtras(input_audio=4)),
            id="openai: numbers written as fractions",
        ),
        pytest.param(
            "openai",
            {"prompt_tokens": 10, "completion_tokens": 9, "prompt_tokens_details": {"audio_tokens": -4}},
            Usage(10, 9),
            id="openai: less than nothing",
        ),
        pytest.param(
            "anthropic",
            {
                "input_tokens": 3,
                "output_tokens": 44,
                "cache_read_input_tokens": 9511,
                "cache_creation_input_tokens": 1956,
                "cache_creation": {"ephemeral_5m_input_tokens": 956, "ephemeral_1h_input_tokens": 1000},
                "server_tool_use": {"web_search_requests": 2, "web_fetch_requests": 1},
            },
            Usage(11470, 44, 9511, 1956, extras=UsageExtras(1000, web_searches=2)),
            id="anthropic: both caches and searches",
        ),
        pytest.param(
            "anthropic",
            {"input_tokens": 3, "output_tokens": 4, "cache_creation": {"ephemeral_1h_input_tokens": 7}},
            Usage(10, 4, 0, 7, extras=UsageExtras(7)),
            id="anthropic: the parts without their sum",
        ),
        pytest.param(
            "anthropic",
            {
                "input_tokens": 3,
                "output_tokens": 4,
                "cache_creation": [],
                "server_tool_use": {"web_search_requests": "9"},
            },
            Usage(3, 4),
            id="anthropic: of the wrong shape",
        ),
        pytest.param(
            "google",
            {
                "promptTokenCount": 300,
                "candidatesTokenCount": 20,
                "thoughtsTokenCount": 5,
                "toolUsePromptTokenCount": 10,
                "cachedContentTokenCount": 100,
                "promptTokensDetails": [
                    {"modality": "TEXT", "tokenCount": 150},
                    {"modality": "AUDIO", "tokenCount": 100},
                    {"modality": "VIDEO", "tokenCount": 30},
                    {"modality": "IMAGE", "tokenCount": 20},
                ],
                "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 60}],
                "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": 12}],
            },
            Usage(310, 25, 100, 0, 5, extras=UsageExtras(0, 100, 60, 50, 0, 12)),
            id="google: every kind of content",
        ),
        pytest.param(
            "google",
            {"promptTokenCount": 3, "candidatesTokenCount": 2, "promptTokensDetails": [7, {"modality": ["AUDIO"]}]},
            Usage(3, 2),
            id="google: of the wrong shape",
        ),
    ],
)
def test_counts_become_one_vector(dialect: str, counts: Counts, expected: Usage, early: bool) -> None:
    assert whole(dialect, counts) == expected
    assert streamed(dialect, counts, early=early) == expected


COUNT = st.integers(-1, 5000) | st.sampled_from([None, 1.0, 1e30, "7"])
TOKENS = st.integers(0, 5000)
DETAILS = st.lists(
    st.fixed_dictionaries({"modality": st.sampled_from(["TEXT", "AUDIO", "IMAGE", "VIDEO"]), "tokenCount": COUNT}),
    max_size=4,
)


def counts_of(names: str, details: dict[str, st.SearchStrategy[Any]]) -> st.SearchStrategy[Counts]:
    return st.fixed_dictionaries(dict.fromkeys(names.split(), TOKENS), optional=details)


SHAPES = {
    "openai": counts_of(
        "prompt_tokens completion_tokens",
        {
            "prompt_tokens_details": st.dictionaries(
                st.sampled_from(["cached_tokens", "cache_write_tokens", "audio_tokens", "image_tokens"]), COUNT
            ),
            "completion_tokens_details": st.dictionaries(
                st.sampled_from(["reasoning_tokens", "audio_tokens", "image_tokens"]), COUNT
            ),
        },
    ),
    "anthropic": counts_of(
        "input_tokens output_tokens",
        {
            "cache_read_input_tokens": COUNT,
            "cache_creation_input_tokens": COUNT,
            "cache_creation": st.dictionaries(
                st.sampled_from(["ephemeral_5m_input_tokens", "ephemeral_1h_input_tokens"]), COUNT
            ),
            "server_tool_use": st.fixed_dictionaries({"web_search_requests": COUNT}),
        },
    ),
    "google": counts_of(
        "promptTokenCount candidatesTokenCount",
        {
            "thoughtsTokenCount": TOKENS,
            "toolUsePromptTokenCount": TOKENS,
            "cachedContentTokenCount": COUNT,
            "promptTokensDetails": DETAILS,
            "cacheTokensDetails": DETAILS,
            "candidatesTokensDetails": DETAILS,
        },
    ),
}


@settings(deadline=None)
@given(st.sampled_from(sorted(SHAPES)).flatmap(lambda name: st.tuples(st.just(name), SHAPES[name])), st.booleans())
def test_a_stream_counts_what_the_whole_answer_counts(shape: tuple[str, Counts], early: bool) -> None:
    dialect, counts = shape
    told = whole(dialect, counts)
    if told is not None:
        assert streamed(dialect, counts, early=early) == told
        extras = told.extras or UsageExtras()
        fresh = told.input - told.cache_read - told.cache_write
        assert 0 <= extras.cache_audio_read <= min(extras.input_audio, told.cache_read)
        assert 0 <= extras.input_audio - extras.cache_audio_read <= fresh
        assert 0 <= extras.cache_write_1h <= told.cache_write
        assert 0 <= extras.output_audio + extras.output_image <= told.output
        assert usage.read(json.dumps(usage.written(told)).encode()) is not None


class Case(NamedTuple):
    """One recorded usage at one provider, with what genai-prices took for it."""

    vendor: str
    price_list: str
    model: str
    dialect: str
    counts: Counts
    their_usage: Counts
    nano: Decimal


AT = datetime(2026, 6, 10, 12, tzinfo=UTC)
"""The prices of the cases are those of that day, and of midday, as some change with the hour."""
FLAVORS = {"openai": {"chat", "default", "embeddings"}, "anthropic": {"default"}, "google": {"default"}}
EXCLUDED = {
    "genai-prices has no price for it": 15847,
    "a provider that is none of our vendors": 476,
    "an interface that we do not speak at that provider": 1389,
    "an answer to a chat, read as one to embeddings": 367,
    "genai-prices does not read what was written to the cache": 1,
}
REPRICED = 4
"""Cases for which the release that our table is made from has another price than the release they were made with."""


def test_recorded_usages_cost_what_genai_prices_takes() -> None:
    cases, excluded = _cases()
    assert dict(excluded) == EXCLUDED
    moment, repriced = int(AT.timestamp() * 1000), []
    for case in cases:
        told = whole(case.dialect, case.counts)
        assert told is not None
        assert _core(told) == _theirs(case.their_usage), case
        assert streamed(case.dialect, case.counts) == streamed(case.dialect, case.counts, early=True) == told
        price = CATALOG.price(case.vendor, case.model, moment)
        assert price is not None, case.model
        if not 0 <= cost(price, told) - case.nano < 1:
            now = genai_prices.calc_price(
                genai_prices.Usage(**case.their_usage),
                case.model,
                provider_id=case.price_list,
                genai_request_timestamp=AT,
            )
            assert 0 <= cost(price, told) - now.total_price * 10**9 < 1, case
            repriced.append(case)
    assert len(repriced) == REPRICED
    assert len(cases) == 1241


def _cases() -> tuple[list[Case], Counter[str]]:
    given = child_environment({}).get("MODELUX_TEST_DATA")
    folder = Path(given) if given else Path(__file__).parents[4] / "shared" / "data"
    file = folder / "pricing" / "genai_prices_usages_golden.json"
    if not file.exists():
        pytest.skip(f"the recorded usages are not here: put {file.name} into pricing/ of MODELUX_TEST_DATA")
    cases: list[Case] = []
    excluded: Counter[str] = Counter()
    for found in _read(json.loads(file.read_text())):
        if isinstance(found, str):
            excluded[found] += 1
        else:
            cases.append(found)
    return cases, excluded


def _read(docs: list[Counts]) -> Iterator[Case | str]:
    vendors = {vendor.prices[0]: vendor for vendor in reversed(VENDORS.values()) if vendor.prices and not vendor.local}
    for doc in docs:
        body = doc["body"]
        for found in doc["extracted"]:
            for by in found["extractors"]:
                vendor = vendors.get(by["provider_id"])
                flavors = FLAVORS[vendor.facts.dialect] if vendor else set()
                model = doc.get("model", "")
                if "input_price" not in by:
                    yield "genai-prices has no price for it"
                elif vendor is None:
                    yield "a provider that is none of our vendors"
                elif by["api_flavor"] == "embeddings" and "embeddings" not in facts_of(model).capabilities:
                    yield "an answer to a chat, read as one to embeddings"
                elif by["api_flavor"] not in flavors:
                    yield "an interface that we do not speak at that provider"
                elif _written(body) and "cache_write_tokens" not in found["usage"]:
                    yield "genai-prices does not read what was written to the cache"
                else:
                    told = body.get("usage") or body["usageMetadata"]
                    total = by.get("total_price") or Decimal(by["input_price"]) + Decimal(by["output_price"])
                    names = (vendor.name, by["provider_id"], model, vendor.facts.dialect)
                    yield Case(*names, told, found["usage"], Decimal(total) * 10**9)


def _written(body: Counts) -> int:
    details = body.get("usage", {}).get("prompt_tokens_details") or {}
    return details.get("cache_write_tokens") or 0


def _core(told: Usage) -> tuple[int, ...]:
    extras = told.extras or UsageExtras()
    return told.input, told.output, extras.input_audio, extras.output_image, extras.web_searches


def _theirs(usage_: Counts) -> tuple[int, ...]:
    names = ("input_tokens", "output_tokens", "input_audio_tokens", "output_image_tokens", "web_searches")
    return tuple(usage_.get(name, 0) for name in names)
