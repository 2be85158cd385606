"""An answer as one text: what was said, then the tools called, the same for equal calls."""

from __future__ import annotations

import json

import pytest

from modelux_calling.answers import LONGEST, text_of


def answer(**message: object) -> bytes:
    return json.dumps({"choices": [{"message": message}, {"message": {"content": "another"}}]}).encode()


def tool(name: str, arguments: str | None) -> dict[str, object]:
    return {"id": "call_1", "type": "function", "function": {"name": name, "arguments": arguments}}


@pytest.mark.parametrize(
    ("body", "text"),
    [
        pytest.param(answer(content="hello"), "hello", id="text"),
        pytest.param(answer(content=[{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]), "ab", id="parts"),
        pytest.param(answer(content=None, refusal="no"), "no", id="a refusal"),
        pytest.param(
            answer(content=None, tool_calls=[tool("find", '{ "b": 1, "a": [2] }')]),
            '[{"arguments":{"a":[2],"b":1},"name":"find"}]',
            id="a tool",
        ),
        pytest.param(
            answer(content="look:", tool_calls=[tool("x", "{broken"), tool("y", None)]),
            'look:\n[{"arguments":"{broken","name":"x"},{"arguments":{},"name":"y"}]',
            id="text and tools, one with arguments that are no JSON",
        ),
        pytest.param(
            answer(content=None, function_call={"name": "old", "arguments": "{}"}),
            '[{"arguments":{},"name":"old"}]',
            id="a function of the older kind",
        ),
        pytest.param(
            b'data: {"choices":[{"index":0,"delta":{"content":"in "}}]}\n\n'
            b'data: {"choices":[{"index":0,"delta":{"content":"pieces"}}]}\n\ndata: [DONE]\n\n',
            "in pieces",
            id="a stream",
        ),
        pytest.param(b"", "", id="nothing"),
        pytest.param(b"<html>", "", id="no JSON"),
        pytest.param(b'{"choices":[]}', "", id="no choice"),
        pytest.param(b'{"error":{"message":"x"}}', "", id="an error"),
        pytest.param(answer(content="x" * (LONGEST + 5)), "x" * LONGEST, id="too long"),
    ],
)
def test_what_an_answer_says(body, text):
    assert text_of(body) == text
