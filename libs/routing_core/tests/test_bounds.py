"""No priced call costs more than was reserved for it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from routing_core.bounds import (
    DEFAULT_OUTPUT_TOKENS,
    FLOOR_TOKENS,
    IMAGE_TOKENS,
    TEMPLATE_TOKENS,
    TOOL_TOKENS,
    UNKNOWN_CONTEXT_TOKENS,
    Parts,
    Size,
    input_tokens,
    output_limit,
)
from routing_core.pricing import Price, cost
from routing_core.types import Usage

RATES = st.integers(0, 200_000_000_000)
OPTIONAL = st.none() | RATES
TIER = st.builds(Price, RATES, RATES, OPTIONAL, OPTIONAL)
PRICES = st.builds(
    Price, RATES, RATES, OPTIONAL, OPTIONAL, st.lists(st.tuples(st.just(500), TIER), max_size=1).map(tuple)
)
MINI = Price(150_000_000, 600_000_000)


@given(PRICES, st.data())
def test_the_bound_is_never_below_the_cost(price: Price, data: st.DataObject) -> None:
    size = Size(data.draw(st.integers(1, 10**6)), data.draw(st.integers(1, 5)), data.draw(st.integers(0, 2000)))
    limit = data.draw(st.integers(1, 10**5))
    read = data.draw(st.integers(0, size.input_tokens))
    write = data.draw(st.integers(0, size.input_tokens - read))
    used = data.draw(st.integers(read + write, size.input_tokens))
    output = data.draw(st.integers(0, size.answers * (limit + size.thinking_tokens)))
    assert cost(price, Usage(used, output, read, write)) <= size.cost(price, limit)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]))), st.booleans())
def test_a_body_has_a_byte_for_every_token(texts: list[str], ascii_only: bool) -> None:
    messages = [{"role": "user", "content": text} for text in texts]
    body = json.dumps({"model": "m", "messages": messages}, ensure_ascii=ascii_only).encode()
    worst = sum(len(text.encode()) + 8 for text in texts)
    assert input_tokens(len(body), "openai") - TEMPLATE_TOKENS >= worst


@pytest.mark.parametrize(
    ("provider", "parts", "tools", "context", "expected"),
    [
        pytest.param("openai", Parts(), False, 8000, 1000 + TEMPLATE_TOKENS, id="text"),
        pytest.param("openai", Parts(), True, None, 1000 + TEMPLATE_TOKENS + TOOL_TOKENS, id="tools"),
        pytest.param(
            "anthropic",
            Parts(2, 600),
            False,
            None,
            400 + TEMPLATE_TOKENS + 2 * IMAGE_TOKENS["anthropic"],
            id="pictures",
        ),
        pytest.param("groq", Parts(1, 600), False, 9000, 9000, id="pictures at an unknown provider"),
        pytest.param("groq", Parts(1), False, None, UNKNOWN_CONTEXT_TOKENS, id="an unknown window too"),
        pytest.param("openai", Parts(1, 0, False, True), False, 9000, 9000, id="a file"),
        pytest.param("openai", Parts(0, 0, False, True), False, 500, 1000 + TEMPLATE_TOKENS, id="beyond the window"),
        pytest.param("openai", Parts(0, 0, True), False, 500, 1000 + TEMPLATE_TOKENS, id="sound goes by its bytes"),
    ],
)
def test_input(provider: str, parts: Parts, tools: bool, context: int | None, expected: int) -> None:
    assert input_tokens(1000, provider, parts, tools=tools, context_tokens=context) == expected


@pytest.mark.parametrize(
    ("asked", "default", "model_max", "context", "estimated", "expected"),
    [
        pytest.param(7, 500, 4096, 8000, 10, 7, id="the caller's"),
        pytest.param(90_000, 500, 4096, 8000, 10, 90_000, id="the caller's, though the model cannot"),
        pytest.param(None, 500, 4096, 8000, 10, 500, id="the project's"),
        pytest.param(None, 5000, 4096, 128_000, 10, 4096, id="the project's, within the model's"),
        pytest.param(None, 5000, None, None, 10, 5000, id="the project's for an unknown model"),
        pytest.param(None, 0, 4096, 128_000, 10, 4096, id="the model's"),
        pytest.param(None, 0, None, None, 10, DEFAULT_OUTPUT_TOKENS, id="nobody's"),
        pytest.param(None, 0, 8192, 8192, 1000, 8192 - 1250 - TEMPLATE_TOKENS, id="beside the input"),
        pytest.param(None, 0, 8192, 8192, 8000, FLOOR_TOKENS, id="no room beside the input"),
    ],
)
def test_limits(
    asked: int | None, default: int, model_max: int | None, context: int | None, estimated: int, expected: int
) -> None:
    assert output_limit(asked, default, model_max, context, estimated) == expected


def test_embeddings_are_charged_for_their_input_alone() -> None:
    assert Size(1_000_000, thinking_tokens=50).cost(MINI, 0) == 150_000_000


@given(st.integers(0, 10**9), st.integers(1, 200_000))
def test_a_limit_is_lowered_as_little_as_needed(left: int, limit: int) -> None:
    size = Size(1000, 2)
    found = size.affordable(MINI, left, limit, FLOOR_TOKENS)
    if found is None:
        assert size.cost(MINI, min(limit, FLOOR_TOKENS)) > left
    else:
        assert size.cost(MINI, found) <= left
        assert found == limit or size.cost(MINI, found + 1) > left
        assert found >= min(limit, FLOOR_TOKENS)
