"""Both answers of a replayed request on wide and on narrow terminals."""

from __future__ import annotations

import json
from typing import Any

import pytest

from modelux_cli.answer_text import answer_lines

Row = dict[str, Any]


def completion(text: str) -> Row:
    return {"choices": [{"message": {"content": text}}]}


def compared(current: object, candidate: object, /, **fields: Any) -> Row:
    """As the API shows a row with its answers."""
    sides = {"baseline": {"model": "gpt-4o", "status": "ok", "error_code": None}}
    sides["candidate"] = sides["baseline"] | {"model": "gpt-4o-mini"}
    asked = {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "Two and two?"}]}
    row = {"request_id": "req_1", "timestamp": "2026-04-10T00:00:00Z", "evidence": "observed", "similarity": 0.5}
    row |= {"candidate_request_id": "req_9", "answers": {"request_body": asked, "baseline": current}, **sides, **fields}
    row["answers"]["candidate"] = candidate
    return row


def told(row: Row, width: int | None = None) -> list[str]:
    return list(answer_lines([row], width))


def test_answers_stand_side_by_side() -> None:
    lines = told(compared(completion("Four.\nSurely."), completion("It is four, " * 6)), 80)
    rule = "-" * 37
    assert lines == [
        "req_1  2026-04-10T00:00:00Z  observed  similarity 0.500",
        "  asked: Two and two?",
        f"  {'CURRENT gpt-4o':<37} | CANDIDATE gpt-4o-mini",
        f"  {rule} | {rule}",
        f"  {'Four.':<37} | It is four, It is four, It is four,",
        f"  {'Surely.':<37} | It is four, It is four, It is four,",
    ]


def test_on_a_narrow_terminal_they_stand_below_each_other() -> None:
    lines = told(compared(completion("Four."), completion("It is four.")), 79)
    assert lines[2:] == ["  CURRENT gpt-4o", "    Four.", "  CANDIDATE gpt-4o-mini", "    It is four."]


@pytest.mark.parametrize("width", [20, 79, 80, 133, None])
@pytest.mark.parametrize("text", ["word " * 300, "x" * 500, "四に" * 200, "a\tb\n\n  c" * 40])
def test_no_line_is_wider_than_the_terminal(width: int | None, text: str) -> None:
    for line in told(compared(completion(text), completion(text)), width)[1:]:
        cells = sum(2 if each in "四に" else 1 for each in line)
        assert cells <= (width or 120), line


@pytest.mark.parametrize(
    ("fields", "shown"),
    [
        ({"candidate": {"model": "m", "status": "error", "error_code": "timeout"}}, "(failed: timeout)"),
        ({"candidate_request_id": None, "evidence": "reused"}, "(the logged answer)"),
        ({"candidate_request_id": None, "evidence": "projected"}, "(not called)"),
        ({}, "(not kept)"),
    ],
)
def test_where_there_is_no_answer_it_says_why(fields: Row, shown: str) -> None:
    assert told(compared(completion("Four."), None, **fields), 60)[-1] == f"    {shown}"


def test_streams_are_read_and_control_characters_are_not_shown() -> None:
    chunk = {"choices": [{"index": 0, "delta": {"content": "\x1b[31mFour.\u202e"}}]}
    stream = f"data: {json.dumps(chunk)}\n\ndata: [DONE]\n\n"
    assert told(compared(completion("4"), stream), 60)[-1] == "    [31mFour."


def test_what_is_no_completion_is_shown_as_it_stands() -> None:
    lines = told(compared("plain words", {"odd": "é"}, answers={"baseline": "plain words"}), 60)
    assert lines[1:] == [
        "  asked: (not kept)",
        "  CURRENT gpt-4o",
        "    plain words",
        "  CANDIDATE gpt-4o-mini",
        '    {"odd": "é"}',
    ]


def test_a_text_without_end_is_cut_and_says_so() -> None:
    assert told(compared(completion("a" * 6_001), completion("4")), 40).count("    … (1 more characters)") == 1
