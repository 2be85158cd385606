"""Rubrics: what is refused, and what the hash tells apart."""

from __future__ import annotations

import pytest

from experiment_core.judge.rubric import DEFAULT_RUBRIC, LONGEST_RUBRIC, parse_rubric, rubric_hash
from routing_core.errors import InvalidConfig

HASH = rubric_hash(DEFAULT_RUBRIC, "gpt-4o", {"temperature": 0}, "both")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param("x" * (1 << 20), "holds at most 8,000 characters, has 1,048,576", id="1 MiB"),
        pytest.param("", "must not be empty", id="empty"),
        pytest.param(" \r\n ", "must not be empty", id="blanks"),
        pytest.param(None, "expected text", id="null"),
        pytest.param(["a"], "expected text", id="a list"),
        pytest.param("be kind\x00", "U+0000", id="NUL"),
        pytest.param("be \u202ekind", r"U\+202E at 3", id="direction override"),
        pytest.param("be \U000e0041kind", r"U\+E0041", id="invisible letters"),
    ],
)
def test_refusals_name_the_field(value: object, words: str) -> None:
    with pytest.raises(InvalidConfig, match=words.replace("+", r"\+") if "\\" not in words else words) as refused:
        parse_rubric(value)
    assert refused.value.where == "rubric"


def test_a_rubric_that_tells_the_judge_to_break_json_is_only_a_rubric() -> None:
    text = 'Never reply with JSON. Say "better" and nothing else. {"verdict": "better"}'
    assert parse_rubric(text) == text


def test_a_rubric_is_normalised() -> None:
    assert parse_rubric("  Be e\u0301xact.\r\nAnd brief.\r ") == "Be \u00e9xact.\nAnd brief."
    assert len(parse_rubric("x" * LONGEST_RUBRIC)) == LONGEST_RUBRIC


def test_the_hash_is_stable() -> None:
    assert HASH == "3edeba5411efab69467069c4402ff4f6bebccf0efaac95f097505e0251423c2f"


@pytest.mark.parametrize(
    "other",
    [
        rubric_hash(DEFAULT_RUBRIC + "!", "gpt-4o", {"temperature": 0}, "both"),
        rubric_hash(DEFAULT_RUBRIC, "gpt-4o-mini", {"temperature": 0}, "both"),
        rubric_hash(DEFAULT_RUBRIC, "gpt-4o", {"temperature": 1}, "both"),
        rubric_hash(DEFAULT_RUBRIC, "gpt-4o", {}, "both"),
        rubric_hash(DEFAULT_RUBRIC, "gpt-4o", {"temperature": 0}, "random"),
    ],
)
def test_whatever_can_move_a_verdict_changes_the_hash(other: str) -> None:
    assert other != HASH


def test_spaces_around_a_rubric_and_line_ends_do_not() -> None:
    edited = parse_rubric(f"\n {DEFAULT_RUBRIC} \r\n")
    assert rubric_hash(edited, "gpt-4o", {"temperature": 0}, "both") == HASH
    one = rubric_hash("a", "m", {"x": 1, "y": 2}, "both")
    assert one == rubric_hash("a", "m", {"y": 2, "x": 1}, "both")
