"""Patterns agree with `re` wherever both speak, and stay linear where `re` does not."""

from __future__ import annotations

import re
import time
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from routing_core.errors import InvalidConfig
from routing_core.patterns import compile_pattern

ATOMS = ["a", "b", ".", "[ab]", "[^a]", "[a-c]", r"\d", r"\W", r"\.", "^", "$", "(?:ab|b)", "(a|)", r"[\w-]", "\n", "é"]
REPEATS = ["", "", "", "*", "+", "?", "{2}", "{1,2}", "{0,3}", "{2,}", "*?", "+?"]
PIECES = st.tuples(st.sampled_from(ATOMS), st.sampled_from(REPEATS)).map(
    lambda p: p[0] if p[0] in ("^", "$") else p[0] + p[1]
)
SERIES = st.lists(PIECES, max_size=5).map("".join)
PATTERNS = st.recursive(
    SERIES,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("|".join),
        st.tuples(inner, st.sampled_from(REPEATS)).map(lambda p: f"({p[0]}){p[1]}"),
    ),
    max_leaves=4,
)


@settings(max_examples=500, deadline=None)
@given(PATTERNS, st.text(alphabet="abc1.\né-", max_size=8))
def test_search_and_fullmatch_agree_with_re(pattern: str, text: str) -> None:
    # `$` of re also matches before a last newline; ours means the end alone, as \Z
    reference = pattern.replace("$", r"\Z")
    try:
        ours = compile_pattern(pattern)
    except InvalidConfig as error:
        assert "too large" in error.message  # noqa: PT017  # anything else of this grammar must compile
        return
    expected = re.compile(reference, re.ASCII)
    assert ours.search(text) is (expected.search(text) is not None)
    assert ours.search(text) is ours.search(text)
    assert ours.fullmatch(text) is (expected.fullmatch(text) is not None)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("", "", True),
        ("^$", "", True),
        ("^$", "a", False),
        ("$a", "a", False),
        ("a^", "a", False),
        ("(?i)GPT-[a-c]", "x gpt-B", True),
        ("(?i)ä", "Ä", True),
        ("GPT", "gpt", False),
        ("[]a]+$", "]a]", True),
        ("[a-]", "-", True),
        (r"[\d\s]x", "a 5x", True),
        (r"\t\n", "\t\n", True),
        ("a{0}b", "ab", True),
        ("(a{2}){2}", "aaaa", True),
        ("(a{2}){2}", "aaa", False),
    ],
)
def test_examples(pattern: str, text: str, expected: bool) -> None:
    assert compile_pattern(pattern).search(text) is expected


@pytest.mark.parametrize(
    ("pattern", "where", "message"),
    [
        ("a" * 257, "column 1", "too long"),
        ("(a{100}){100}", "column 1", "too large"),
        ("(" * 30, "column 22", "nested too deeply"),
        ("(a", "column 1", "not closed"),
        ("a)", "column 2", "unbalanced"),
        ("[a", "column 1", "not closed"),
        ("[", "column 1", "not closed"),
        ("a\\", "column 3", "ends inside"),
        ("*a", "column 1", "nothing to repeat"),
        ("a**", "column 3", "nothing to repeat"),
        ("a{2,1}", "column 2", "from low to high"),
        ("a{1000}", "column 2", "from low to high"),
        ("a{x}", "column 2", "not a repeat count"),
        ("a{2", "column 2", "not a repeat count"),
        ("^*", "column 2", "anchor cannot be repeated"),
        (r"(a)\1", "column 4", "not supported"),
        (r"\bword", "column 1", "not supported"),
        ("(?=a)", "column 1", "only plain groups"),
        ("(?P<n>a)", "column 1", "only plain groups"),
        ("[z-a]", "column 2", "not a range"),
        (r"[\d-z]", "column 2", "not a range"),
        (r"[\D]", "column 2", "negated class"),
    ],
)
def test_what_is_not_supported_is_refused_at_its_column(pattern: str, where: str, message: str) -> None:
    with pytest.raises(InvalidConfig) as caught:
        compile_pattern(pattern)
    assert caught.value.where == where
    assert message in caught.value.message


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|a)*$", "(a|aa)+$", "(.*a){10}$", "(a?){40}a{40}$", "(x+x+)+y"])
def test_patterns_that_hang_a_backtracking_matcher_are_quick(pattern: str) -> None:
    compiled = compile_pattern(pattern)
    started = time.process_time()
    compiled.search("a" * 5000 + "!")
    compiled.search("x" * 5000)
    assert time.process_time() - started < 5.0


def test_what_a_pattern_remembers_is_bounded() -> None:
    pattern = compile_pattern("a.{11}c")
    chance = Random(7)
    text = "".join(chance.choice("ab") for _ in range(5000))  # leads through thousands of states
    assert pattern.search(text) is False
    assert pattern.search(text + "a" + "b" * 11 + "c") is True
    assert len(pattern._states) <= 256
    assert compile_pattern("[^a]$").search("".join(map(chr, range(0x400, 0x1000)))) is True
