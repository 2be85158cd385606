"""What was asked, read out of bodies of many shapes."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_store.prompts import LONGEST_CHARS, prompt

TURNS = [
    {"role": "system", "content": "be kind"},
    {"role": "user", "content": "first"},
    {"role": "assistant", "content": "answer"},
    {"role": "user", "content": "second"},
    {"role": "tool", "content": "result"},
]
PARTS = [{"type": "text", "text": "what is"}, {"type": "image_url", "image_url": {"url": "x"}}, {"text": "this?"}]


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param({"messages": TURNS}, "second", id="the user's last turn"),
        pytest.param({"messages": [{"role": "user", "content": PARTS}]}, "what is\nthis?", id="content in parts"),
        pytest.param({"messages": [TURNS[1], {"role": "user", "content": " "}]}, "first", id="a blank last turn"),
        pytest.param({"messages": [TURNS[0]]}, "", id="nothing from the user"),
        pytest.param({"prompt": "complete me"}, "complete me", id="completions"),
        pytest.param({"input": ["a", "b"]}, "a\nb", id="embeddings"),
        pytest.param({"input": [1, 2, 3]}, "", id="tokens"),
        pytest.param({"messages": [{"role": "user", "content": "x" * 10_000}]}, "x" * LONGEST_CHARS, id="too long"),
        pytest.param([], "", id="no object"),
    ],
)
def test_the_prompt_is_found(body: object, text: str) -> None:
    assert prompt(json.dumps(body)) == text


@pytest.mark.parametrize(
    "body", ["", "{", "null", '{"messages": 3}', '{"messages": [3, {"role": "user"}]}', "[" * 9_000]
)
def test_what_is_no_request_has_no_prompt(body: str) -> None:
    assert prompt(body) == ""


@given(st.recursive(st.none() | st.text() | st.integers(), lambda x: st.lists(x) | st.dictionaries(st.text(), x)))
def test_any_json_is_read_without_an_error(value: object) -> None:
    assert isinstance(prompt(json.dumps({"messages": value, "prompt": value})), str)
