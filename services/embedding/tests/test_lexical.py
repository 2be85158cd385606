"""The lexical embedder: the same everywhere, and closer where more is shared."""

from __future__ import annotations

import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from modelux_embedding.embedder import cosines
from modelux_embedding.lexical import LONGEST_CHARS, NAME, SIZE, Lexical, vectors
from modelux_runtime.settings import child_environment

TEXTS = [
    "How do I reset my password?",
    "Quarterly revenue grew by 4%.",
    "パスワードを忘れました",
    "print('hé')\n\n  # ok",
]
PROGRAM = """
import sys
from hashlib import sha256
from modelux_embedding.lexical import vectors
print(sha256(vectors(sys.argv[1:]).tobytes()).hexdigest())
"""
anything = st.text(max_size=200)


def cosine(first: str, second: str) -> float:
    found = vectors([first, second])
    return float(cosines(found[:1], found[1:])[0])


@given(anything, anything)
def test_cosines_lie_between_0_and_1_and_do_not_depend_on_order(first: str, second: str) -> None:
    assert 0.0 <= cosine(first, second) <= 1.0
    assert cosine(first, second) == cosine(second, first)


@given(anything.filter(str.strip))
def test_a_text_is_like_itself_and_its_vector_has_length_1(text: str) -> None:
    assert cosine(text, text) == pytest.approx(1.0, abs=1e-6)
    assert np.linalg.norm(vectors([text])[0]) == pytest.approx(1.0, abs=1e-6)


@given(st.lists(anything, min_size=1, max_size=6))
def test_a_vector_does_not_depend_on_the_texts_beside_it(texts: list[str]) -> None:
    assert np.array_equal(vectors(texts), np.concatenate([vectors([text]) for text in texts]))


def test_other_processes_make_the_same_vectors() -> None:
    told = {
        subprocess.run(
            [sys.executable, "-c", PROGRAM, *TEXTS],
            capture_output=True,
            text=True,
            check=True,
            env=child_environment({"PYTHONHASHSEED": seed}),
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert told == {sha256(vectors(TEXTS).tobytes()).hexdigest()}


@pytest.mark.parametrize(
    ("text", "near", "far"),
    [
        pytest.param(
            "How do I reset my password?",
            "How can I reset the password of my account?",
            "What is the capital of Portugal?",
            id="shared words",
        ),
        pytest.param(
            "the cat sat on the mat", "The  CAT sat\non the mat", "the mat sat on the cat", id="order of words"
        ),
        pytest.param("colour theory", "color theory", "music theory", id="shared letters"),
        pytest.param("パスワードを忘れました", "パスワードを変更したい", "今日は天気がいいですね", id="without blanks"),
    ],
)
def test_what_shares_more_is_closer(text: str, near: str, far: str) -> None:
    assert cosine(text, near) > cosine(text, far) + 0.03


def test_case_and_blanks_do_not_count() -> None:
    assert np.array_equal(vectors(["Hello  World"]), vectors([" hello\nworld "]))


def test_of_a_long_text_beginning_and_end_count() -> None:
    long = "word " * LONGEST_CHARS
    assert np.array_equal(
        vectors([long]), vectors([long[: LONGEST_CHARS // 2] + " gone " * 9 + long[-LONGEST_CHARS // 2 :]])
    )


async def test_the_embedder_answers_in_the_order_of_the_texts() -> None:
    texts = [f"text {number}" for number in range(150)]
    assert np.array_equal(await Lexical().embed(texts), vectors(texts))
    assert (await Lexical().embed([])).shape == (0, SIZE)


@pytest.mark.parametrize(
    ("first", "second", "score"),
    [
        ("How do I reset my password?", "How can I change my password?", 0.5244),
        ("colour theory", "color theory", 0.4477),
        ("忘れました", "忘れた", 0.0351),
    ],
)
def test_scores_under_this_name_never_change(first: str, second: str, score: float) -> None:
    """Stored scores would no longer compare: whoever changes them changes the name."""
    assert NAME == "lexical-1"
    assert cosine(first, second) == pytest.approx(score, abs=5e-5)
