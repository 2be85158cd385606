"""The size of a request, from which its worst case is told: no way to write it makes it look smaller."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelux_calling.openai_schema import read_chat, read_embeddings
from modelux_calling.request_size import Measured, measure
from routing_core.bounds import IMAGE_TOKENS, TEMPLATE_TOKENS, TOOL_TOKENS, UNKNOWN_CONTEXT_TOKENS
from routing_core.pricing import Price
from routing_core.types import Target
from routing_core.world import Offer

PNG = "data:image/png;base64," + "A" * 4000
TOOL = {"type": "function", "function": {"name": "f", "parameters": {}}}


def chat(*content: object, **members: Any) -> bytes:
    said: object = list(content) or "hi"
    return json.dumps({"model": "m", "messages": [{"role": "user", "content": said}], **members}).encode()


def escaped(name: str, value: object) -> bytes:
    """A member whose name is written with an escape, as any reader of JSON takes it."""
    member = f'"{name[:3]}\\u{ord(name[3]):04x}{name[4:]}": {json.dumps(value)}'
    return chat()[:-1] + b", " + member.encode() + b"}"


def size(raw: bytes) -> Measured:
    return measure(read_chat(raw)[0], raw)


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (chat(), True),
        (chat(n=4, max_tokens=9, temperature=1, user="u", stream=True), True),
        (chat(tools=[TOOL]), False),
        (chat(thinking={"budget_tokens": 9}), False),
        (escaped("thinking", {"budget_tokens": 9}), False),
        (escaped("web_search_options", {}), False),
        (chat(modalities=["audio"]), False),
        (chat(extra_body={}), False),
        (chat({"type": "text", "text": "hi"}), False),
        (json.dumps({"model": "m", "messages": [{"role": "assistant", "audio": {"id": "a"}}]}).encode(), False),
    ],
)
def test_what_is_certain_to_be_text_is_not_searched_and_has_the_same_size(raw: bytes, text: bool) -> None:
    body, _, _, told = read_chat(raw)
    assert told is text
    assert not text or measure(body, raw, text=True) == measure(body, raw)


def offer(context_tokens: int | None = None) -> Offer:
    return Offer(Target("m", "p", "c"), Price(1, 1), context_tokens=context_tokens)


@pytest.mark.parametrize(
    ("raw", "found"),
    [
        pytest.param(chat(), {}, id="plain"),
        pytest.param(chat(n=4), {"answers": 4}, id="several answers"),
        pytest.param(chat(tools=[TOOL]), {"tools": True}, id="tools"),
        pytest.param(chat(response_format={"type": "json_object"}), {"tools": True}, id="a format"),
        pytest.param(chat(thinking={"type": "enabled", "budget_tokens": 9}), {"thinking_tokens": 9}, id="thinking"),
        pytest.param(escaped("thinking", {"budget_tokens": 9}), {"thinking_tokens": 9}, id="thinking, escaped"),
        pytest.param(chat(thinking={"budget_tokens": -9}), {"thinking_tokens": 0}, id="less thinking than none"),
        pytest.param(chat(web_search_options={}), {"web_searches": 10}, id="search"),
        pytest.param(escaped("web_search_options", {}), {"web_searches": 10}, id="search, escaped"),
        pytest.param(escaped("plugins", [{"id": "web"}]), {"web_searches": 10}, id="plugins, escaped"),
        pytest.param(chat(tools=[{"type": "web_search"}]), {"web_searches": 10, "tools": True}, id="a search tool"),
        pytest.param(chat(modalities=["text", "audio"]), {"audio": True}, id="an answer in sound"),
        pytest.param(escaped("modalities", ["text"]), {"audio": True}, id="an answer in sound, escaped"),
        pytest.param(
            chat({"type": "input_audio", "input_audio": {"data": "AA", "format": "wav"}}), {"audio": True}, id="sound"
        ),
    ],
)
def test_what_a_request_holds_is_seen(raw: bytes, found: dict[str, object]) -> None:
    got = size(raw)
    expected = {"answers": 1, "tools": False, "thinking_tokens": 0, "audio": b"\\u" in raw, "web_searches": 0} | found
    assert {name: getattr(got, name) for name in expected} == expected
    assert got.body_bytes == len(raw)


def image(url: str) -> dict[str, object]:
    return {"type": "image_url", "image_url": {"url": url}}


@pytest.mark.parametrize(
    ("raw", "provider", "tokens"),
    [
        pytest.param(chat(), "openai", len(chat()) + TEMPLATE_TOKENS, id="text"),
        pytest.param(chat(tools=[TOOL]), "x", len(chat(tools=[TOOL])) + TEMPLATE_TOKENS + TOOL_TOKENS, id="tools"),
        pytest.param(
            chat(image(PNG)),
            "openai",
            len(chat(image(PNG))) - len(PNG) + TEMPLATE_TOKENS + IMAGE_TOKENS["openai"],
            id="a picture",
        ),
        pytest.param(
            chat(image("https://x.example/a.png"), image("https://x.example/b.png")),
            "anthropic",
            len(chat(image("https://x.example/a.png"), image("https://x.example/b.png")))
            + TEMPLATE_TOKENS
            + 2 * IMAGE_TOKENS["anthropic"],
            id="pictures elsewhere",
        ),
        pytest.param(chat(image(PNG)), "unheard-of", UNKNOWN_CONTEXT_TOKENS, id="pictures of an unknown price"),
        pytest.param(
            chat({"type": "file", "file": {"file_id": "f"}}), "openai", UNKNOWN_CONTEXT_TOKENS, id="a file by its name"
        ),
        pytest.param(chat(web_search_options={}), "openai", UNKNOWN_CONTEXT_TOKENS, id="what a search finds"),
    ],
)
def test_the_most_input_tokens(raw: bytes, provider: str, tokens: int) -> None:
    assert size(raw).at(provider, None).input_tokens == tokens


def test_what_may_come_to_anything_comes_to_the_context_window() -> None:
    opaque = size(chat({"type": "file", "file": {"file_id": "f"}}))
    assert opaque.at("openai", offer(128_000)).input_tokens == 128_000
    assert size(chat()).at("openai", offer(10)).input_tokens == len(chat()) + TEMPLATE_TOKENS


def test_embeddings_are_their_bytes() -> None:
    raw = json.dumps({"model": "m", "input": ["a", "b"]}).encode()
    assert measure(read_embeddings(raw)[0], raw) == Measured(len(raw))
