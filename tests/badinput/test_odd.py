"""What is odd and yet allowed goes through, whatever the provider's dialect must make of it (P8, P9, P12, P28, P35)."""

from __future__ import annotations

import pytest
from badinput_wire import chat, request, sim

RECURSIVE = {"$ref": "#", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "type": "object"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": RECURSIVE}}


@pytest.mark.parametrize("model", ["gpt-4o", "mistral-small-latest", "claude-sonnet-4-5", "gemini-2.5-flash"])
@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"prompt": "a\0b"}, id="P12 NUL in content"),
        pytest.param({"prompt": "\ud83d\ude00 \u202e \ufeff"}, id="P10 a whole pair of surrogates"),
        pytest.param({"extra": {"tools": [TOOL]}}, id="P33 a schema that refers to itself"),
        pytest.param({"extra": {"mlx:tags": {"__proto__": "1", "a.b[0]": "2", "é😀": "3"}}}, id="P35 odd tags"),
        pytest.param({"extra": {"mlx:tags": {}}}, id="P35 no tags"),
        pytest.param({"extra": {"max_tokens": 1}}, id="P28 one token"),
        pytest.param({"extra": {"metadata": {"a": 12345678901234567890123}}}, id="P8 an integer above 64 bits"),
    ],
)
def test_what_is_odd_and_allowed_passes(live, body, model):
    answer = live.answer(request(chat(body.get("extra"), model=model, prompt=body.get("prompt", "hi"))))
    assert answer.status == 200, answer.raw[:600]
    assert len(live.calls()) == 1


def test_tags_stay_what_they_are(live):
    """P35: names that mean something to some language are text."""
    tags = {"__proto__": "1", "constructor": "2", "a.b[0]": "3"}
    answer = live.answer(request(chat({"mlx:tags": tags})))
    (event,) = [e for e in live.journal() if e.request_id == answer.headers["x-request-id"]]
    assert dict(event.tags) == tags
    assert b"mlx:tags" not in live.calls()[-1].body.encode()


@pytest.mark.parametrize(
    "extra",
    [
        pytest.param({"metadata": {"a": 10**4000}}, id="P8 4,001 digits in a member"),
        pytest.param({"metadata": {"a": 1e308}}, id="P9 a large fraction in a member"),
        pytest.param(
            {"tools": [{"type": "function", "function": {"name": "f", "parameters": {"a": 10**4000}}}]},
            id="P8 4,001 digits in a schema",
        ),
    ],
)
@pytest.mark.parametrize("model", ["gpt-4o", "claude-sonnet-4-5", "gemini-2.5-flash"])
def test_numbers_inside_are_the_providers_to_judge(live, extra, model):
    """P8: what is not ours to read goes through or is refused, whatever the dialect must make of it."""
    answer = live.answer(request(chat(extra, model=model)))
    assert answer.status in (200, 400), answer.raw[:600]


def test_a_limit_above_the_models_is_the_providers_400(live):
    """P28: the provider's own error comes through."""
    said = sim(status=400, error_code="invalid_value", error_param="max_tokens")
    answer = live.answer(request(chat({"max_tokens": 9_999_999}, prompt=said)))
    assert (answer.status, answer.error["param"]) == (400, "max_tokens")
